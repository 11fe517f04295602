//! What would be lost with a remote: files that are not stored and that nothing else has.

use sqlx::FromRow;
use uuid::Uuid;

use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// How much is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub(crate) struct Loss {
    /// Content units with such files.
    pub(crate) units: i64,
    /// Such files.
    pub(crate) artifacts: i64,
    /// Their bytes, where the upstream’s metadata has told the size.
    pub(crate) bytes: i64,
    /// Files of which it has not.
    pub(crate) artifacts_of_unknown_size: i64,
}

/// The columns of a [`Loss`], over rows of [`with_lost`] as `lost`.
pub(crate) const LOSS: &str = "count(distinct lost.unit) as units, count(*) as artifacts, cast(coalesce(sum(lost.size), 0) as bigint) as bytes, \
     count(*) - count(lost.size) as artifacts_of_unknown_size";

/// The beginning of a statement that has `lost`: files that are not stored, that no other remote has, and whose bytes are in no artifact of the domain
/// and at no alternate content source.
pub(crate) fn with_lost(remote: Uuid) -> Sql {
    Sql::new(
        "with lost as (select file.pulp_id as file, file.content_id as unit, own.size as size \
            from core_remoteartifact own join core_contentartifact file on file.pulp_id = own.content_artifact_id \
            where own.remote_id = $1 and file.artifact_id is null \
            and not exists (select 1 from core_remoteartifact other \
                where other.content_artifact_id = own.content_artifact_id and other.remote_id <> own.remote_id) \
            and not exists (select 1 from core_artifact stored \
                where stored.sha256 = own.sha256 and stored.pulp_domain_id = own.pulp_domain_id) \
            and not exists (select 1 from core_remoteartifact other join core_alternatecontentsource near \
                on near.remote_id = other.remote_id and near.pulp_domain_id = own.pulp_domain_id \
                where other.sha256 = own.sha256 and other.remote_id <> own.remote_id))",
    )
    .bind(remote)
}

impl Loss {
    /// All that would be lost, be it in a repository or not.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub(crate) async fn of_remote<E: Executor + ?Sized>(executor: &E, remote: Uuid) -> Result<Self, DbError> {
        let mut sql = with_lost(remote);
        sql.push(format!(" select {LOSS} from lost"));
        Ok(executor.optional(sql).await?.unwrap_or_default())
    }
}
