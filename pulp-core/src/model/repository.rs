//! Repositories and their versions.

use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::{Labels, model};
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::{Error, Result};

/// A row of `core_repository`.
#[derive(Debug, Clone, FromRow)]
pub struct Repository {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The type: `file.file`.
    pub pulp_type: String,
    /// Labels.
    pub pulp_labels: Column<Labels>,
    /// Unique in the domain.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The number that the next version gets.
    pub next_version: i64,
    /// Versions to keep; null keeps all.
    pub retain_repo_versions: Option<i64>,
    /// Checkpoint publications to keep; null keeps all.
    pub retain_checkpoints: Option<i64>,
    /// Not shown in lists.
    pub user_hidden: bool,
    /// Where to sync from when a sync names no other.
    pub remote_id: Option<Uuid>,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Repository, "core_repository", "repository");

impl Repository {
    /// Those of a domain, or of all domains.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_domain<E: Executor + ?Sized>(executor: &E, domain: Option<Uuid>) -> Result<Vec<Self>, DbError> {
        let mut sql = Sql::new("select * from core_repository");
        if let Some(domain) = domain {
            sql.push(" where pulp_domain_id = ").push_bind(domain);
        }
        executor.all(sql).await
    }
}

/// A row of `core_repositoryversion`. What is in it is told by `core_repositorycontent`: the units whose `version_added` is
/// this one or an earlier one of the repository, and whose `version_removed` is null or a later one.
#[derive(Debug, Clone, FromRow)]
pub struct RepositoryVersion {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The repository.
    pub repository_id: Uuid,
    /// From 0, which is empty.
    pub number: i64,
    /// Whether it can be seen.
    pub complete: bool,
    /// The version whose content this one started from, where it is not the one before.
    pub base_version_id: Option<Uuid>,
    /// The content type’s own notes.
    pub info: Column<Json>,
}
model!(RepositoryVersion, "core_repositoryversion", "repository version");

impl RepositoryVersion {
    /// The repository of a version, and its type.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn owner<E: Executor + ?Sized>(executor: &E, version: Uuid) -> Result<Option<(Uuid, String)>, DbError> {
        let sql = Sql::new(
            "select r.pulp_id, r.pulp_type from core_repositoryversion v join core_repository r on r.pulp_id = v.repository_id where v.pulp_id = $1",
        );
        executor.optional(sql.bind(version)).await
    }

    /// The versions of a repository that can be seen, in their order.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn all_of<E: Executor + ?Sized>(executor: &E, repository: Uuid) -> Result<Vec<Self>, DbError> {
        let sql = Sql::new("select * from core_repositoryversion where repository_id = $1 and complete order by number");
        executor.all(sql.bind(repository)).await
    }

    /// The version before this one, if it is there.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn before<E: Executor + ?Sized>(&self, executor: &E) -> Result<Option<Self>, DbError> {
        let sql = Sql::new(
            "select * from core_repositoryversion where repository_id = $1 and number < $2 and complete order by number desc limit 1",
        );
        executor.optional(sql.bind(self.repository_id).bind(self.number)).await
    }

    /// The version that counts as the repository’s content now.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such repository.
    pub async fn latest<E: Executor + ?Sized>(executor: &E, repository: Uuid) -> Result<Self> {
        let sql = Sql::new("select * from core_repositoryversion where repository_id = $1 and complete order by number desc limit 1");
        let latest = executor.optional(sql.bind(repository)).await?;
        latest.ok_or_else(|| Error::not_found(format!("a version of repository {repository}")))
    }
}
