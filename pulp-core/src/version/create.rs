//! A new repository, with its version 0, which is empty.

use uuid::Uuid;

use crate::Result;
use crate::clock::Timestamp;
use crate::db::{Executor, ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{Model, Repository};

/// Inserts the common part of a repository, and its empty version 0. The type’s own row is the caller’s, in the same transaction.
///
/// # Errors
/// A unique violation if the domain has a repository of this name.
pub async fn create_repository<E: Executor + ?Sized>(
    executor: &E,
    pulp_type: &str,
    name: &str,
    domain: Uuid,
    now: Timestamp,
) -> Result<Repository> {
    let id = new_id();
    let sql = Sql::new(
        "insert into core_repository (pulp_id, pulp_created, pulp_last_updated, pulp_type, name, next_version, pulp_domain_id) \
         values ($1, $2, $2, $3, $4, 1, $5)",
    );
    executor.execute(sql.bind(id).bind(now).bind(pulp_type).bind(name).bind(domain)).await?;
    create_empty_version(executor, id, now).await?;
    Repository::find(executor, id).await
}

/// Inserts the version 0 of a repository whose row was inserted by other means.
///
/// # Errors
/// A unique violation if it has one.
pub(crate) async fn create_empty_version<E: Executor + ?Sized>(executor: &E, repository: Uuid, now: Timestamp) -> Result<Uuid> {
    let id = new_id();
    let sql = Sql::new(
        "insert into core_repositoryversion (pulp_id, pulp_created, pulp_last_updated, repository_id, number, complete) \
         values ($1, $2, $2, $3, 0, true)",
    );
    executor.execute(sql.bind(id).bind(now).bind(repository)).await?;
    Ok(id)
}
