//! The task that deletes tasks which ended long ago.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Resources, Task, TaskContext, TaskOutput};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt, Sql};
use crate::model::TaskState;
use crate::resource::{Fragment, Grants};

/// How many tasks go in one transaction: readers and other writers get their turn in between.
const BATCH: usize = 500;

/// Deletes the tasks of a domain that have ended before a moment, with their progress reports and notes of created resources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Purge {
    /// The moment.
    pub finished_before: Timestamp,
    /// How they ended; other states are ignored.
    pub states: Vec<TaskState>,
    /// Only tasks that this user may delete by roles on them; all if unset.
    #[serde(default)]
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
        let db = cx.pulp().db();
        let mut last = 0;
        loop {
            let batch = self.ended(&cx, last).await?;
            let Some((sequence, _)) = batch.last() else { break };
            last = *sequence;
            let ids: Vec<Uuid> = batch.into_iter().map(|(_, id)| id).collect();
            let (gone, all) = delete(db, &ids).await?;
            for (report, by) in [(&tasks, gone), (&total, all), (&failed, i64::try_from(ids.len()).unwrap_or(i64::MAX) - gone)] {
                report.increase(by);
                report.increase_total(by);
            }
        }
        Ok(().into())
    }
}

impl Purge {
    /// A batch of them in the order of dispatch, from behind `after`.
    async fn ended(&self, cx: &TaskContext, after: i64) -> Result<Vec<(i64, Uuid)>, DbError> {
        let states = self.states.iter().filter(|state| state.is_final()).map(|state| state.as_str());
        let mut sql = Sql::new(
            "select sequence, pulp_id from core_task where pulp_domain_id = $1 and finished_at < $2 and sequence > $3 and state in ",
        )
        .bind(cx.domain().pulp_id)
        .bind(self.finished_before)
        .bind(after);
        sql.push_list(states);
        if let Some(user) = self.of_user {
            let theirs = Grants::of_objects(user).objects(cx.pulp().access(), "core.task", "core.delete_task");
            sql.push(" and pulp_id in (");
            theirs.unwrap_or_else(|| Fragment::new("null")).write(&mut sql);
            sql.push(")");
        }
        sql.push(format!(" order by sequence limit {BATCH}"));
        cx.pulp().db().all(sql).await
    }
}

/// Deletes tasks and what belongs to them; how many tasks, and how many rows in all.
pub(super) async fn delete(db: &Db, ids: &[Uuid]) -> Result<(i64, i64), DbError> {
    let tx = db.begin().await?;
    let mut rows = 0;
    for related in ["core_progressreport", "core_createdresource"] {
        let mut sql = Sql::new(format!("delete from {related} where task_id in "));
        sql.push_list(ids);
        rows += tx.execute(sql).await?;
    }
    let mut sql = Sql::new("delete from core_task where pulp_id in ");
    sql.push_list(ids);
    let tasks = tx.execute(sql).await?;
    tx.commit().await?;
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok((count(tasks), count(rows + tasks)))
}

/// Deletes all tasks, of any domain, that ended before a moment; how many.
pub(super) async fn purge_all(db: &Db, before: Timestamp) -> Result<i64, DbError> {
    let mut all = 0;
    loop {
        let sql = Sql::new(format!(
            "select pulp_id from core_task where state in ('completed', 'failed', 'canceled', 'skipped') and finished_at < $1 limit {BATCH}"
        ));
        let ids: Vec<Uuid> = db.column(sql.bind(before)).await?;
        if ids.is_empty() {
            return Ok(all);
        }
        all += delete(db, &ids).await?.0;
    }
}
