//! The end of a task: its result, and the reservations given back, in one transaction, by whoever still holds its lease.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::hub::tell_others;
use super::progress::Notes;
use super::{Resources, claim};
use crate::Pulp;
use crate::content::Change;
use crate::db::{DbError, ExecutorExt, Sql, Tx};
use crate::model::{TaskRow, TaskState};
use crate::webhooks::{Event, emit};

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ending {
    pub(super) state: TaskState,
    pub(super) error: Option<Json>,
    pub(super) result: Option<Json>,
}

impl Ending {
    pub(super) fn new(state: TaskState) -> Self {
        Self { state, error: None, result: None }
    }

    pub(super) fn with_error(self, error: Json) -> Self {
        Self { error: Some(error), ..self }
    }
}

/// Writes how a claimed task ended, and all that it noted. Tells whether it was ours to say: not if the lease was lost meanwhile.
pub(super) async fn finish(pulp: &Pulp, row: &TaskRow, ending: &Ending, notes: &Notes) -> Result<bool, DbError> {
    notes.end(match ending.state {
        TaskState::Completed => TaskState::Completed,
        TaskState::Canceled => TaskState::Canceled,
        _ => TaskState::Failed,
    });
    let tx = pulp.db().begin().await?;
    let ours = Sql::new(
        "update core_task set state = $1, finished_at = $2, pulp_last_updated = $2, error = $3, result = $4, args = $5, app_lock_id = null \
         where pulp_id = $6 and fence = $7 and app_lock_id = $8 and state in ('running', 'canceling')",
    )
    .bind(ending.state.as_str())
    .bind(pulp.now())
    .bind(ending.error.clone())
    .bind(ending.result.clone())
    .bind(Json::Object(Map::new()))
    .bind(row.pulp_id)
    .bind(row.fence)
    .bind(row.app_lock_id);
    if tx.execute(ours).await? == 0 {
        tx.rollback().await?;
        return Ok(false);
    }
    release(&tx, row.sequence).await?;
    emit(pulp, &tx, Event::TaskEnded { row, state: ending.state, error: ending.error.as_ref(), at: pulp.now() }).await?;
    let unwritten = notes.take();
    if !unwritten.is_empty() {
        unwritten.write(&tx, row.pulp_id, pulp.now()).await?;
    }
    tell_others(&tx, row.pulp_id, ending.state).await?;
    tx.commit().await?;
    unwritten.written();
    // Before anybody hears that the task has ended: whoever waits for it finds what it changed.
    Change::announce_task(pulp, &needs(row)).await;
    after_end(pulp, row.pulp_id, &needs(row), ending.state).await;
    Ok(true)
}

/// Gives back what a task had reserved.
pub(super) async fn release(tx: &Tx, sequence: i64) -> Result<(), DbError> {
    tx.execute(Sql::new("delete from core_taskreservation where task_sequence = $1").bind(sequence)).await?;
    Ok(())
}

/// What a task needs, by its row.
pub(super) fn needs(row: &TaskRow) -> Resources {
    Resources::from_record(row.reserved_resources_record.iter().map(String::as_str))
}

/// After the commit that ended a task: lets those go on that it may have blocked, and tells this process.
pub(super) async fn after_end(pulp: &Pulp, task: Uuid, released: &Resources, state: TaskState) {
    claim::unblock_surely(pulp, released).await;
    pulp.hub().tell(task, state);
}
