//! What a running task is given.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::progress::Notes;
use super::{Created, DispatchOptions, LogLevel, ProgressReport, Task};
use crate::db::{Executor, ExecutorExt, Sql};
use crate::model::{Domain, TaskRow};
use crate::shareable::shareable;
use crate::{Error, Pulp, Result};

/// What a running task is given: the library, who it is, and how to tell what it does. Cheap to clone.
#[derive(Clone)]
pub struct TaskContext(Arc<Inner>);

shareable!(Inner(Parts));

struct Parts {
    pulp: Pulp,
    task: Uuid,
    fence: i64,
    cid: String,
    user: Option<i64>,
    group: Option<Uuid>,
    domain: Arc<Domain>,
    cancel: CancellationToken,
    notes: Arc<Notes>,
}

impl TaskContext {
    pub(super) fn new(pulp: Pulp, row: &TaskRow, domain: Arc<Domain>, cancel: CancellationToken, notes: Arc<Notes>) -> Self {
        Self(Arc::new(Inner(Parts {
            pulp,
            task: row.pulp_id,
            fence: row.fence,
            cid: row.logging_cid.clone(),
            user: row.user_id,
            group: row.task_group_id,
            domain,
            cancel,
            notes,
        })))
    }

    /// The library.
    pub fn pulp(&self) -> &Pulp {
        &self.0.pulp
    }

    /// The task’s key.
    pub fn id(&self) -> Uuid {
        self.0.task
    }

    /// The domain in which the task was dispatched.
    pub fn domain(&self) -> &Domain {
        &self.0.domain
    }

    /// The correlation id of the request that led to this task.
    pub fn cid(&self) -> &str {
        &self.0.cid
    }

    /// Who dispatched it.
    pub fn user(&self) -> Option<i64> {
        self.0.user
    }

    /// The group it belongs to.
    pub fn group(&self) -> Option<Uuid> {
        self.0.group
    }

    /// The token of this claim: it grows each time a task is claimed.
    pub fn fence(&self) -> i64 {
        self.0.fence
    }

    /// Ends when the task is cancelled. Needed only by work that does not await: the future is dropped anyway.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.0.cancel
    }

    /// Starts a line of progress. `message` is for people, `code` for scripts (`sync.downloading.artifacts`).
    pub fn progress(&self, message: impl Into<String>, code: impl Into<String>) -> ProgressReport {
        self.0.notes.report(message.into(), code.into())
    }

    /// Writes a line for whoever follows the task, and whoever may see it: no secret, and no path of the host. The first thousand are kept,
    /// of 2,000 bytes at most each. What is for the operator goes to the log of the process.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        self.0.notes.log(level, message.into());
    }

    /// Notes an object that the task made; call it once the object is committed.
    pub fn created(&self, created: Created) {
        self.0.notes.created(created);
    }

    /// Makes sure, as part of a transaction, that this task is still the one to do its work: to be called in the transaction that
    /// makes the result visible. A process that was thought dead (stopped, cut off) and comes back is turned away here.
    ///
    /// # Errors
    /// [`Error::Canceled`] if the task was cancelled, or was failed because its process gave no sign of life.
    pub async fn hold<E: Executor + ?Sized>(&self, tx: &E) -> Result<()> {
        let sql = Sql::new(format!(
            "select sequence from core_task where pulp_id = $1 and fence = $2 and state = 'running'{}",
            tx.dialect().for_update()
        ));
        match tx.optional::<(i64,)>(sql.bind(self.0.task).bind(self.0.fence)).await? {
            Some(_) => Ok(()),
            None => Err(Error::Canceled),
        }
    }

    /// Options that make another task a child of this one, in the same domain and group, for the same user and request.
    pub fn child_options(&self) -> DispatchOptions {
        DispatchOptions {
            domain: Some(self.0.domain.clone()),
            parent: Some(self.0.task),
            group: self.0.group,
            cid: Some(self.0.cid.clone()),
            user: self.0.user,
            ..DispatchOptions::default()
        }
    }

    /// Dispatches another task as a child of this one. Do not wait for it if it needs what this one has reserved.
    ///
    /// # Errors
    /// As [`Tasks::dispatch`](super::Tasks::dispatch).
    pub async fn dispatch<T: Task>(&self, task: T) -> Result<TaskRow> {
        // A parent that runs must not run the child in its own stead: it may conflict with what the parent holds.
        self.0.pulp.tasks().dispatch(task, DispatchOptions { immediate: Some(false), ..self.child_options() }).await
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext").field("task", &self.0.task).field("fence", &self.0.fence).finish_non_exhaustive()
    }
}
