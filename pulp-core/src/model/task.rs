//! Tasks, their groups, what they report and what they made; and the processes that show signs of life.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;

/// Where a task, or one of its progress reports, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Not started: what it needs is taken, or no worker is free.
    Waiting,
    /// Not to be done.
    Skipped,
    /// Being done.
    Running,
    /// Done.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended, or never started, because somebody cancelled it.
    Canceled,
    /// Running, and told to end.
    Canceling,
}

impl TaskState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Skipped, Self::Running, Self::Completed, Self::Failed, Self::Canceled, Self::Canceling];

    /// As on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Canceling => "canceling",
        }
    }

    /// Whether it will never change again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Skipped | Self::Completed | Self::Failed | Self::Canceled)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| format!("\"{text}\" is not a valid choice."))
    }
}

/// A row of `core_task`.
#[derive(Clone, FromRow)]
pub struct TaskRow {
    /// Order of dispatch.
    pub sequence: i64,
    /// Key.
    pub pulp_id: Uuid,
    /// When it was dispatched.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// See [`TaskState`].
    pub state: String,
    /// Which kind of task: [`Task::NAME`](crate::tasks::Task::NAME).
    pub name: String,
    /// Which version of its kind: [`Task::VERSION`](crate::tasks::Task::VERSION).
    pub task_version: i64,
    /// The correlation id of the request that dispatched it.
    pub logging_cid: String,
    /// When its work began.
    pub started_at: Option<Timestamp>,
    /// When nothing it needs was taken any more.
    pub unblocked_at: Option<Timestamp>,
    /// When it reached its final state.
    pub finished_at: Option<Timestamp>,
    /// Why it failed: `description` and `traceback`, with `reason` where it was ended from outside.
    pub error: Option<Column<Json>>,
    /// What it gave.
    pub result: Option<Column<Json>>,
    /// The task itself, serialised and encrypted, since it may hold secrets; emptied when it ends. Not for the wire.
    pub args: Column<Json>,
    /// The components of the process that dispatched it, by label, with their versions.
    pub versions: Column<Json>,
    /// See [`Resources::to_record`](crate::tasks::Resources::to_record).
    pub reserved_resources_record: Column<Vec<String>>,
    /// Whether the dispatching process may run it.
    pub immediate: bool,
    /// Whether a worker may run it.
    pub deferred: bool,
    /// What is to be recorded while it runs: a list of texts.
    pub profile_options: Option<Column<Json>>,
    /// Version of the API through which it was dispatched.
    pub pulp_api_version: String,
    /// The process that runs it: key of a [`AppStatus`].
    pub app_lock_id: Option<Uuid>,
    /// Grows with each claim: only its latest holder may write the result.
    pub fence: i64,
    /// Who dispatched it.
    pub user_id: Option<i64>,
    /// The task that dispatched it.
    pub parent_task_id: Option<Uuid>,
    /// Its group.
    pub task_group_id: Option<Uuid>,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(TaskRow, "core_task", "task");

impl TaskRow {
    /// All columns, by name: a statement that says `*` is not kept prepared in a transaction, see the database layer.
    pub(crate) const COLUMNS: &str = "sequence, pulp_id, pulp_created, pulp_last_updated, state, name, task_version, logging_cid, started_at, \
         unblocked_at, finished_at, error, result, args, versions, reserved_resources_record, immediate, deferred, profile_options, \
         pulp_api_version, app_lock_id, fence, user_id, parent_task_id, task_group_id, pulp_domain_id";

    /// The state. An unknown word in the database counts as `failed`, so that nobody waits for it.
    pub fn state(&self) -> TaskState {
        self.state.parse().unwrap_or(TaskState::Failed)
    }

    /// The one line that says why it failed.
    pub fn error_text(&self) -> Option<&str> {
        let error = self.error.as_ref()?;
        error.get("description").or_else(|| error.get("reason"))?.as_str()
    }
}

/// Leaves out the arguments: they may hold secrets.
impl fmt::Debug for TaskRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRow")
            .field("sequence", &self.sequence)
            .field("pulp_id", &self.pulp_id)
            .field("name", &self.name)
            .field("state", &self.state)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// A row of `core_taskgroup`.
#[derive(Debug, Clone, FromRow)]
pub struct TaskGroup {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// For people.
    pub description: String,
    /// Whether no more tasks will join.
    pub all_tasks_dispatched: bool,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(TaskGroup, "core_taskgroup", "task group");

/// A row of `core_progressreport`.
#[derive(Debug, Clone, FromRow)]
pub struct ProgressRow {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// For people.
    pub message: String,
    /// For scripts: `sync.downloading.artifacts`.
    pub code: String,
    /// See [`TaskState`].
    pub state: String,
    /// How much there is to do, where that is known.
    pub total: Option<i64>,
    /// How much is done.
    pub done: i64,
    /// What `done` counts.
    pub suffix: Option<String>,
    /// The task.
    pub task_id: Uuid,
}
model!(ProgressRow, "core_progressreport", "progress report");

/// A row of `core_tasklogline`.
#[derive(Debug, Clone, FromRow)]
pub struct LogLine {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was written.
    pub pulp_created: Timestamp,
    /// `info` or `warning`.
    pub level: String,
    /// For people.
    pub message: String,
    /// The task.
    pub task_id: Uuid,
}
model!(LogLine, "core_tasklogline", "line of a task's log");

/// A row of `core_groupprogressreport`.
#[derive(Debug, Clone, FromRow)]
pub struct GroupProgressRow {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// For people.
    pub message: String,
    /// For scripts; unique in the group.
    pub code: String,
    /// How much there is to do.
    pub total: i64,
    /// How much is done.
    pub done: i64,
    /// What `done` counts.
    pub suffix: Option<String>,
    /// The group.
    pub task_group_id: Uuid,
}
model!(GroupProgressRow, "core_groupprogressreport", "group progress report");

/// A row of `core_createdresource`.
#[derive(Debug, Clone, FromRow)]
pub struct CreatedResource {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The object’s key.
    pub object_id: Uuid,
    /// The object’s model, as in a PRN.
    pub content_type: String,
    /// The object’s href.
    pub href: String,
    /// The task.
    pub task_id: Uuid,
}
model!(CreatedResource, "core_createdresource", "created resource");

/// A row of `core_appstatus`: a process in one of its roles.
#[derive(Debug, Clone, FromRow)]
pub struct AppStatus {
    /// Key.
    pub pulp_id: Uuid,
    /// When it started.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The role: `api`, `content` or `worker`.
    pub app_type: String,
    /// `<pid>@<host>`.
    pub name: String,
    /// Versions of its plugins, by label.
    pub versions: Column<Json>,
    /// Seconds without a sign of life after which it counts as gone.
    pub ttl: i64,
    /// The last sign of life.
    pub last_heartbeat: Timestamp,
}
model!(AppStatus, "core_appstatus", "app status");

impl AppStatus {
    /// Whether it shows signs of life.
    pub fn is_online(&self, now: Timestamp) -> bool {
        self.last_heartbeat + chrono::TimeDelta::seconds(self.ttl) >= now
    }
}
