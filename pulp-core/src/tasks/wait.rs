//! Looking at tasks, and waiting for them.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::Tasks;
use crate::Result;
use crate::model::{Model, TaskRow};

/// How long to trust that a change is told before looking for oneself.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Tasks {
    /// The task with this key.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if there is none.
    pub async fn find(&self, id: Uuid) -> Result<TaskRow> {
        TaskRow::find(self.pulp.db(), id).await
    }

    /// Waits until a task has ended, however it did; its row then. There is no limit of time: drop the future to stop waiting.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if there is no such task, or it was deleted meanwhile.
    pub async fn wait(&self, id: Uuid) -> Result<TaskRow> {
        let mut events = self.events();
        loop {
            let row = self.find(id).await?;
            if row.state().is_final() {
                return Ok(row);
            }
            let told = async {
                loop {
                    match events.recv().await {
                        Ok(event) if event.task == id && event.state.is_final() => return,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => return,
                        // The sender lives in the handle that we hold.
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            // The time-out only means: look again.
            let _ = tokio::time::timeout(LOOK_AGAIN, told).await;
        }
    }

    /// Waits until a task has ended or is no longer there, for a while at most; whether anybody has waited: not if too many wait for tasks
    /// or follow them in this process. Ends when the process stops.
    pub(crate) async fn wait_at_most(&self, id: Uuid, limit: Duration) -> bool {
        let Some(following) = self.may_follow() else { return false };
        tokio::select! {
            ended = tokio::time::timeout(limit, self.wait(id)) => drop(ended),
            () = following.closed() => {}
        }
        true
    }
}
