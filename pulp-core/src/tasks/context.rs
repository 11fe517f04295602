//! What a running task is given.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Pulp;
use crate::model::Domain;

/// What a running task is given: the library, who it is, and how to tell what it does.
#[derive(Debug, Clone)]
pub struct TaskContext {
    pulp: Pulp,
    task: Uuid,
    domain: Arc<Domain>,
    cancel: CancellationToken,
}

impl TaskContext {
    pub(crate) fn new(pulp: Pulp, task: Uuid, domain: Arc<Domain>, cancel: CancellationToken) -> Self {
        Self { pulp, task, domain, cancel }
    }

    /// The library.
    pub fn pulp(&self) -> &Pulp {
        &self.pulp
    }

    /// The task’s key.
    pub fn id(&self) -> Uuid {
        self.task
    }

    /// The domain in which the task was dispatched.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Ends when the task is cancelled. Needed only by work that does not await: the future is dropped anyway.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }
}
