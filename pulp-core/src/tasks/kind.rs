//! A kind of task with its type forgotten, so that a worker can run it by name.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value as Json;

use super::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

type Needs = Arc<dyn Fn(&Json) -> Result<Resources> + Send + Sync>;
type Run = Arc<dyn Fn(Json, TaskContext) -> BoxFuture<'static, Result<TaskOutput>> + Send + Sync>;

/// A kind of task, as the registry knows it.
#[derive(Clone)]
pub struct TaskKind {
    name: &'static str,
    version: i64,
    needs: Needs,
    run: Run,
}

impl TaskKind {
    /// The kind that `T` is.
    pub fn of<T: Task>() -> Self {
        let needs: Needs = Arc::new(|args| read::<T>(args.clone()).map(|task| task.resources()));
        let run: Run = Arc::new(|args, cx| Box::pin(async move { read::<T>(args)?.run(cx).await }));
        Self { name: T::NAME, version: T::VERSION, needs, run }
    }

    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The latest version of it that this process can run.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// What a task of this kind needs, by its serialised form.
    pub(super) fn resources(&self, args: &Json) -> Result<Resources> {
        (self.needs)(args)
    }

    /// Runs a task of this kind from its serialised form.
    pub(super) fn run(&self, args: Json, cx: TaskContext) -> BoxFuture<'static, Result<TaskOutput>> {
        (self.run)(args, cx)
    }
}

/// What was written by an older version of the same kind may lack what this one needs.
fn read<T: Task>(args: Json) -> Result<T> {
    serde_json::from_value(args).map_err(|error| Error::Internal(format!("the arguments of task {} cannot be read: {error}", T::NAME)))
}

impl fmt::Debug for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskKind").field(&self.name).finish()
    }
}
