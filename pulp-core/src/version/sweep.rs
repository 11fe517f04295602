//! Removing what drafts have left behind that never became versions.

use uuid::Uuid;

use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// Removes every incomplete version of a repository, and takes back what it said about the units. Only for who holds the
/// repository exclusively: a draft in the making looks the same.
///
/// # Errors
/// If the database cannot be reached.
pub async fn sweep_incomplete<E: Executor + ?Sized>(executor: &E, repository: Uuid) -> Result<u64, DbError> {
    let find = Sql::new("select pulp_id from core_repositoryversion where repository_id = $1 and not complete").bind(repository);
    let incomplete: Vec<Uuid> = executor.column(find).await?;
    for version in &incomplete {
        discard(executor, *version).await?;
    }
    Ok(incomplete.len() as u64)
}

/// Removes one version that nothing came after.
pub(super) async fn discard<E: Executor + ?Sized>(executor: &E, version: Uuid) -> Result<(), DbError> {
    for text in [
        "delete from core_repositorycontent where version_added_id = $1",
        "update core_repositorycontent set version_removed_id = null where version_removed_id = $1",
        "delete from core_repositoryversion where pulp_id = $1",
    ] {
        executor.execute(Sql::new(text).bind(version)).await?;
    }
    Ok(())
}
