//! What a list is asked: filters, order, page, fields.

pub(crate) mod expression;
mod named;
pub(super) mod value;

use serde_json::json;
use uuid::Uuid;

pub(crate) use value::moment;

use super::labels;
use super::render::Mask;
use super::select::Rows;
use super::{Context, Drive, Filter, FilterKind, FilterValue, Fragment, Lookup, Place, Resource, Target};
use crate::db::{Dialect, Executor, Value};
use crate::{Error, Result};

/// How many objects a page has if nothing else is asked.
const PAGE: i64 = 100;

/// A list as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) rows: Rows,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
    pub(crate) mask: Mask,
    /// Where a page by key is asked for: how many objects the list has, if a page before has told.
    pub(crate) by_key: Option<Option<i64>>,
}

/// Columns that no row of a table which has them leaves null.
const NEVER_NULL: [&str; 11] =
    ["pulp_id", "id", "pulp_created", "pulp_type", "name", "number", "state", "base_path", "size", "sha256", "username"];

/// The columns of `core_content` by which its lists can be ordered.
const OF_CONTENT: [&str; 7] =
    ["pulp_id", "pulp_created", "pulp_last_updated", "pulp_type", "pulp_labels", "timestamp_of_interest", "upstream_id"];

/// Parameters that are no filters.
const NOT_FILTERS: [&str; 9] = ["limit", "offset", "ordering", "fields", "exclude_fields", "minimal", "q", "format", "page_size"];

/// Parameters of pages by key.
pub(crate) const BY_KEY: [&str; 2] = ["after", "count"];

impl Resource {
    /// Reads the parameters of a list. `scope` is what every row must meet.
    ///
    /// # Errors
    /// [`Error::Validation`] or [`Error::Refused`] that name the parameter.
    pub(crate) async fn listing(&self, cx: &Context, parameters: &[(String, String)], scope: Fragment) -> Result<Listing> {
        let plain = scope == self.own_rows(cx);
        let mut conditions = vec![scope];
        let mut unknown = Vec::new();
        let mut drive: Option<Drive> = None;
        let asked_after = self.pages_by_key() && parameters.iter().any(|(name, _)| name == "after");
        for (at, (name, value)) in parameters.iter().enumerate() {
            if NOT_FILTERS.contains(&name.as_str()) || asked_after && BY_KEY.contains(&name.as_str()) {
                continue;
            }
            if !self.knows_filter(name) {
                unknown.push(format!("Invalid Filter: '{name}'"));
                continue;
            }
            // The last of several counts, as in Django; but for filters that take several.
            if parameters[at + 1..].iter().any(|(later, _)| later == name) {
                continue;
            }
            if value.is_empty() && name != "pulp_label_select" {
                match self.find_filter(name).and_then(|(filter, _)| filter.without_value) {
                    Some(message) => return Err(Error::Refused(json!([message]))),
                    None => continue,
                }
            }
            let joined: String;
            let value = if self.find_filter(name).is_some_and(|(filter, _)| filter.several) {
                joined =
                    parameters.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",");
                &joined
            } else {
                value
            };
            if drive.is_none() {
                drive = self.drive(cx, name, value).await?;
                if drive.is_some() {
                    continue;
                }
            }
            conditions.extend(self.condition(cx, name, value).await?);
        }
        if !unknown.is_empty() {
            return Err(Error::Refused(json!({ "errors": unknown })));
        }
        let last = |wanted: &str| parameters.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        if let Some(text) = last("q").filter(|text| !text.is_empty()) {
            conditions.push(self.complex(cx, text).await?);
        }
        let number = |name: &str, least: i64| last(name).and_then(|text| text.trim().parse::<i64>().ok()).filter(|number| *number >= least);
        let limit = number("limit", 1).unwrap_or(PAGE);
        let offset = number("offset", 0).unwrap_or(0);
        let asked_after = last("after").filter(|_| asked_after);
        if asked_after.is_some() && (offset > 0 || last("ordering").is_some_and(|order| !order.is_empty())) {
            let message = "Pages by key come in the order of keys: leave out `ordering` and `offset`.";
            return Err(Error::field("after", message));
        }
        let after = match asked_after.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Some(self.key_named(cx, text).await?),
            None => None,
        };
        let by_key = asked_after.map(|_| number("count", 0));
        // One more than is shown tells whether there is a next page.
        let rows = if by_key.is_some() { limit.saturating_add(1) } else { limit };
        Ok(Listing {
            rows: Rows {
                // Only of rows that nothing else is asked of the number is known beforehand.
                drive: drive.map(|drive| if plain && conditions.len() == 1 { drive } else { Drive { counts: None, ..drive } }),
                order: self.order(last("ordering"))?,
                condition: Fragment::all(conditions),
                page: Some((rows, offset)),
                after,
            },
            limit,
            offset,
            mask: mask(parameters),
            by_key,
        })
    }

    /// Whether its lists can be read by key: those of content, which grow large, and whose keys come in the order of their lists.
    pub(crate) fn pages_by_key(&self) -> bool {
        self.table == Target::CONTENT.table && self.default_order == "-pulp_created"
    }

    /// The key behind which a page begins, whether or not there is such an object any more.
    async fn key_named(&self, cx: &Context, text: &str) -> Result<Uuid> {
        if let Some(id) = value::uuid(text) {
            return Ok(id);
        }
        match self.named(cx, "after", text).await {
            Ok(Some(Value::Uuid(Some(id)))) => Ok(id),
            _ => Err(Error::field("after", "Take it from `next` of the answer before, or name a unit by its href.")),
        }
    }

    /// The rows that one filter says to go through.
    async fn drive(&self, cx: &Context, name: &str, value: &str) -> Result<Option<Drive>> {
        let Some((filter, lookup)) = self.find_filter(name) else { return Ok(None) };
        let Some(condition) = filter.condition.as_ref().filter(|_| lookup == Lookup::Exact) else { return Ok(None) };
        match value::read(cx, filter, lookup, name, value).await? {
            Some(read) => condition.drive(cx, &read).await,
            None => Ok(None),
        }
    }

    /// Whether there is a filter of this name, lookup included.
    fn knows_filter(&self, name: &str) -> bool {
        match name {
            "pulp_href__in" | "prn__in" => true,
            "pulp_id__in" => self.table != Target::REPOSITORY_VERSION.table,
            "pulp_label_select" => self.has_labels(),
            "pulp_type" | "pulp_type__in" => self.typed() && self.pulp_type.is_none(),
            _ => self.find_filter(name).is_some(),
        }
    }

    /// Whether its objects have labels.
    pub(crate) fn has_labels(&self) -> bool {
        self.fields.iter().any(|field| field.name == "pulp_labels")
    }

    fn find_filter(&self, name: &str) -> Option<(&Filter, Lookup)> {
        self.filters.iter().find_map(|filter| {
            let rest = name.strip_prefix(filter.name)?;
            let lookup = filter.lookups.iter().find(|lookup| lookup.suffix() == rest)?;
            Some((filter, *lookup))
        })
    }

    /// The condition of one parameter; nothing where its value asks for nothing.
    async fn condition(&self, cx: &Context, name: &str, value: &str) -> Result<Option<Fragment>> {
        let dialect = cx.pulp().db().dialect();
        let column = format!("b.{} in ", self.key);
        match name {
            "pulp_label_select" => return labels::select(dialect, value).map(Some),
            "pulp_id__in" => {
                let ids = value::many(value, |one| value::uuid(one).ok_or_else(|| Error::field(name, "Enter a valid UUID.")))?;
                return Ok(Some(Fragment::new(column).list(ids)));
            }
            "pulp_href__in" | "prn__in" => {
                let mut ids: Vec<Value> = Vec::new();
                for one in value.split(',') {
                    ids.extend(self.named(cx, name, one.trim()).await?);
                }
                return Ok(Some(Fragment::new(column).list(ids)));
            }
            "pulp_type" | "pulp_type__in" if self.typed() && self.pulp_type.is_none() => {
                let many = name.ends_with("__in");
                let wanted: Vec<&str> = if many { value.split(',').collect() } else { vec![value] };
                for one in &wanted {
                    if cx.pulp().registry().resource_of_type(self.table, one).is_none() {
                        return Err(Error::field(name, format!("Select a valid choice. {one} is not one of the available choices.")));
                    }
                }
                return Ok(Some(Fragment::new("b.pulp_type in ").list(wanted)));
            }
            _ => {}
        }
        let Some((filter, lookup)) = self.find_filter(name) else { return Ok(None) };
        if filter.nullable && value == "null" {
            return Ok(Some(Fragment::new(format!("{} is null", filter.column))));
        }
        let Some(read) = value::read(cx, filter, lookup, name, value).await? else { return Ok(None) };
        match &filter.condition {
            Some(condition) => condition.condition(cx, lookup, &read).await.map(Some),
            None => Ok(Some(compare(dialect, &filter.column, lookup, &read))),
        }
    }

    /// The key that an href or PRN names, if it is one of this resource’s; whether there is such an object shows itself.
    async fn named(&self, cx: &Context, name: &str, text: &str) -> Result<Option<Value>> {
        let refused = |message: String| Err(Error::Refused(json!([message])));
        if name == "prn__in" && !text.starts_with("prn:") {
            return refused(format!("Not a valid PRN: {text}, must start with 'prn:'"));
        }
        if let Some(rest) = text.strip_prefix("prn:") {
            let model = rest.split_once(':').map_or(rest, |(model, _)| model);
            if let Some((_, id)) = rest.split_once(':').filter(|_| self.integer_key) {
                return Ok(id.parse::<i64>().ok().filter(|_| model == self.model).map(Value::from));
            }
            let id = named::key(cx, text)?;
            let ours = match self.pulp_type {
                None if self.typed() => cx.pulp().registry().resources().iter().any(|one| one.table == self.table && one.model == model),
                _ => model == self.model,
            };
            return Ok(ours.then(|| Value::from(id)));
        }
        let Some((_, path)) = cx.pulp().hrefs().split(text) else { return refused(format!("URI not valid: {text}")) };
        if self.table == Target::REPOSITORY_VERSION.table {
            return Ok(cx.resolve(Target::REPOSITORY_VERSION, text).await.ok().map(|prn| Value::from(prn.id)));
        }
        let Some((resource, rest)) = cx.pulp().registry().split_path(path) else {
            return refused(format!("URI not valid: {text}"));
        };
        if resource.table != self.table {
            return Ok(None);
        }
        if self.integer_key {
            return Ok(rest.parse::<i64>().ok().map(Value::from));
        }
        Ok(value::uuid(rest).map(Value::from))
    }

    /// What `order by` says.
    fn order(&self, asked: Option<&str>) -> Result<String> {
        let mut parts: Vec<String> = Vec::new();
        let mut by_key = false;
        for one in asked.unwrap_or_default().split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let (name, direction) = match one.strip_prefix('-') {
                Some(name) => (name, " desc"),
                None => (one, ""),
            };
            if let Some((_, expression)) = self.order_expressions.iter().find(|(known, _)| *known == name) {
                let nulls = if direction.is_empty() { " nulls last" } else { " nulls first" };
                parts.push(format!("{expression}{direction}{nulls}"));
                continue;
            }
            let column = match name {
                "pk" => {
                    by_key = true;
                    self.key
                }
                _ => self.ordering.iter().find(|column| **column == name).copied().ok_or_else(|| {
                    Error::field("ordering", format!("Select a valid choice. {one} is not one of the available choices."))
                })?,
            };
            let table = if self.is_in_base(column) { "b" } else { "d" };
            // NULLs come last in PostgreSQL and first in SQLite; said, they are the same. Where there are none, saying it
            // would only keep SQLite from using an index.
            let nulls = match (NEVER_NULL.contains(&column), direction.is_empty()) {
                (true, _) => "",
                (false, true) => " nulls last",
                (false, false) => " nulls first",
            };
            parts.push(format!("{table}.{column}{direction}{nulls}"));
        }
        if parts.is_empty() {
            return Ok(String::new());
        }
        if !by_key {
            parts.push(format!("b.{} desc", self.key));
        }
        Ok(parts.join(", "))
    }

    /// Whether a column is one of the base table, and not of the detail table. Of content, the base has few columns, and the detail may
    /// have some that no field shows.
    fn is_in_base(&self, column: &str) -> bool {
        let shown_of_detail = || self.fields.iter().any(|field| field.column == column && field.place == Place::Detail);
        let hidden_of_detail = || self.table == Target::CONTENT.table && !OF_CONTENT.contains(&column);
        self.detail.is_none() || !(shown_of_detail() || hidden_of_detail())
    }
}

/// The fields that a response shows.
pub(crate) fn mask(parameters: &[(String, String)]) -> Mask {
    let names = |wanted: &str| {
        parameters
            .iter()
            .filter(|(name, _)| name == wanted)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let minimal = parameters.iter().rev().find(|(name, _)| name == "minimal").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    Mask { only: names("fields"), without: names("exclude_fields"), minimal }
}

/// A comparison of a column.
fn compare(dialect: Dialect, column: &str, lookup: Lookup, value: &FilterValue) -> Fragment {
    let column_then = |operator: &str| Fragment::new(format!("{column} {operator} "));
    let text = value.as_text().unwrap_or_default();
    let like = |pattern: String| Fragment::template(&dialect.ilike(column, "{}"), &Value::from(pattern));
    match lookup {
        Lookup::Exact if matches!(value, FilterValue::All { .. }) => value.pointed_at_by(column),
        Lookup::Exact => column_then("=").bind(value.to_sql()),
        Lookup::Ne => column_then("is distinct from").bind(value.to_sql()),
        Lookup::In => column_then("in").list(value.all().iter().map(FilterValue::to_sql)),
        Lookup::Lt => column_then("<").bind(value.to_sql()),
        Lookup::Lte => column_then("<=").bind(value.to_sql()),
        Lookup::Gt => column_then(">").bind(value.to_sql()),
        Lookup::Gte => column_then(">=").bind(value.to_sql()),
        Lookup::Range => match value.all() {
            [low, high] => column_then("between").bind(low.to_sql()).text(" and ").bind(high.to_sql()),
            _ => Fragment::never(),
        },
        Lookup::IsNull => match value {
            FilterValue::Boolean(true) => Fragment::new(format!("{column} is null")),
            _ => Fragment::new(format!("{column} is not null")),
        },
        Lookup::Contains => Fragment::template(&dialect.contains(column, "{}"), &Value::from(text)),
        Lookup::IContains => like(labels::infix(text)),
        Lookup::IExact => like(labels::escaped(text)),
        Lookup::IStartsWith => like(format!("{}%", labels::escaped(text))),
        Lookup::StartsWith => Fragment::new(format!("substr({column}, 1, length(cast(")).bind(text).text(" as text))) = ").bind(text),
        Lookup::Regex => Fragment::template(&dialect.regex(column, "{}"), &Value::from(text)),
        Lookup::IRegex => Fragment::template(&dialect.regex(column, "{}"), &Value::from(format!("(?i){text}"))),
    }
}

/// Whether a lookup reads its value as its filter’s kind, or as something of its own.
fn value_kind(filter: &Filter, lookup: Lookup) -> FilterKind {
    if lookup == Lookup::IsNull { FilterKind::Boolean } else { filter.kind }
}
