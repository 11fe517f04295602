//! How much room the files of units take.

use uuid::Uuid;

use super::Members;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::model::RepositoryVersion;

/// Bytes of the files of some units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Of those that are stored: each artifact counts once.
    pub stored: i64,
    /// Of those that are not, as far as their sources tell.
    pub remote: i64,
}

impl Usage {
    /// Of the units of a version.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_version<E: Executor + ?Sized>(executor: &E, version: &RepositoryVersion) -> Result<Self, DbError> {
        Self::of(executor, |sql| Members::of(version).push_select(sql)).await
    }

    /// Of the units of all versions of a repository.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_repository<E: Executor + ?Sized>(executor: &E, repository: Uuid) -> Result<Self, DbError> {
        let units = |sql: &mut Sql| {
            sql.push("(select content_id from core_repositorycontent where repository_id = ").push_bind(repository).push(")");
        };
        Self::of(executor, units).await
    }

    /// `units` appends the query that gives their keys.
    async fn of<E: Executor + ?Sized>(executor: &E, units: impl Fn(&mut Sql)) -> Result<Self, DbError> {
        let mut stored = Sql::new(
            "select cast(coalesce(sum(size), 0) as bigint) from core_artifact where pulp_id in \
             (select artifact_id from core_contentartifact where content_id in ",
        );
        units(&mut stored);
        stored.push(")");
        let mut remote = Sql::new(
            "select cast(coalesce(sum(size), 0) as bigint) from (select max(source.size) as size from core_contentartifact file \
             join core_remoteartifact source on source.content_artifact_id = file.pulp_id \
             where file.artifact_id is null and file.content_id in ",
        );
        units(&mut remote);
        remote.push(" group by file.pulp_id) files");
        Ok(Self { stored: executor.scalar(stored).await?, remote: executor.scalar(remote).await? })
    }
}
