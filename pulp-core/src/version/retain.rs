//! How many versions a repository keeps.

use uuid::Uuid;

use super::delete_version;
use crate::Result;
use crate::db::{Db, DbError, Executor, ExecutorExt, Sql};
use crate::model::{Model, Repository, RepositoryVersion};

/// Deletes all but the latest `keep` versions of a repository, save [those that are in use](protected_versions). The number of deleted ones.
///
/// # Errors
/// If the database cannot be reached; some versions may be gone then.
pub async fn retain_versions(db: &Db, repository: Uuid, keep: i64) -> Result<u64> {
    let sql = Sql::new("select * from core_repositoryversion where repository_id = $1 and complete order by number desc");
    let versions: Vec<RepositoryVersion> = db.all(sql.bind(repository)).await?;
    let protected = protected_versions(db, repository).await?;
    let keep = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
    let mut deleted = 0;
    for version in versions.iter().skip(keep).filter(|version| !protected.contains(&version.pulp_id)) {
        delete_version(db, version).await?;
        deleted += 1;
    }
    Ok(deleted)
}

/// The versions of a repository that somebody is served from: directly, through a publication, as the newest that is published, or as
/// a checkpoint. What was served until lately does not count.
///
/// # Errors
/// If the database cannot be reached.
pub async fn protected_versions<E: Executor + ?Sized>(executor: &E, repository: Uuid) -> Result<Vec<Uuid>, DbError> {
    let sql = Sql::new(
        "select version.pulp_id from core_repositoryversion version where version.repository_id = $1 and (\
            exists (select 1 from core_distribution where repository_version_id = version.pulp_id) \
            or exists (select 1 from core_publication publication where publication.repository_version_id = version.pulp_id and (\
                exists (select 1 from core_distribution where publication_id = publication.pulp_id) \
                or (publication.checkpoint and exists (select 1 from core_distribution where checkpoint and repository_id = $1)))) \
            or version.pulp_id = (\
                select latest.repository_version_id from core_publication latest \
                join core_repositoryversion published on published.pulp_id = latest.repository_version_id \
                where published.repository_id = $1 and latest.complete \
                and exists (select 1 from core_distribution where repository_id = $1) \
                order by published.number desc, latest.pulp_created desc limit 1))",
    );
    executor.column(sql.bind(repository)).await
}

/// Makes all but the newest `keep` checkpoints of a repository ordinary publications; how many it were.
///
/// # Errors
/// If the database cannot be reached.
pub async fn retain_checkpoints<E: Executor + ?Sized>(executor: &E, repository: Uuid, keep: i64) -> Result<u64, DbError> {
    let sql = Sql::new(
        "update core_publication set checkpoint = $3 where checkpoint and complete \
         and repository_version_id in (select pulp_id from core_repositoryversion where repository_id = $1) \
         and pulp_id not in (select kept.pulp_id from (\
            select newest.pulp_id from core_publication newest \
            join core_repositoryversion version on version.pulp_id = newest.repository_version_id \
            where version.repository_id = $1 and newest.checkpoint and newest.complete \
            order by newest.pulp_created desc, newest.pulp_id desc limit $2) kept)",
    );
    executor.execute(sql.bind(repository).bind(keep.max(1)).bind(false)).await
}

/// Keeps to what a repository says that it retains, after that was changed.
///
/// # Errors
/// As [`retain_versions`].
pub(crate) async fn retain(db: &Db, repository: Uuid) -> Result<()> {
    let repository = Repository::find(db, repository).await?;
    // First the checkpoints: versions that were some are in use.
    if let Some(keep) = repository.retain_checkpoints {
        retain_checkpoints(db, repository.pulp_id, keep).await?;
    }
    if let Some(keep) = repository.retain_repo_versions {
        retain_versions(db, repository.pulp_id, keep).await?;
    }
    Ok(())
}
