//! Removing what clients and processes have left unfinished: uploads that nobody committed, temporary files.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::housekeeping::minutes_ago;
use super::{ProgressReport, Resources, Task, TaskContext, TaskOutput};
use crate::clock::Timestamp;
use crate::db::{ExecutorExt, Sql};
use crate::storage::ArtifactPath;
use crate::{Error, Pulp, Result};

/// Uploads or files per round: their files are removed one by one, and a stop should not wait for thousands.
const BATCH: usize = 100;

/// Removes the uploads, of all domains, that were begun longer ago than `UPLOAD_PROTECTION_TIME`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UploadCleanup {}

#[async_trait]
impl Task for UploadCleanup {
    const NAME: &'static str = "pulpcore.app.tasks.orphan.upload_cleanup";

    fn resources(&self) -> Resources {
        Resources::none()
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let report = cx.progress("Clean up uploads", "clean-up.uploads").total(0);
        if let Some(before) = minutes_ago(cx.pulp(), cx.pulp().settings().upload_protection_time) {
            remove_before(cx.pulp(), before, &report).await?;
        }
        report.finish();
        Ok(().into())
    }
}

/// Removes temporary files that are older than `TMPFILE_PROTECTION_TIME`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TmpfileCleanup {}

#[async_trait]
impl Task for TmpfileCleanup {
    const NAME: &'static str = "pulpcore.app.tasks.orphan.tmpfile_cleanup";

    fn resources(&self) -> Resources {
        Resources::none()
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let report = cx.progress("Clean up shared temporary files", "clean-up.tmpfiles").total(0);
        let counted = |count: usize| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            report.increase_total(count);
            report.increase(count);
        };
        let pulp = cx.pulp();
        if let Some(before) = minutes_ago(pulp, pulp.settings().tmpfile_protection_time) {
            loop {
                let sql = Sql::new(format!(
                    "select pulp_id, file from core_pulptemporaryfile where pulp_created < $1 order by pulp_id limit {BATCH}"
                ));
                let old: Vec<(Uuid, String)> = pulp.db().all(sql.bind(before)).await?;
                if old.is_empty() {
                    break;
                }
                remove_files(pulp, old.iter().map(|(_, file)| file.as_str())).await?;
                let mut sql = Sql::new("delete from core_pulptemporaryfile where pulp_id in ");
                sql.push_list(old.iter().map(|(id, _)| *id));
                pulp.db().execute(sql).await?;
                counted(old.len());
            }
            // Files on their way into the storage that a process left behind when it was killed; those of living ones are its own.
            counted(pulp.spool().sweep().await?);
        }
        report.finish();
        Ok(().into())
    }
}

/// Removes the uploads that were begun before a moment, with the files of their chunks. The files go first: should the process die in
/// between, the rows still tell what to remove.
async fn remove_before(pulp: &Pulp, before: Timestamp, report: &ProgressReport) -> Result<()> {
    loop {
        let sql = Sql::new(format!("select pulp_id from core_upload where pulp_created < $1 order by pulp_id limit {BATCH}"));
        let uploads: Vec<Uuid> = pulp.db().column(sql.bind(before)).await?;
        if uploads.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new("select file from core_uploadchunk where upload_id in ");
        sql.push_list(&uploads);
        let files: Vec<String> = pulp.db().column(sql).await?;
        remove_files(pulp, files.iter().map(String::as_str)).await?;
        let mut sql = Sql::new("delete from core_upload where pulp_id in ");
        sql.push_list(&uploads);
        pulp.db().execute(sql).await?;
        let count = i64::try_from(uploads.len()).unwrap_or(i64::MAX);
        report.increase_total(count);
        report.increase(count);
    }
}

async fn remove_files(pulp: &Pulp, files: impl Iterator<Item = &str>) -> Result<()> {
    for file in files {
        let at: ArtifactPath = file.parse().map_err(|error| Error::Internal(format!("a temporary file: {error}")))?;
        pulp.storage().delete(&at).await?;
    }
    Ok(())
}
