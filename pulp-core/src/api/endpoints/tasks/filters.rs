//! Filters of tasks that are no comparisons.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use crate::db::{Executor, ExecutorExt, Sql, Value};
use crate::ids::Prn;
use crate::resource::{Condition, Context, FilterValue, Fragment, Lookup, Target};
use crate::{Error, Result};

/// Tasks that have made this one.
pub(super) struct Children;

#[async_trait]
impl Condition for Children {
    async fn condition(&self, _: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        Ok(Fragment::new("b.pulp_id = (select c.parent_task_id from core_task c where c.pulp_id = ").bind(value.to_sql()).text(")"))
    }
}

/// The key and PRN of any object, of whatever kind.
async fn object(cx: &Context, text: &str) -> Result<Prn, String> {
    if let Ok(prn) = text.parse::<Prn>() {
        return Ok(prn);
    }
    let unknown = || format!("URI not valid: {text}");
    let (_, path) = cx.pulp().hrefs().split(text).ok_or_else(unknown)?;
    let (resource, rest) = cx.pulp().registry().split_path(path).ok_or_else(unknown)?;
    if rest.contains("/versions/") {
        return cx.resolve(Target::REPOSITORY_VERSION, text).await.map_err(|_| format!("URI {text} not found for repositoryversion."));
    }
    let id = Uuid::try_parse(rest).map_err(|_| unknown())?;
    Ok(Prn::new(resource.model.as_str(), id))
}

/// Whether there is such an object.
async fn exists(cx: &Context, prn: &Prn) -> Result<bool> {
    let table = if prn.model == "core.repositoryversion" {
        Some((Target::REPOSITORY_VERSION.table, "pulp_id"))
    } else {
        let resource = cx.pulp().registry().resources().iter().find(|resource| resource.model == prn.model && !resource.integer_key);
        resource.map(|resource| (resource.table, resource.key))
    };
    let Some((table, key)) = table else { return Ok(false) };
    let sql = Sql::new(format!("select 1 as one from {table} where {key} = $1")).bind(prn.id);
    Ok(cx.pulp().db().optional::<(i32,)>(sql).await?.is_some())
}

/// Tasks that have made an object.
pub(super) struct Created;

#[async_trait]
impl Condition for Created {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let text = value.as_text().unwrap_or_default();
        let prn = object(cx, text).await.map_err(|message| Error::Refused(json!([message])))?;
        if !exists(cx, &prn).await? {
            let name = prn.model.split_once('.').map_or(prn.model.as_str(), |(_, name)| name);
            return Err(Error::Refused(json!([format!("URI {text} not found for {name}.")])));
        }
        Ok(Fragment::new("b.pulp_id in (select c.task_id from core_createdresource c where c.object_id = ").bind(prn.id).text(")"))
    }
}

/// Tasks that a worker runs.
pub(super) struct Worker;

#[async_trait]
impl Condition for Worker {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let text = value.as_text().unwrap_or_default();
        match object(cx, text).await {
            Ok(prn) => Ok(Fragment::new("b.app_lock_id = ").bind(prn.id)),
            Err(_) => Ok(Fragment::never()),
        }
    }
}

/// How an object is reserved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    Exclusive,
    Shared,
    Any,
}

/// Tasks that need an object.
pub(super) struct Reserved(pub(super) Part);

#[async_trait]
impl Condition for Reserved {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let dialect = cx.pulp().db().dialect();
        let holds = |name: String| Fragment::template(&dialect.list_holds("b.reserved_resources_record", "{}"), &Value::from(name));
        let mut all: Option<Fragment> = None;
        for one in value.all() {
            let text = one.as_text().unwrap_or_default();
            // What names no object can still be a name that tasks have agreed on.
            let name = object(cx, text).await.map_or_else(|_| text.to_owned(), |prn| prn.to_string());
            let condition = match self.0 {
                Part::Exclusive => holds(name),
                Part::Shared => holds(format!("shared:{name}")),
                Part::Any => holds(name.clone()).or(holds(format!("shared:{name}"))),
            };
            // Of several, all must be there.
            all = Some(match all {
                None => condition,
                Some(before) => before.and(condition),
            });
        }
        Ok(all.unwrap_or_else(Fragment::never))
    }
}
