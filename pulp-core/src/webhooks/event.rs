//! What happens, and whom it concerns.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::Pulp;
use crate::clock::{Timestamp, to_wire};
use crate::db::{DbError, Executor, ExecutorExt, Sql, Tx};
use crate::ids::Prn;
use crate::model::{Domain, Repository, RepositoryVersion, Subscription, TaskRow, TaskState, WebhookDelivery};
use crate::resource::{Target, select_labels};

/// The event that is sent to try a webhook.
pub(crate) const PING: &str = "ping";

/// Something that somebody may want to be told of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    /// A task has ended. The row is that before its end.
    TaskEnded { row: &'a TaskRow, state: TaskState, error: Option<&'a Json>, at: Timestamp },
    /// A repository has a new version.
    VersionCreated { repository: &'a Repository, version: &'a RepositoryVersion },
}

impl Event<'_> {
    /// Its names: whoever is told of one of them is told once, of the first that was asked for.
    fn names(&self) -> &'static [&'static str] {
        match self {
            Self::TaskEnded { state: TaskState::Failed, .. } => &["task.failed", "task.finished"],
            Self::TaskEnded { .. } => &["task.finished"],
            Self::VersionCreated { .. } => &["repository_version.created"],
        }
    }

    fn domain(&self) -> Uuid {
        match self {
            Self::TaskEnded { row, .. } => row.pulp_domain_id,
            Self::VersionCreated { repository, .. } => repository.pulp_domain_id,
        }
    }

    /// The repositories that it concerns: of a task, those that it needed.
    fn repositories(&self, pulp: &Pulp) -> BTreeSet<Uuid> {
        match self {
            Self::VersionCreated { repository, .. } => BTreeSet::from([repository.pulp_id]),
            Self::TaskEnded { row, .. } => {
                let needed = row.reserved_resources_record.iter().filter_map(|entry| {
                    let prn: Prn = entry.strip_prefix("shared:").unwrap_or(entry).parse().ok()?;
                    let resources = pulp.registry().resources();
                    let is_repository =
                        |model: &str| resources.iter().any(|one| one.table == Target::REPOSITORY.table && one.model == model);
                    is_repository(&prn.model).then_some(prn.id)
                });
                needed.collect()
            }
        }
    }

    fn data(&self, pulp: &Pulp, domain: &str) -> Json {
        match self {
            Self::TaskEnded { row, state, error, at } => json!({
                "task": {
                    "pulp_href": pulp.hrefs().object(domain, "tasks", row.pulp_id),
                    "prn": Prn::new("core.task", row.pulp_id).to_string(),
                    "name": row.name,
                    "state": state.as_str(),
                    "logging_cid": row.logging_cid,
                    "started_at": row.started_at.map(to_wire),
                    "finished_at": to_wire(*at),
                    "error": error,
                    "reserved_resources_record": row.reserved_resources_record.0,
                }
            }),
            Self::VersionCreated { repository, version } => {
                let resource = pulp.registry().resource_of_type(Target::REPOSITORY.table, &repository.pulp_type);
                let href = resource.map(|resource| pulp.hrefs().object(domain, resource.path, repository.pulp_id));
                json!({
                    "repository_version": {
                        "pulp_href": href.as_ref().map(|href| format!("{href}versions/{}/", version.number)),
                        "prn": Prn::new("core.repositoryversion", version.pulp_id).to_string(),
                        "number": version.number,
                        "repository": href,
                        "repository_name": repository.name,
                    }
                })
            }
        }
    }
}

/// Until when a message of this moment is tried to be sent.
pub(super) fn retry_until(pulp: &Pulp, now: Timestamp) -> Timestamp {
    let hours = TimeDelta::try_hours(pulp.settings().webhook_retry_hours.max(0)).unwrap_or_default();
    now.checked_add_signed(hours).unwrap_or(now)
}

/// The text of a message.
fn body(id: Uuid, event: &str, now: Timestamp, domain: &str, data: &Json) -> String {
    let mut body = json!({"id": id, "event": event, "created": to_wire(now), "domain": domain});
    if let (Some(body), Some(data)) = (body.as_object_mut(), data.as_object()) {
        body.extend(data.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    body.to_string()
}

/// Writes what is to be told of an event into its own transaction. Where there is no webhook it asks nobody.
pub(crate) async fn emit(pulp: &Pulp, tx: &Tx, event: Event<'_>) -> Result<(), DbError> {
    let all = pulp.webhooks().known.all(pulp, tx).await?;
    for name in event.names() {
        let asked = |one: &&Subscription| one.events.iter().any(|wanted| wanted == name);
        let first =
            |one: &&Subscription| event.names().iter().find(|known| one.events.iter().any(|wanted| wanted == **known)) == Some(name);
        let mine: Vec<&Subscription> = all.iter().filter(|one| one.pulp_domain_id == event.domain()).filter(asked).filter(first).collect();
        let mine = concerned(pulp, tx, &mine, &event).await?;
        if mine.is_empty() {
            continue;
        }
        let now = pulp.now();
        let domain = domain(pulp, tx, event.domain()).await?;
        let data = event.data(pulp, &domain);
        WebhookDelivery::write(tx, &mine, name, |id| body(id, name, now, &domain, &data), now, retry_until(pulp, now)).await?;
    }
    Ok(())
}

/// Those whose filters the event meets.
async fn concerned(pulp: &Pulp, tx: &Tx, all: &[&Subscription], event: &Event<'_>) -> Result<Vec<Uuid>, DbError> {
    let mut mine = Vec::new();
    if all.is_empty() {
        return Ok(mine);
    }
    let repositories = event.repositories(pulp);
    for one in all {
        let of_repository = one.repository_id.is_none_or(|id| repositories.contains(&id));
        let labelled = match one.label_select.as_deref().filter(|text| !text.is_empty()) {
            _ if !of_repository => false,
            None => true,
            Some(text) => has_labels(tx, &repositories, text).await?,
        };
        if labelled {
            mine.push(one.pulp_id);
        }
    }
    Ok(mine)
}

/// Whether one of the repositories has such labels.
async fn has_labels(tx: &Tx, repositories: &BTreeSet<Uuid>, text: &str) -> Result<bool, DbError> {
    // It was read once before it was stored.
    let Ok(condition) = select_labels(tx.dialect(), text) else { return Ok(false) };
    if repositories.is_empty() {
        return Ok(false);
    }
    let mut sql = Sql::new("select 1 from core_repository b where b.pulp_id in ");
    sql.push_list(repositories.iter().copied()).push(" and (");
    condition.write(&mut sql);
    sql.push(") limit 1");
    Ok(!tx.rows(sql).await?.is_empty())
}

async fn domain(pulp: &Pulp, tx: &Tx, id: Uuid) -> Result<String, DbError> {
    let default = pulp.default_domain();
    if id == default.pulp_id {
        return Ok(default.name.clone());
    }
    tx.scalar(Sql::new("select name from core_domain where pulp_id = $1").bind(id)).await
}

/// Writes a message that tries a webhook; its key.
pub(crate) async fn ping(pulp: &Pulp, webhook: Uuid, domain: &Domain) -> Result<Uuid, DbError> {
    let now = pulp.now();
    let text = |id| body(id, PING, now, &domain.name, &json!({}));
    WebhookDelivery::write_one(pulp.db(), webhook, PING, text, now, retry_until(pulp, now)).await
}

/// Has a message of a webhook sent again; not if there is none.
pub(crate) async fn again(pulp: &Pulp, webhook: Uuid, delivery: Uuid) -> Result<bool, DbError> {
    let now = pulp.now();
    WebhookDelivery::again(pulp.db(), webhook, delivery, now, retry_until(pulp, now)).await
}
