//! The objects here that stand for a distribution of the upstream.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{LABEL, UpstreamPulp};
use crate::content::Change;
use crate::db::{ExecutorExt, Sql, Tx, Value};
use crate::ids::new_id;
use crate::model::{Model, Remote, Repository};
use crate::plugin::Replicator;
use crate::resource::Resource;
use crate::tasks::TaskContext;
use crate::version::create_repository;
use crate::{Error, Result};

/// The remote and the repository of a distribution.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) remote: Uuid,
    pub(super) repository: Uuid,
    /// Whether one of them was made or changed: then what the upstream has must be fetched, whether it has changed or not.
    pub(super) changed: bool,
}

fn resource<'r>(cx: &'r TaskContext, table: &str, kind: &str) -> Result<&'r Resource> {
    let found = cx.pulp().registry().resource_of_type(table, kind);
    found.map(AsRef::as_ref).ok_or_else(|| Error::Internal(format!("there is no resource of the type {kind} in {table}")))
}

/// Labels that say where an object comes from, beside those that it has.
pub(super) fn labels(upstream: &UpstreamPulp, present: Option<&Json>) -> Json {
    let mut labels: Map<String, Json> = present.and_then(Json::as_object).cloned().unwrap_or_default();
    labels.insert(LABEL.to_owned(), json!(upstream.pulp_id.to_string()));
    Json::Object(labels)
}

/// Makes them, or brings them up to date.
pub(super) async fn settle(cx: &TaskContext, upstream: &UpstreamPulp, kind: &dyn Replicator, name: &str, url: &str) -> Result<Local> {
    let tx = cx.pulp().db().begin().await?;
    cx.hold(&tx).await?;
    let (remote, remote_changed) = settle_remote(cx, &tx, upstream, kind, name, url).await?;
    let (repository, made) = settle_repository(cx, &tx, upstream, kind, name).await?;
    tx.commit().await?;
    if remote_changed {
        Change::Everything.announce(cx.pulp()).await;
    }
    Ok(Local { remote, repository, changed: remote_changed || made })
}

/// The columns of a remote that follow the upstream.
fn columns(upstream: &UpstreamPulp, url: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("url", url.into()),
        ("policy", upstream.remote_policy.as_deref().unwrap_or("immediate").into()),
        ("ca_cert", upstream.ca_cert.clone().into()),
        ("client_cert", upstream.client_cert.clone().into()),
        ("client_key", upstream.client_key.clone().into()),
        ("tls_validation", upstream.tls_validation.into()),
        ("download_concurrency", upstream.download_concurrency.into()),
        ("max_retries", upstream.max_retries.into()),
        ("total_timeout", upstream.total_timeout.into()),
        ("connect_timeout", upstream.connect_timeout.into()),
        ("sock_connect_timeout", upstream.sock_connect_timeout.into()),
        ("sock_read_timeout", upstream.sock_read_timeout.into()),
    ]
}

async fn settle_remote(
    cx: &TaskContext,
    tx: &Tx,
    upstream: &UpstreamPulp,
    kind: &dyn Replicator,
    name: &str,
    url: &str,
) -> Result<(Uuid, bool)> {
    let (domain, now) = (cx.domain().pulp_id, cx.pulp().now());
    let sql = Sql::new("select * from core_remote where name = $1 and pulp_domain_id = $2").bind(name).bind(domain);
    let columns = columns(upstream, url);
    let found: Option<Remote> = tx.optional(sql).await?;
    if let Some(remote) = found {
        if remote.pulp_type != kind.remote_type() {
            return Err(taken("remote", name, &remote.pulp_type));
        }
        let present = json!(remote.pulp_labels.0);
        let wanted = labels(upstream, Some(&present));
        // One statement writes what differs, and tells whether anything did.
        let mut sql = Sql::new("update core_remote set pulp_last_updated = ");
        sql.push_bind(now).push(", pulp_labels = ").push_bind(wanted.clone());
        for (column, value) in &columns {
            sql.push(", ").push(column).push(" = ").push_bind(value.clone());
        }
        sql.push(" where pulp_id = ").push_bind(remote.pulp_id).push(" and (").push(if wanted == present { "1 = 0" } else { "1 = 1" });
        for (column, value) in &columns {
            sql.push(" or ").push(column).push(" is distinct from ").push_bind(value.clone());
        }
        sql.push(")");
        let changed = tx.execute(sql).await? > 0;
        return Ok((remote.pulp_id, changed));
    }
    let id = new_id();
    let mut names = vec!["pulp_id", "pulp_created", "pulp_last_updated", "pulp_type", "name", "pulp_labels", "pulp_domain_id"];
    let mut values: Vec<Value> =
        vec![id.into(), now.into(), now.into(), kind.remote_type().into(), name.into(), labels(upstream, None).into(), domain.into()];
    for (column, value) in columns {
        names.push(column);
        values.push(value);
    }
    let mut sql = Sql::new(format!("insert into core_remote ({}) values ", names.join(", ")));
    sql.push_list(values);
    tx.execute(sql).await?;
    detail(tx, resource(cx, Remote::TABLE, kind.remote_type())?, id).await?;
    Ok((id, true))
}

async fn settle_repository(cx: &TaskContext, tx: &Tx, upstream: &UpstreamPulp, kind: &dyn Replicator, name: &str) -> Result<(Uuid, bool)> {
    let (domain, now) = (cx.domain().pulp_id, cx.pulp().now());
    let sql = Sql::new("select * from core_repository where name = $1 and pulp_domain_id = $2").bind(name).bind(domain);
    let found: Option<Repository> = tx.optional(sql).await?;
    let (id, present, made) = match found {
        Some(repository) if repository.pulp_type != kind.repository_type() => {
            return Err(taken("repository", name, &repository.pulp_type));
        }
        Some(repository) => (repository.pulp_id, json!(repository.pulp_labels.0), false),
        None => {
            let repository = create_repository(tx, kind.repository_type(), name, domain, now).await?;
            detail(tx, resource(cx, Repository::TABLE, kind.repository_type())?, repository.pulp_id).await?;
            (repository.pulp_id, json!({}), true)
        }
    };
    let wanted = labels(upstream, Some(&present));
    if wanted != present {
        let sql = Sql::new("update core_repository set pulp_labels = $2, pulp_last_updated = $3 where pulp_id = $1");
        tx.execute(sql.bind(id).bind(wanted).bind(now)).await?;
    }
    Ok((id, made))
}

fn taken(noun: &str, name: &str, kind: &str) -> Error {
    Error::Conflict(format!("there is a {noun} \"{name}\" of the type {kind}: rename it, or the distribution of the upstream"))
}

/// The row of a type’s own table, with what its fields have by default.
async fn detail(tx: &Tx, resource: &Resource, id: Uuid) -> Result<()> {
    let Some((table, pointer)) = resource.detail else { return Ok(()) };
    let mut names = vec![pointer.to_owned()];
    let mut values: Vec<Value> = vec![id.into()];
    for (column, value) in resource.detail_defaults()? {
        names.push(column.to_owned());
        values.push(value);
    }
    let mut sql = Sql::new(format!("insert into {table} ({}) values ", names.join(", ")));
    sql.push_list(values);
    tx.execute(sql).await?;
    Ok(())
}
