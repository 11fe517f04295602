//! Objects that filters name, by href or PRN: each kind of filter with the words that Pulp has for what it cannot find.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::db::{ExecutorExt, Sql};
use crate::resource::{Context, FilterValue, NamedVersion, Naming, Resource, Target};
use crate::version::{ContentCount, CountType};
use crate::{Error, Result};

/// What a filter’s text names.
enum Named {
    /// An object of a resource.
    Object(Arc<Resource>, Uuid),
    /// A version of a repository, by the repository’s resource and key.
    Version(Uuid, i64),
    /// A version, by its key.
    VersionKey(Uuid),
    /// All of a list.
    List(Arc<Resource>),
    /// Something of another domain.
    Elsewhere,
    /// Nothing that a path or PRN of this Pulp could name.
    Nothing,
}

fn refused<T>(message: String) -> Result<T> {
    Err(Error::Refused(json!([message])))
}

/// Reads what names an object. Whether there is one is not looked at.
fn parse(cx: &Context, text: &str) -> Result<Named> {
    let registry = cx.pulp().registry();
    if let Some(rest) = text.strip_prefix("prn:") {
        let Some((model, id)) = rest.split_once(':') else {
            return refused(format!("PRN must be of the form 'prn:app_label.model_label:pk': {text}"));
        };
        if model == "core.repositoryversion" {
            return Ok(Uuid::try_parse(id).map_or(Named::Nothing, Named::VersionKey));
        }
        let Some(resource) = registry.resources().iter().find(|one| one.model == model && (one.pulp_type.is_some() || !one.typed())) else {
            return refused(format!("Model {model} does not exist"));
        };
        return Ok(resource.key_of(id).map_or(Named::Nothing, |id| Named::Object(Arc::clone(resource), id)));
    }
    let Some((domain, path)) = cx.pulp().hrefs().split(text) else { return Ok(Named::Nothing) };
    if domain != cx.domain().name {
        return Ok(Named::Elsewhere);
    }
    if let Some(list) = registry.resource_at(path) {
        return Ok(Named::List(Arc::clone(list)));
    }
    let Some((resource, rest)) = registry.split_path(path) else { return Ok(Named::Nothing) };
    let mut rest = rest.split('/');
    let Some(id) = rest.next().and_then(|id| resource.key_of(id)) else { return Ok(Named::Nothing) };
    Ok(match (rest.next(), rest.next(), rest.next()) {
        (None, ..) => Named::Object(Arc::clone(resource), id),
        (Some("versions"), Some(number), None) if resource.table == Target::REPOSITORY.table => {
            number.parse().map_or(Named::Nothing, |number| Named::Version(id, number))
        }
        _ => Named::Nothing,
    })
}

/// The model as messages call it: `filerepository`.
fn model(resource: &Resource) -> &str {
    resource.model.split_once('.').map_or(resource.model.as_str(), |(_, name)| name)
}

/// What messages call the target’s model: `repository`, `content`.
fn noun(target: Target) -> &'static str {
    if target == Target::CONTENT { "content" } else { target.noun }
}

/// The value of a filter on objects of this kind.
///
/// # Errors
/// [`Error::Refused`] with Pulp’s words.
pub(super) async fn read(cx: &Context, target: Target, naming: Naming, text: &str) -> Result<FilterValue> {
    match naming {
        Naming::Pointer => pointer(cx, target, text),
        Naming::Object => object(cx, target, text).await,
        Naming::Version => version(cx, text).await,
        Naming::Anything => anything(cx, text).await,
        Naming::Units => Err(Error::Internal("units are read together".to_owned())),
    }
}

fn pointer(cx: &Context, target: Target, text: &str) -> Result<FilterValue> {
    Ok(match parse(cx, text)? {
        Named::Object(resource, id) if resource.table == target.table => FilterValue::Id(id),
        Named::VersionKey(id) if target == Target::REPOSITORY_VERSION => FilterValue::Id(id),
        Named::List(resource) if resource.table == target.table => {
            FilterValue::All { table: resource.table, pulp_type: resource.pulp_type }
        }
        // Nothing here has to do with an object of another domain.
        Named::Elsewhere => FilterValue::Id(Uuid::nil()),
        Named::Nothing => return refused(format!("URI couldn't be resolved: {text}")),
        _ => return refused(format!("URI/PRN is not a valid href for {} model: {text}", noun(target))),
    })
}

async fn object(cx: &Context, target: Target, text: &str) -> Result<FilterValue> {
    let noun = noun(target);
    match parse(cx, text)? {
        Named::Object(resource, id) if resource.table == target.table && exists(cx, &resource, id).await? => Ok(FilterValue::Id(id)),
        Named::Elsewhere => Ok(FilterValue::Id(Uuid::nil())),
        Named::Nothing => refused(format!("URI not valid: {text}")),
        Named::List(_) => refused(format!("URI {text} matches more than one {noun}.")),
        Named::Version(..) => refused(format!("URI {text} is not a valid {noun}.")),
        Named::Object(..) | Named::VersionKey(_) => refused(format!("URI {text} not found for {noun}.")),
    }
}

/// A version; a repository stands for its latest one.
async fn version(cx: &Context, text: &str) -> Result<FilterValue> {
    let absent = |model: &str| format!("URI {text} not found for {model}.");
    let domain = cx.domain().pulp_id;
    let of = |condition: &str| {
        Sql::new(format!(
            "select v.pulp_id, v.repository_id, v.number, c.count_type, c.content_type, c.count from core_repositoryversion v \
             join core_repository r on r.pulp_id = v.repository_id \
             left join core_repositoryversioncontentdetails c on c.repository_version_id = v.pulp_id \
             where v.complete and r.pulp_domain_id = $1 and {condition}"
        ))
        .bind(domain)
    };
    let sql = match parse(cx, text)? {
        Named::Version(repository, number) => of("v.repository_id = $2 and v.number = $3").bind(repository).bind(number),
        Named::VersionKey(id) => of("v.pulp_id = $2").bind(id),
        Named::Object(resource, id) if resource.table == Target::REPOSITORY.table => {
            if !exists(cx, &resource, id).await? {
                return refused(absent(model(&resource)));
            }
            let latest = "v.repository_id = $2 and v.number = (select max(l.number) from core_repositoryversion l where l.repository_id = $3 and l.complete)";
            of(latest).bind(id).bind(id)
        }
        Named::Object(resource, id) => {
            let model = if exists(cx, &resource, id).await? { "repositoryversion" } else { model(&resource) };
            return refused(absent(model));
        }
        Named::List(resource) => return refused(format!("URI {text} matches more than one {}.", model(&resource))),
        Named::Elsewhere => return Ok(FilterValue::Id(Uuid::nil())),
        Named::Nothing => return refused(format!("URI not valid: {text}")),
    };
    match named_version(cx.pulp().db().all(sql).await?) {
        Some(version) => Ok(FilterValue::Version(version)),
        None => refused(absent("repositoryversion")),
    }
}

/// A version with one of its counts, or with none: key, repository, number; which count, of what type, how many.
type CountedVersion = (Uuid, Uuid, i64, Option<String>, Option<String>, Option<i64>);

/// A version and all of its counts.
fn named_version(rows: Vec<CountedVersion>) -> Option<NamedVersion> {
    let &(id, repository, number, ..) = rows.first()?;
    let mut version = NamedVersion { id, repository, number, counts: BTreeMap::new() };
    for (.., code, content_type, count) in rows {
        if let (Some(of), Some(content_type), Some(count)) = (code.as_deref().and_then(CountType::from_code), content_type, count) {
            version.counts.entry(of).or_default().push(ContentCount { content_type, count });
        }
    }
    Some(version)
}

async fn anything(cx: &Context, text: &str) -> Result<FilterValue> {
    match parse(cx, text)? {
        Named::Object(resource, id) if exists(cx, &resource, id).await? => Ok(FilterValue::Id(id)),
        Named::Object(resource, _) => refused(format!("URI {text} not found for {}.", model(&resource))),
        Named::Version(..) | Named::VersionKey(_) => version(cx, text).await,
        Named::List(resource) => refused(format!("URI {text} matches more than one {}.", model(&resource))),
        Named::Elsewhere => Ok(FilterValue::Id(Uuid::nil())),
        Named::Nothing => refused(format!("URI not valid: {text}")),
    }
}

async fn exists(cx: &Context, resource: &Resource, id: Uuid) -> Result<bool> {
    Ok(resource.find(cx, cx.pulp().db(), id).await?.is_some())
}

/// The key in what names an object, without asking whether there is one.
///
/// # Errors
/// [`Error::Refused`] for what is neither an href nor a PRN.
pub(super) fn key(cx: &Context, text: &str) -> Result<Uuid> {
    if text.starts_with("prn:") {
        let parts: Vec<String> = text.split(':').map(|part| format!("'{part}'")).collect();
        let id = text.splitn(3, ':').nth(2).and_then(|id| Uuid::try_parse(id).ok());
        return id.map_or_else(|| refused(format!("PRN not valid: [{}]", parts.join(", "))), Ok);
    }
    match parse(cx, text)? {
        Named::Object(_, id) => Ok(id),
        Named::Elsewhere => Ok(Uuid::nil()),
        _ => refused(format!("URI not valid: {text}")),
    }
}

/// Content units, one or several; all that are missing are told.
pub(super) async fn units(cx: &Context, texts: &[&str]) -> Result<Vec<Uuid>> {
    let keys = texts.iter().map(|text| key(cx, text)).collect::<Result<Vec<Uuid>>>()?;
    let mut sql = Sql::new("select pulp_id from core_content where pulp_domain_id = ");
    sql.push_bind(cx.domain().pulp_id).push(" and pulp_id in ").push_list(keys.iter());
    let known: Vec<Uuid> = cx.pulp().db().column(sql).await?;
    let missing: Vec<String> =
        texts.iter().zip(&keys).filter(|(_, key)| !known.contains(key)).map(|(text, _)| format!("'{text}'")).collect();
    if missing.is_empty() { Ok(keys) } else { refused(format!("Could not find the following content units: [{}]", missing.join(", "))) }
}
