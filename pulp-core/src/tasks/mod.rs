//! Tasks: work that is recorded, ordered by the resources it needs, and done by whichever worker is free.
//!
//! A task is a serialisable struct with a [`run`](Task::run). It names what it needs, exclusively or shared; among tasks
//! that conflict the order is that of dispatch, and tasks that do not conflict run side by side.
//!
//! [`Tasks`] (from [`Pulp::tasks`]) dispatches, waits and cancels; [`Workers`] does the work. All workers are equal: each claims
//! what it may start, holds it by a lease that its heartbeat renews, and writes a result only while it holds it. Whatever dies,
//! [`housekeeping`](Housekeeping) fails its tasks and frees what they had reserved.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

mod cancel;
mod claim;
mod context;
mod cron;
mod diagnostics;
mod dispatch;
mod expiry;
mod finish;
mod follow;
mod group;
mod housekeeping;
mod hub;
mod kind;
mod litter;
mod log;
mod orphan;
mod plan;
mod presence;
mod progress;
mod purge;
mod queue;
mod reap;
mod reclaim;
mod recurring;
mod repair;
mod run;
mod schedule;
mod scrub;
#[cfg(test)]
mod state_space;
mod wait;
mod workers;

pub use context::TaskContext;
pub use cron::{BadCron, Cron};
pub use dispatch::DispatchOptions;
pub use expiry::{TmpfileCleanup, UploadCleanup};
pub use follow::{Follow, News};
pub use group::GroupProgress;
pub use housekeeping::{Housekeeping, Reconciler};
pub(crate) use hub::Hub;
pub use hub::TaskEvent;
pub use kind::TaskKind;
pub use log::LogLevel;
pub use orphan::OrphanCleanup;
pub(crate) use plan::{Plan, Planned};
pub use presence::{AppRole, Presence};
pub use progress::ProgressReport;
pub use purge::Purge;
pub use queue::Queue;
pub use reclaim::ReclaimSpace;
pub use recurring::Rhythm;
pub(crate) use recurring::{interval_from_wire, interval_to_wire};
pub use repair::{RepairAll, RepairVersion};
pub use schedule::{QueuedTask, TaskId, schedule};
pub use scrub::Scrub;
pub use workers::Workers;

use crate::ids::Prn;
use crate::plugin::Registry;
use crate::{Pulp, Result};

/// Everything about tasks of one [`Pulp`]: dispatch, wait, cancel, groups, deletion, schedules.
///
/// ```
/// # use async_trait::async_trait;
/// # use pulp_core::tasks::{DispatchOptions, Resources, Task, TaskContext, TaskOutput};
/// # use pulp_core::{Pulp, Result};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Count { up_to: i64 }
///
/// #[async_trait]
/// impl Task for Count {
///     const NAME: &'static str = "example.count";
///     fn resources(&self) -> Resources {
///         Resources::none().exclusive("example:counter")
///     }
///     async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
///         let report = cx.progress("Counting", "example.count").total(self.up_to);
///         report.set_done(self.up_to);
///         Ok(TaskOutput { result: Some(self.up_to.into()) })
///     }
/// }
///
/// async fn count(pulp: &Pulp) -> Result<()> {
///     let task = pulp.tasks().dispatch(Count { up_to: 3 }, DispatchOptions::default()).await?;
///     let done = pulp.tasks().wait(task.pulp_id).await?;
///     println!("{}", done.state);
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Tasks {
    pulp: Pulp,
}

/// Adds the core’s own tasks.
pub(crate) fn register(registry: &mut Registry) {
    registry.task::<Purge>();
    registry.task::<OrphanCleanup>();
    registry.task::<ReclaimSpace>();
    registry.task::<RepairVersion>();
    registry.task::<RepairAll>();
    registry.task::<Scrub>();
    registry.task::<UploadCleanup>();
    registry.task::<TmpfileCleanup>();
}

impl Tasks {
    pub(crate) fn new(pulp: Pulp) -> Self {
        Self { pulp }
    }
}

/// What a task needs: names of objects (their PRNs) or of anything else that tasks must agree about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    exclusive: BTreeSet<String>,
    shared: BTreeSet<String>,
}

impl Resources {
    /// Nothing: the task runs beside every other.
    pub fn none() -> Self {
        Self::default()
    }

    /// Also needs this object for itself alone.
    #[must_use]
    pub fn exclusive(mut self, resource: impl ToString) -> Self {
        self.exclusive.insert(resource.to_string());
        self
    }

    /// Also needs that nobody has this object for itself alone.
    #[must_use]
    pub fn shared(mut self, resource: impl ToString) -> Self {
        self.shared.insert(resource.to_string());
        self
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.exclusive.extend(other.exclusive.iter().cloned());
        self.shared.extend(other.shared.iter().cloned());
        self
    }

    /// What is needed exclusively.
    pub fn exclusives(&self) -> impl Iterator<Item = &str> {
        self.exclusive.iter().map(String::as_str)
    }

    /// What is shared, and not also needed exclusively.
    pub fn shareds(&self) -> impl Iterator<Item = &str> {
        self.shared.difference(&self.exclusive).map(String::as_str)
    }

    /// As Pulp records it in a task’s `reserved_resources_record`: shared ones carry the prefix `shared:`.
    pub fn to_record(&self) -> Vec<String> {
        self.exclusives().map(str::to_owned).chain(self.shareds().map(|name| format!("shared:{name}"))).collect()
    }

    /// Reads what [`Resources::to_record`] wrote.
    pub fn from_record<'a>(record: impl IntoIterator<Item = &'a str>) -> Self {
        record.into_iter().fold(Self::default(), |all, entry| match entry.strip_prefix("shared:") {
            Some(name) => all.shared(name),
            None => all.exclusive(entry),
        })
    }
}

/// What a task leaves behind, beside the resources that it created.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskOutput {
    /// Shown as the task’s `result`.
    pub result: Option<Json>,
}

impl From<()> for TaskOutput {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// A piece of work.
#[async_trait]
pub trait Task: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The task’s name on the wire; kept equal to Pulp’s.
    const NAME: &'static str;

    /// Raised by a release whose tasks of this kind an earlier one could not run: because they have a field that it does not know and
    /// must heed, say. Workers of earlier releases leave such tasks to those of later ones; later ones run all.
    const VERSION: i64 = 1;

    /// Whether it is short enough to be run by the process that dispatches it, if what it needs is free.
    const IMMEDIATE: bool = false;

    /// What it needs.
    fn resources(&self) -> Resources;

    /// Does the work. Dropped at any `.await` when the task is cancelled: nothing half-done may be visible then.
    async fn run(self, cx: TaskContext) -> Result<TaskOutput>;
}

/// An object that a task made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its PRN.
    pub prn: Prn,
    /// Its href.
    pub href: String,
}
