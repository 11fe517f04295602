//! Tasks: work that is recorded, ordered by the resources it needs, and done by whichever worker is free.
//!
//! A task is a serialisable struct with a [`run`](Task::run). It names what it needs, exclusively or shared; among tasks
//! that conflict the order is that of dispatch, and tasks that do not conflict run side by side.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

mod context;

pub use context::TaskContext;

use crate::Result;
use crate::ids::Prn;

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
