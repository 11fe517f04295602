//! The task that deletes tasks which ended long ago.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::housekeeping::minutes_ago;
use super::{ProgressReport, Resources, Task, TaskContext, TaskOutput};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt, Sql};
use crate::model::TaskState;
use crate::resource::{Fragment, Grants};

/// How many tasks go in one transaction: readers and other writers get their turn in between.
const BATCH: usize = 500;

/// Deletes tasks that have ended before a moment, with their progress reports and notes of created resources.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Purge {
    /// The moment; where none is given, as by the schedule, `TASK_PROTECTION_TIME` before now, and the tasks of all domains.
    pub finished_before: Option<Timestamp>,
    /// How they ended; other states are ignored. None given: all of them.
    pub states: Option<Vec<TaskState>>,
    /// Only tasks that this user may delete by roles on them; all if unset.
    pub of_user: Option<i64>,
}

#[async_trait]
impl Task for Purge {
    const NAME: &'static str = "pulpcore.app.tasks.purge.purge";

    fn resources(&self) -> Resources {
        Resources::none()
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let tasks = cx.progress("Purged task-objects of type core.Task", "purge.tasks.key.core.Task").total(0);
        let total = cx.progress("Purged task-related-objects total", "purge.tasks.total").total(0);
        let failed = cx.progress("Tasks failed to purge", "purge.tasks.error").total(0);
        let pulp = cx.pulp();
        let (before, domain) = match self.finished_before {
            Some(before) => (before, Some(cx.domain().pulp_id)),
            None => match minutes_ago(pulp, pulp.settings().task_protection_time) {
                Some(before) => (before, None),
                // The setting was changed since this was dispatched: tasks are kept for ever.
                None => return Ok(().into()),
            },
        };
        let theirs = |user| Grants::of_objects(user).objects(pulp.access(), "core.task", "core.delete_task");
        let only = self
            .of_user
            .map(|user| theirs(user).map_or_else(Fragment::never, |held| Fragment::new("core_task.pulp_id in (").then(held).text(")")));
        let states = self.states.unwrap_or_else(|| TaskState::ALL.to_vec());
        let mut related: BTreeMap<&'static str, ProgressReport> = BTreeMap::new();
        let mut last = 0;
        loop {
            let batch = ended(pulp.db(), domain, before, &states, last, only.as_ref()).await?;
            let Some((sequence, _)) = batch.last() else { break };
            last = *sequence;
            let ids: Vec<Uuid> = batch.into_iter().map(|(_, id)| id).collect();
            let gone = delete(pulp.db(), &ids).await?;
            let mut all = gone.tasks;
            for (model, count) in gone.related {
                all += count;
                let report = related.entry(model).or_insert_with(|| {
                    let (message, code) = (format!("Purged task-objects of type {model}"), format!("purge.tasks.key.{model}"));
                    cx.progress(message, code).total(0)
                });
                report.increase_total(count);
                report.increase(count);
            }
            let missed = i64::try_from(ids.len()).unwrap_or(i64::MAX) - gone.tasks;
            for (report, by) in [(&tasks, gone.tasks), (&total, all), (&failed, missed)] {
                report.increase_total(by);
                report.increase(by);
            }
        }
        Ok(().into())
    }
}

/// A batch of them in the order of dispatch, from behind `after`.
async fn ended(
    db: &Db,
    domain: Option<Uuid>,
    before: Timestamp,
    states: &[TaskState],
    after: i64,
    only: Option<&Fragment>,
) -> Result<Vec<(i64, Uuid)>, DbError> {
    let states: Vec<&str> = states.iter().filter(|state| state.is_final()).map(|state| state.as_str()).collect();
    if states.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("select sequence, pulp_id from core_task where finished_at < $1 and sequence > $2 and state in ");
    sql = sql.bind(before).bind(after);
    sql.push_list(states);
    if let Some(domain) = domain {
        sql.push(" and pulp_domain_id = ").push_bind(domain);
    }
    if let Some(only) = only {
        sql.push(" and ");
        only.write(&mut sql);
    }
    sql.push(format!(" order by sequence limit {BATCH}"));
    db.all(sql).await
}

/// What a batch took with it.
struct Gone {
    tasks: i64,
    /// Rows that belonged to the tasks, by model.
    related: Vec<(&'static str, i64)>,
}

/// Deletes tasks and what belongs to them.
async fn delete(db: &Db, ids: &[Uuid]) -> Result<Gone, DbError> {
    const RELATED: [(&str, &str, &str); 5] = [
        // Lines of the log go with their task: Pulp knows none, and counts none.
        ("core.ProgressReport", "core_progressreport", "task_id"),
        ("core.CreatedResource", "core_createdresource", "task_id"),
        ("core.ProfileArtifact", "core_profileartifact", "task_id"),
        ("core.UserRole", "core_userrole", "object_id"),
        ("core.GroupRole", "core_grouprole", "object_id"),
    ];
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    let tx = db.begin().await?;
    let mut related = Vec::new();
    for (model, table, column) in RELATED {
        let mut sql = Sql::new(format!("delete from {table} where {column} in "));
        sql.push_list(ids);
        let rows = count(tx.execute(sql).await?);
        if rows > 0 {
            related.push((model, rows));
        }
    }
    let mut sql = Sql::new("delete from core_task where pulp_id in ");
    sql.push_list(ids);
    let tasks = count(tx.execute(sql).await?);
    tx.commit().await?;
    Ok(Gone { tasks, related })
}
