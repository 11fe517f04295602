//! A kind of task with its type forgotten, so that a worker can run it by name.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value as Json;

use super::{Task, TaskContext, TaskOutput};
use crate::{Error, Result};

type Run = Arc<dyn Fn(Json, TaskContext) -> BoxFuture<'static, Result<TaskOutput>> + Send + Sync>;

/// A kind of task, as the registry knows it.
#[derive(Clone)]
pub struct TaskKind {
    name: &'static str,
    run: Run,
}

impl TaskKind {
    /// The kind that `T` is.
    pub fn of<T: Task>() -> Self {
        let run: Run = Arc::new(|args, cx| {
            Box::pin(async move {
                // What was written by an older version of the same kind may lack what this one needs.
                let task: T = serde_json::from_value(args)
                    .map_err(|error| Error::Internal(format!("the arguments of task {} cannot be read: {error}", T::NAME)))?;
                task.run(cx).await
            })
        });
        Self { name: T::NAME, run }
    }

    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs a task of this kind from its serialised form.
    pub(super) fn run(&self, args: Json, cx: TaskContext) -> BoxFuture<'static, Result<TaskOutput>> {
        (self.run)(args, cx)
    }
}

impl fmt::Debug for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskKind").field(&self.name).finish()
    }
}
