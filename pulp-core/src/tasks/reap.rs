//! Ending the tasks of processes that are gone.

use uuid::Uuid;

use super::finish::{after_end, needs, release};
use super::hub::tell_others;
use super::presence::presences;
use super::run::ended_from_outside;
use super::{OrphanCleanup, Tasks, claim};
use crate::Result;
use crate::db::{Executor, ExecutorExt, Sql};
use crate::model::{AppStatus, TaskRow, TaskState};
use crate::webhooks::{Event, emit};

/// What Pulp writes into such a task.
const GONE: &str = "Worker has gone missing.";

impl Tasks {
    /// Ends, as failed, the tasks whose process gives no sign of life any more, frees what they had reserved, and forgets those
    /// processes. Any number of processes may do it at the same time. Gives the ended tasks.
    ///
    /// # Errors
    /// If the database cannot be reached; what was done until then stays done.
    pub async fn reap(&self) -> Result<Vec<Uuid>> {
        let now = self.pulp.now();
        let own = presences(&self.pulp).clone();
        let apps: Vec<AppStatus> = self.pulp.db().all("select * from core_appstatus").await?;
        let mut ended = Vec::new();
        let mut died = false;
        // Our own row may be stale when the machine was asleep; we know better.
        for app in apps.iter().filter(|app| !app.is_online(now) && !own.contains(&app.pulp_id)) {
            tracing::warn!(process = %app.name, role = %app.app_type, last_heartbeat = %app.last_heartbeat, "a process has gone missing");
            ended.extend(self.fail_tasks_of(Some(app.pulp_id)).await?);
            died = true;
        }
        // Tasks whose process has no row at all.
        ended.extend(self.fail_tasks_of(None).await?);
        if died {
            OrphanCleanup::note_death(self.pulp.db(), now).await?;
            // It may have committed the end of a task, or a new one, and not have come to look for those that may go on.
            claim::unblock_all(&self.pulp).await?;
        }
        Ok(ended)
    }

    /// At start: where no other process can be at work, whatever seems to run is left over from a process that died.
    pub(crate) async fn recover(&self) -> Result<()> {
        let db = self.pulp.db();
        if db.dialect().notify().is_some() {
            return Ok(());
        }
        if db.execute("delete from core_appstatus").await? > 0 {
            OrphanCleanup::note_death(db, self.pulp.now()).await?;
        }
        let ended = self.fail_tasks_of(None).await?;
        if !ended.is_empty() {
            tracing::warn!(count = ended.len(), "tasks that a former process did not end are failed");
        }
        claim::unblock_all(&self.pulp).await?;
        Ok(())
    }

    /// Ends the tasks that this process was running, and forgets it; for `None`, those of processes that have no row.
    async fn fail_tasks_of(&self, app: Option<Uuid>) -> Result<Vec<Uuid>> {
        let pulp = &self.pulp;
        let tx = pulp.db().begin().await?;
        if let Some(app) = app {
            // Who finds the row locked leaves it to whoever holds it. The heartbeat is looked at again: it may have come back.
            let lock = format!("select * from core_appstatus where pulp_id = $1{}", tx.dialect().for_update_skip_locked());
            let row: Option<AppStatus> = tx.optional(Sql::new(lock).bind(app)).await?;
            if row.is_none_or(|row| row.is_online(pulp.now())) {
                return Ok(Vec::new());
            }
        }
        let mut find = Sql::new("select * from core_task where state in ('running', 'canceling') and ");
        match app {
            Some(app) => find.push("app_lock_id = ").push_bind(app),
            None => find.push(
                "(app_lock_id is null or not exists (select 1 from core_appstatus where core_appstatus.pulp_id = core_task.app_lock_id))",
            ),
        };
        find.push(tx.dialect().for_update_skip_locked());
        let tasks: Vec<TaskRow> = tx.all(find).await?;
        let mut ended = Vec::with_capacity(tasks.len());
        for row in tasks {
            let state = if row.state() == TaskState::Canceling { TaskState::Canceled } else { TaskState::Failed };
            let error = (state == TaskState::Failed).then(|| ended_from_outside(GONE));
            emit(pulp, &tx, Event::TaskEnded { row: &row, state, error: error.as_ref(), at: pulp.now() }).await?;
            tx.execute(
                Sql::new(
                    "update core_task set state = $1, finished_at = $2, pulp_last_updated = $2, error = $3, args = $4, app_lock_id = null, \
                     fence = fence + 1 where pulp_id = $5",
                )
                .bind(state.as_str())
                .bind(pulp.now())
                .bind(error)
                .bind(serde_json::Value::Object(serde_json::Map::new()))
                .bind(row.pulp_id),
            )
            .await?;
            tx.execute(
                Sql::new("update core_progressreport set state = $1 where task_id = $2 and state in ('running', 'waiting')")
                    .bind(state.as_str())
                    .bind(row.pulp_id),
            )
            .await?;
            release(&tx, row.sequence).await?;
            tell_others(&tx, row.pulp_id, state).await?;
            ended.push((row, state));
        }
        if let Some(app) = app {
            tx.execute(Sql::new("delete from core_appstatus where pulp_id = $1").bind(app)).await?;
        }
        tx.commit().await?;
        for (row, state) in &ended {
            tracing::warn!(task = %row.pulp_id, name = %row.name, cid = %row.logging_cid, %state, "{GONE}");
            after_end(pulp, row.pulp_id, &needs(row), *state).await;
        }
        Ok(ended.into_iter().map(|(row, _)| row.pulp_id).collect())
    }
}
