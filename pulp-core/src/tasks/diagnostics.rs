//! What is recorded while a task runs, if whoever dispatched it asked for it and the settings allow it.

use std::time::Duration;

use uuid::Uuid;

use crate::db::ExecutorExt;
use crate::db::Sql;
use crate::ids::new_id;
use crate::metrics::resident_bytes;
use crate::model::TaskRow;
use crate::resource::content_file;
use crate::storage::SpoolFile;
use crate::{Pulp, Result};

/// How often the memory is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// The name under which memory is asked for.
const MEMORY: &str = "memory";

/// The memory of this process over the time of a task, as a table of seconds and megabytes.
///
/// It is that of the whole process, all other tasks and requests included: tasks have no memory of their own.
pub(super) struct MemoryProfile {
    file: SpoolFile,
    began: std::time::Instant,
}

impl MemoryProfile {
    /// Begins one, if it is to be made for this task.
    pub(super) async fn begin(pulp: &Pulp, row: &TaskRow) -> Option<Self> {
        let asked = row.profile_options.as_ref().and_then(|options| options.as_array());
        let asked = asked.is_some_and(|options| options.iter().any(|option| option.as_str() == Some(MEMORY)));
        if !asked || !pulp.settings().task_diagnostics.iter().any(|allowed| allowed == MEMORY) {
            return None;
        }
        let mut profile = Self { file: pulp.spool().create(), began: std::time::Instant::now() };
        profile.write("# Seconds\tMemory in MB\n".to_owned()).await?;
        profile.look().await?;
        Some(profile)
    }

    /// Goes on for ever. Dropped between two looks, it has whole lines.
    pub(super) async fn record(&mut self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first tick is at once, and that look has been taken.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.look().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn look(&mut self) -> Option<()> {
        let megabytes = resident_megabytes().await?;
        self.write(format!("{}\t{megabytes:.2}\n", self.began.elapsed().as_secs())).await
    }

    async fn write(&mut self, line: String) -> Option<()> {
        match self.file.write(line.into()).await {
            Ok(()) => Some(()),
            Err(error) => {
                tracing::warn!(%error, "the memory profile of a task is cut short");
                None
            }
        }
    }

    /// Stores it as an artifact of the task. A task does not fail because it could not be.
    pub(super) async fn keep(self, pulp: &Pulp, row: &TaskRow) {
        if let Err(error) = self.store(pulp, row).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the memory profile of a task could not be stored");
        }
    }

    async fn store(self, pulp: &Pulp, row: &TaskRow) -> Result<()> {
        let artifact = content_file::store(pulp, row.pulp_domain_id, self.file.finish().await?).await?;
        note(pulp, row.pulp_id, "memory_profile", artifact).await
    }
}

async fn note(pulp: &Pulp, task: Uuid, name: &str, artifact: Uuid) -> Result<()> {
    let sql = Sql::new(
        "insert into core_profileartifact (pulp_id, pulp_created, pulp_last_updated, name, artifact_id, task_id) \
         values ($1, $2, $2, $3, $4, $5) on conflict (task_id, name) do update set artifact_id = excluded.artifact_id",
    );
    pulp.db().execute(sql.bind(new_id()).bind(pulp.now()).bind(name).bind(artifact).bind(task)).await?;
    Ok(())
}

/// What of this process is in memory now; nothing where the system does not tell.
async fn resident_megabytes() -> Option<f64> {
    let bytes = tokio::task::spawn_blocking(resident_bytes).await.ok()??;
    Some(bytes as f64 / (1 << 20) as f64)
}
