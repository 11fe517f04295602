//! Rows of a resource as JSON, written straight into the response.

use std::sync::Arc;

use serde_json::Value as Json;

use super::relation::Link;
use super::select::key_number;
use super::{Compute, Context, Field, Kind, Record, Resource, Target};
use crate::Result;
use crate::clock::to_wire;
use crate::db::Value;
use crate::ids::Prn;

/// Which fields a response shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Mask {
    /// These alone, if any.
    pub(crate) only: Vec<String>,
    /// All but these.
    pub(crate) without: Vec<String>,
    /// Of the [short form](Resource::short) of an object, where there is one.
    pub(crate) minimal: bool,
}

impl Mask {
    fn shows(&self, field: &Field) -> bool {
        field.is_output()
            && (self.only.is_empty() || self.only.iter().any(|name| name == field.name))
            && !self.without.iter().any(|name| name == field.name)
    }
}

/// Where the value of a shown field comes from.
enum Source<'a> {
    Stored(&'a Field),
    /// Place among the groups, and within the group.
    Computed(usize, usize),
}

struct Group {
    compute: Arc<dyn Compute>,
    fields: Vec<&'static str>,
}

impl Resource {
    /// The fields of the form that is asked for, in its order.
    fn shown(&self, mask: &Mask) -> Box<dyn Iterator<Item = &Field> + Send + '_> {
        if mask.minimal && !self.short.is_empty() {
            Box::new(self.short.iter().filter_map(|name| self.fields.iter().find(|field| field.name == *name)))
        } else {
            Box::new(self.fields.iter())
        }
    }

    /// Appends the rows as JSON objects, separated by commas.
    pub(crate) async fn render(&self, cx: &Context, mask: &Mask, rows: &[Record], out: &mut Vec<u8>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut shown: Vec<(Vec<u8>, Source<'_>)> = Vec::new();
        for field in self.shown(mask).filter(|field| mask.shows(field)) {
            let source = match &field.compute {
                None => Source::Stored(field),
                Some(compute) => {
                    let group = groups.iter().position(|group| Arc::ptr_eq(&group.compute, compute)).unwrap_or_else(|| {
                        groups.push(Group { compute: Arc::clone(compute), fields: Vec::new() });
                        groups.len() - 1
                    });
                    groups[group].fields.push(field.name);
                    Source::Computed(group, groups[group].fields.len() - 1)
                }
            };
            let mut key = if shown.is_empty() { vec![b'{'] } else { vec![b','] };
            text(&mut key, field.name);
            key.push(b':');
            shown.push((key, source));
        }
        let mut computed: Vec<Vec<Vec<Json>>> = Vec::with_capacity(groups.len());
        for group in &groups {
            computed.push(group.compute.compute(cx, &group.fields, rows).await?);
        }
        let base = cx.pulp().hrefs().base(&cx.domain().name);
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if shown.is_empty() {
                out.push(b'{');
            }
            for (key, source) in &shown {
                out.extend_from_slice(key);
                match source {
                    Source::Stored(field) => self.stored(cx, &base, field, row, out),
                    Source::Computed(group, field) => {
                        json(out, computed[*group].get(at).and_then(|values| values.get(*field)).unwrap_or(&Json::Null));
                    }
                }
            }
            out.push(b'}');
        }
        Ok(())
    }

    /// One row as JSON.
    pub(crate) async fn render_one(&self, cx: &Context, mask: &Mask, row: Record) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(1024);
        self.render(cx, mask, &[row], &mut out).await?;
        Ok(out)
    }

    /// One row as a JSON value.
    pub(crate) async fn to_json(&self, cx: &Context, row: Record) -> Result<Json> {
        let text = self.render_one(cx, &Mask::default(), row).await?;
        serde_json::from_slice(&text).map_err(|error| crate::Error::Internal(format!("a row gave no JSON: {error}")))
    }

    fn stored(&self, cx: &Context, base: &str, field: &Field, row: &Record, out: &mut Vec<u8>) {
        match &field.kind {
            Kind::OwnHref => nullable(out, self.own_href(cx, base, row)),
            Kind::OwnPrn => nullable(out, self.own_prn(cx, row).map(|prn| prn.to_string())),
            Kind::Href(target) => nullable(out, related_href(cx, base, *target, field, row)),
            _ => match row.get(&field.column) {
                None => out.extend_from_slice(b"null"),
                Some(value) => write_value(out, value),
            },
        }
    }

    /// The href of one of its rows.
    pub(crate) fn own_href(&self, cx: &Context, base: &str, row: &Record) -> Option<String> {
        match self.link() {
            Link::Version => {
                let repository = cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, row.text("own__type")?)?;
                Some(version_href(base, repository.path, row.uuid("own__repository")?, row.integer("own__number")?))
            }
            Link::Plain(path) => {
                // What is in no domain has one href, whatever domain it is asked for in.
                let own = (!self.in_domain).then(|| cx.shared_base());
                let base = own.as_deref().unwrap_or(base);
                if self.integer_key {
                    Some(format!("{base}{path}/{}/", key_number(row.id())))
                } else {
                    Some(format!("{base}{path}/{}/", row.id()))
                }
            }
            Link::Nested(parent, segment, column) => Some(nested_href(base, parent, row.uuid(column)?, segment, row.id())),
            Link::Typed => {
                let resource = cx.pulp().registry().resource_of_type(self.table, row.text("pulp_type")?)?;
                Some(format!("{base}{}/{}/", resource.path, row.id()))
            }
        }
    }

    /// The PRN of one of its rows.
    pub(crate) fn own_prn(&self, cx: &Context, row: &Record) -> Option<String> {
        if self.integer_key {
            return Some(format!("prn:{}:{}", self.model, key_number(row.id())));
        }
        let model = match self.link() {
            Link::Typed => &cx.pulp().registry().resource_of_type(self.table, row.text("pulp_type")?)?.model,
            _ => &self.model,
        };
        Some(Prn::new(model.as_str(), row.id()).to_string())
    }
}

pub(crate) fn version_href(base: &str, collection: &str, repository: uuid::Uuid, number: i64) -> String {
    format!("{base}{collection}/{repository}/versions/{number}/")
}

fn nested_href(base: &str, parent: &str, owner: uuid::Uuid, segment: &str, id: uuid::Uuid) -> String {
    format!("{base}{parent}/{owner}/{segment}/{id}/")
}

fn related_href(cx: &Context, base: &str, target: Target, field: &Field, row: &Record) -> Option<String> {
    let id = row.uuid(&field.column)?;
    let name = field.name;
    match target.link {
        Link::Plain(collection) => {
            let shared = cx.pulp().registry().resource_at(collection).is_some_and(|resource| !resource.in_domain);
            let own = shared.then(|| cx.shared_base());
            Some(format!("{}{collection}/{id}/", own.as_deref().unwrap_or(base)))
        }
        Link::Nested(parent, segment, _) => Some(nested_href(base, parent, row.uuid(&format!("{name}__parent"))?, segment, id)),
        Link::Typed => {
            let resource = cx.pulp().registry().resource_of_type(target.table, row.text(&format!("{name}__type"))?)?;
            Some(format!("{base}{}/{id}/", resource.path))
        }
        Link::Version => {
            let resource = cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, row.text(&format!("{name}__type"))?)?;
            let repository = row.uuid(&format!("{name}__repository"))?;
            Some(version_href(base, resource.path, repository, row.integer(&format!("{name}__number"))?))
        }
    }
}

fn nullable(out: &mut Vec<u8>, value: Option<String>) {
    match value {
        Some(value) => text(out, &value),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a text as JSON.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    // Writing into memory cannot fail, and neither can a text.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a text in which nothing needs to be escaped.
fn plain(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// Appends a JSON value.
pub(crate) fn json(out: &mut Vec<u8>, value: &Json) {
    let _ = serde_json::to_writer(out, value);
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(Some(value)) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(Some(value)) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float(Some(value)) => json(out, &Json::from(*value)),
        Value::Text(Some(value)) => text(out, value),
        Value::Uuid(Some(value)) => plain(out, value.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
        Value::Time(Some(value)) => plain(out, &to_wire(*value)),
        Value::Json(Some(value)) => json(out, value),
        _ => out.extend_from_slice(b"null"),
    }
}
