//! `POST …/{repository}/modify/`.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::Value as Json;
use uuid::Uuid;

use super::super::{Action, ActionHandler, Context, Field, Input, Kind, Noun, Reply, Target};
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Model, Repository};
use crate::version::AddAndRemove;
use crate::{Error, Result};

/// Adding and removing units by hand: an action of every type of repository that allows it.
pub fn modify() -> Action {
    Action::post("modify", Modify)
        .body(
            "RepositoryAddRemoveContent",
            [
                Field::list("add_content_units", Kind::Text).help("Units to add."),
                Field::list("remove_content_units", Kind::Text).help("Units to remove; `*` stands for all."),
                Field::href("base_version", Target::REPOSITORY_VERSION).help("The version to start from; the latest if unset."),
                Field::boolean("overwrite").default(true).help("Whether an added unit may replace one that is there."),
            ],
        )
        .help("Makes a new version with units added and removed.")
}

struct Modify;

#[async_trait]
impl ActionHandler for Modify {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, input: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("modify is done to a repository".to_owned()))?;
        let repository = Repository::find(cx.pulp().db(), id).await?;
        let rules = cx.pulp().registry().repository_type(&repository.pulp_type);
        let rules = rules.ok_or_else(|| Error::Internal(format!("the repository type {} is not registered", repository.pulp_type)))?;
        let texts = |field: &str| -> Vec<&str> {
            input.get(field).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
        };
        let removed = texts("remove_content_units");
        let remove_all = removed.contains(&"*");
        if remove_all && removed.len() > 1 {
            return Err(Error::field("remove_content_units", "Cannot supply content units and '*'."));
        }
        let task = AddAndRemove {
            repository: Prn::new(rules.model(), id),
            add_content_units: units(cx, "add_content_units", &texts("add_content_units")).await?,
            remove_content_units: if remove_all { Vec::new() } else { units(cx, "remove_content_units", &removed).await? },
            remove_all,
            base_version: input.id("base_version"),
            overwrite: input.boolean("overwrite").unwrap_or(true),
        };
        cx.dispatch(task).await
    }
}

/// The keys of the units that a field names, by href or PRN.
async fn units(cx: &Context, field: &str, names: &[&str]) -> Result<Vec<Uuid>> {
    // Of another domain only those are told that are there.
    let of_other = |name: &&&str| {
        cx.pulp().hrefs().split(name).is_some_and(|(domain, path)| {
            domain != cx.domain().name && cx.pulp().registry().split_path(path).is_some_and(|(resource, _)| resource.noun == Noun::Content)
        })
    };
    let elsewhere: Vec<String> = names.iter().filter(of_other).map(|name| format!("'{name}'")).take(100).collect();
    if !elsewhere.is_empty() {
        let domain = &cx.domain().name;
        let message = format!("Content units are not a part of the current domain {domain}: [{}]", elsewhere.join(", "));
        return Err(Error::field(field, message));
    }
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        let key = named(cx, name).ok_or_else(|| Error::field(field, format!("URI not valid: {name}")))?;
        keys.push(key);
    }
    let mut known = HashSet::with_capacity(keys.len());
    for some in keys.chunks(2_000) {
        let mut sql = Sql::new("select pulp_id from core_content where pulp_domain_id = ");
        sql.push_bind(cx.domain().pulp_id).push(" and pulp_id in ").push_list(some);
        known.extend(cx.pulp().db().column::<Uuid>(sql).await?);
    }
    let missing: Vec<String> =
        names.iter().zip(&keys).filter(|(_, key)| !known.contains(key)).map(|(name, _)| format!("'{name}'")).take(100).collect();
    if missing.is_empty() {
        Ok(keys)
    } else {
        Err(Error::field(field, format!("Could not find the following content units: [{}]", missing.join(", "))))
    }
}

/// The key in an href or PRN. One of something else than a unit gives a key that no unit has.
fn named(cx: &Context, name: &str) -> Option<Uuid> {
    if let Ok(prn) = name.parse::<Prn>() {
        return Some(prn.id);
    }
    let (domain, path) = cx.pulp().hrefs().split(name)?;
    let (resource, rest) = cx.pulp().registry().split_path(path)?;
    let key: Uuid = rest.split('/').next()?.parse().ok()?;
    let is_unit = domain == cx.domain().name && resource.noun == Noun::Content;
    Some(if is_unit { key } else { Uuid::nil() })
}
