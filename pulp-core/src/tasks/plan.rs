//! A task that is worked out and not dispatched yet: whoever plans it dispatches it in a transaction of their own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::dispatch::Draft;
use super::{DispatchOptions, Task, Tasks};
use crate::Result;
use crate::db::Tx;
use crate::model::TaskRow;

/// A task that can be dispatched.
pub(crate) struct Planned(Draft);

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planned")
    }
}

/// Where a planned task is put by whoever would have dispatched it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan(Arc<Mutex<Option<Planned>>>);

impl Plan {
    pub(crate) fn put(&self, planned: Planned) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(planned);
    }

    /// What was put there, if anything was.
    pub(crate) fn take(&self) -> Option<Planned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A planned task whose row is written and not committed yet.
#[must_use = "others must be told once it is committed"]
pub(crate) struct Written(super::dispatch::Inserted);

impl Tasks {
    /// Works out a task; a worker is to run it.
    pub(crate) fn plan<T: Task>(&self, task: T, options: DispatchOptions) -> Result<Planned> {
        Ok(Planned(Draft::of(self, task, false, options)?))
    }
}

impl Planned {
    pub(crate) async fn write(self, tasks: &Tasks, tx: &Tx) -> Result<Written> {
        Ok(Written(self.0.insert(tasks, tx, None).await?))
    }
}

impl Written {
    pub(crate) fn row(&self) -> &TaskRow {
        &self.0.row
    }

    /// To be called once it is committed.
    pub(crate) async fn committed(self, tasks: &Tasks) -> Result<TaskRow> {
        self.0.committed(tasks).await
    }
}
