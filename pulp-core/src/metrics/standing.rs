//! What only the database knows: how many tasks there are in which state, and which processes show signs of life.

use std::collections::HashSet;
use std::time::Duration;

use super::snapshot::{Kind, Snapshot};
use crate::model::Lost;
use crate::tasks::{AppRole, Queue};
use crate::{Pulp, Result};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    queue: Queue,
    /// How long the first of those that may start has been waiting.
    longest: Duration,
    online: [(AppRole, usize); 3],
    lost_files: i64,
}

impl Standing {
    pub(super) async fn read(pulp: &Pulp) -> Result<Self> {
        let tasks = pulp.tasks();
        let queue = tasks.queue().await?;
        let longest = queue.unblocked_since.map_or(Duration::ZERO, |since| (pulp.now() - since).to_std().unwrap_or_default());
        let mut online = [AppRole::Api, AppRole::Content, AppRole::Worker].map(|role| (role, 0));
        for (role, count) in &mut online {
            // A process may show several signs of life in a role.
            let names: HashSet<String> = tasks.online(*role).await?.into_iter().map(|app| app.name).collect();
            *count = names.len();
        }
        Ok(Self { queue, longest, online, lost_files: Lost::count(pulp.db(), None).await? })
    }

    pub(super) fn write(&self, all: &mut Snapshot) {
        all.metric("pulp_tasks", Kind::Gauge, "Tasks that have not ended, by state.");
        for (state, count) in &self.queue.unfinished {
            all.sample(&[("state", state.as_str())], *count);
        }
        all.single("tasks_unblocked_queue", Kind::Gauge, "Tasks that wait and could start.", self.queue.unblocked);
        all.single(
            "tasks_longest_unblocked_time_seconds",
            Kind::Gauge,
            "How long the first task that could start has been waiting.",
            self.longest.as_secs_f64(),
        );
        all.metric("pulp_apps_online", Kind::Gauge, "Processes that show signs of life, by role.");
        for (role, count) in &self.online {
            all.sample(&[("app_type", role.as_str())], *count);
        }
        all.single(
            "pulp_scrub_lost_files",
            Kind::Gauge,
            "Stored files that the scrub has found to be lost, and that nobody has brought again.",
            self.lost_files,
        );
    }
}
