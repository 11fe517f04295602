//! Cancelling tasks, and deleting those that have ended.

use uuid::Uuid;

use super::Tasks;
use super::finish::{after_end, needs, release};
use super::hub::tell_others;
use crate::db::{Executor, ExecutorExt, Sql};
use crate::model::{TaskRow, TaskState};
use crate::webhooks::{Event, emit};
use crate::{Error, Result};

impl Tasks {
    /// Cancels a task: one that waits is canceled at once; one that runs is `canceling` until its process has dropped it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it has ended already, [`Error::NotFound`] if there is none.
    pub async fn cancel(&self, id: Uuid) -> Result<TaskRow> {
        let pulp = &self.pulp;
        let tx = pulp.db().begin().await?;
        let find = Sql::new(format!("select * from core_task where pulp_id = $1{}", tx.dialect().for_update())).bind(id);
        let row: TaskRow = tx.optional(find).await?.ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let (state, finished_at) = match row.state() {
            TaskState::Waiting => (TaskState::Canceled, Some(pulp.now())),
            TaskState::Running => (TaskState::Canceling, None),
            TaskState::Canceling => return Ok(row),
            ended => return Err(Error::Conflict(format!("task {id} is {ended} already: it cannot be canceled"))),
        };
        let mut sql = Sql::new("update core_task set state = $1, pulp_last_updated = $2, finished_at = $3")
            .bind(state.as_str())
            .bind(pulp.now())
            .bind(finished_at);
        if state.is_final() {
            sql.push(", args = ").push_bind(serde_json::Value::Object(serde_json::Map::new()));
            release(&tx, row.sequence).await?;
            emit(pulp, &tx, Event::TaskEnded { row: &row, state, error: None, at: pulp.now() }).await?;
        }
        sql.push(" where pulp_id = ").push_bind(id).push(" returning *");
        let changed: TaskRow = tx.one(sql).await?;
        tell_others(&tx, id, state).await?;
        tx.commit().await?;
        if state.is_final() {
            after_end(pulp, id, &needs(&row), state).await;
        } else {
            pulp.hub().tell(id, state);
        }
        Ok(changed)
    }

    /// Deletes a task that has ended, with its progress reports.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it has not ended, [`Error::NotFound`] if there is none.
    pub async fn delete(&self, id: Uuid) -> Result<()> {
        let row = self.find(id).await?;
        if !row.state().is_final() {
            return Err(Error::Conflict(format!("task {id} is {}: cancel it first", row.state())));
        }
        self.pulp.db().execute(Sql::new("delete from core_task where pulp_id = $1").bind(id)).await?;
        Ok(())
    }
}
