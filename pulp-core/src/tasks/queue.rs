//! How many tasks there are to do.

use super::Tasks;
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{Executor, ExecutorExt, Sql};
use crate::model::TaskState;

/// The tasks that have not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// How many are in each state that is not final.
    pub unfinished: Vec<(TaskState, i64)>,
    /// Of those that wait, how many could start.
    pub unblocked: i64,
    /// Since when the first of these could.
    pub unblocked_since: Option<Timestamp>,
}

impl Tasks {
    /// Counts the tasks that have not ended, of all domains. It reads an entry of an index for each, and no other task.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn queue(&self) -> Result<Queue> {
        let db = self.pulp.db();
        let mut by_state = Sql::new("select state, count(*) from core_task where state in ");
        let states = [TaskState::Waiting, TaskState::Running, TaskState::Canceling];
        by_state.push_list(states.map(TaskState::as_str)).push(" group by state");
        let counted: Vec<(String, i64)> = db.all(by_state).await?;
        let count = |state: TaskState| counted.iter().find(|(known, _)| known == state.as_str()).map_or(0, |(_, count)| *count);
        let ready = db.dialect().by_index("core_task_ready");
        let unblocked = Sql::new(format!(
            "select count(*), min(unblocked_at) from core_task{ready} where state = 'waiting' and unblocked_at is not null"
        ));
        let (unblocked, unblocked_since) = db.one::<(i64, Option<Timestamp>)>(unblocked).await?;
        Ok(Queue { unfinished: states.map(|state| (state, count(state))).to_vec(), unblocked, unblocked_since })
    }

    /// How many tasks this process runs now.
    pub fn running_here(&self) -> usize {
        self.pulp.hub().running().len()
    }
}
