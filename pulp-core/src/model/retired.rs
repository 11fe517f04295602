//! Remotes that were deleted, and whose sources are kept until nothing needs them.
//!
//! Such a remote has a type that no resource has and a name that nobody would give one, so that nothing finds it by its own. What is not stored yet
//! still has its sources, and they lead to it.

use uuid::Uuid;

use super::Remote;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql, Tx};

/// What is stored needs no source any more; the row is of `core_remoteartifact`.
const STORED: &str = "exists (select 1 from core_contentartifact file \
     where file.pulp_id = core_remoteartifact.content_artifact_id and file.artifact_id is not null)";

impl Remote {
    /// The type of a remote that was deleted.
    pub(crate) const RETIRED: &'static str = "core.deleted";

    /// Hides a remote that is to be deleted, and keeps what it knows of files that are not stored; whether there are any. If not, nothing is
    /// kept, and the remote can go.
    ///
    /// # Errors
    /// [`DbError::ForeignKey`] if an alternate content source needs it, as when it is deleted.
    pub(crate) async fn retire(tx: &Tx, id: Uuid, now: Timestamp) -> Result<bool, DbError> {
        let needed = Sql::new("select 1 as one from core_alternatecontentsource where remote_id = $1 limit 1");
        if tx.optional::<(i32,)>(needed.bind(id)).await?.is_some() {
            return Err(DbError::ForeignKey);
        }
        tx.execute(Sql::new(format!("delete from core_remoteartifact where remote_id = $1 and {STORED}")).bind(id)).await?;
        let left = Sql::new("select 1 as one from core_remoteartifact where remote_id = $1 limit 1").bind(id);
        if tx.optional::<(i32,)>(left).await?.is_none() {
            return Ok(false);
        }
        let hide = Sql::new(
            "update core_remote set name = $2, pulp_type = $3, pulp_labels = $4, deleted_at = $5, pulp_last_updated = $5 where pulp_id = $1",
        );
        let name = format!("deleted {id}");
        tx.execute(hide.bind(id).bind(name).bind(Self::RETIRED).bind(serde_json::json!({})).bind(now)).await?;
        for table in ["core_repository", "core_distribution"] {
            tx.execute(Sql::new(format!("update {table} set remote_id = null where remote_id = $1")).bind(id)).await?;
        }
        Ok(true)
    }

    /// Removes, in a domain, what deleted remotes know of files that are stored by now, and those remotes that nothing refers to any more; how
    /// many.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub(crate) async fn sweep_retired<E: Executor + ?Sized>(executor: &E, domain: Uuid) -> Result<u64, DbError> {
        let sources = format!(
            "delete from core_remoteartifact where remote_id in \
             (select pulp_id from core_remote where deleted_at is not null and pulp_domain_id = $1) and {STORED}"
        );
        executor.execute(Sql::new(sources).bind(domain)).await?;
        let remotes = "delete from core_remote where deleted_at is not null and pulp_domain_id = $1 \
             and not exists (select 1 from core_remoteartifact source where source.remote_id = core_remote.pulp_id)";
        executor.execute(Sql::new(remotes).bind(domain)).await
    }
}
