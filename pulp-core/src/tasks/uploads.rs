//! Removing uploads that nobody committed.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{ExecutorExt, Sql};
use crate::storage::ArtifactPath;
use crate::{Error, Pulp, Result};

/// Uploads per round: their files are removed one by one, and a stop should not wait for thousands.
const BATCH: usize = 100;

/// Removes the uploads that were begun before a moment, with the files of their chunks; how many. The files go first: should the process
/// die in between, the rows still tell what to remove.
pub(super) async fn remove_before(pulp: &Pulp, before: Timestamp) -> Result<usize> {
    let mut removed = 0;
    loop {
        let sql = Sql::new(format!("select pulp_id from core_upload where pulp_created < $1 order by pulp_id limit {BATCH}"));
        let uploads: Vec<Uuid> = pulp.db().column(sql.bind(before)).await?;
        if uploads.is_empty() {
            return Ok(removed);
        }
        let mut sql = Sql::new("select file from core_uploadchunk where upload_id in ");
        sql.push_list(&uploads);
        for file in pulp.db().column::<String>(sql).await? {
            let at: ArtifactPath = file.parse().map_err(|error| Error::Internal(format!("a chunk's file: {error}")))?;
            pulp.storage().delete(&at).await?;
        }
        let mut sql = Sql::new("delete from core_upload where pulp_id in ");
        sql.push_list(&uploads);
        pulp.db().execute(sql).await?;
        removed += uploads.len();
    }
}
