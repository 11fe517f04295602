//! Which repositories hold which bytes, and what would become free.

use sqlx::FromRow;
use uuid::Uuid;

use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// What a repository holds, in all of its versions. A file counts once, however many units and versions have it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RepositoryDiskUsage {
    /// The repository.
    pub pulp_id: Uuid,
    /// Its type: `file.file`.
    pub pulp_type: String,
    /// Its name.
    pub name: String,
    /// Stored files.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Of those, bytes of files of the latest version.
    pub latest_bytes: i64,
    /// Of those, bytes that no other repository holds: an orphan cleanup frees them once the repository is deleted.
    pub freed_by_deletion: i64,
    /// Of those, bytes that the latest version has not: an orphan cleanup frees them once older versions are deleted.
    pub freed_by_retention: i64,
}

/// What a domain holds.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct DiskUsage {
    /// Stored files.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Of those, bytes that an orphan cleanup frees now, but for what it protects because it is young.
    pub orphaned_bytes: i64,
}

/// The files of a domain that repositories hold, and how many repositories hold each.
const HELD: &str = "with held as (\
    select rc.repository_id, file.artifact_id, max(case when rc.version_removed_id is null then 1 else 0 end) as latest \
    from core_repository r join core_repositorycontent rc on rc.repository_id = r.pulp_id \
    join core_contentartifact file on file.content_id = rc.content_id \
    where file.artifact_id is not null and r.pulp_domain_id = $1 group by rc.repository_id, file.artifact_id), \
    holders as (select artifact_id, count(*) as repositories from held group by artifact_id) ";

impl RepositoryDiskUsage {
    /// Those of a domain that hold most, after `offset` others. Reads what units the domain has: seconds for a million.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn page<E: Executor + ?Sized>(executor: &E, domain: Uuid, limit: i64, offset: i64) -> Result<Vec<Self>, DbError> {
        let sql = Sql::new(format!(
            "{HELD}select r.pulp_id, r.pulp_type, r.name, used.files, used.bytes, used.latest_bytes, used.freed_by_deletion, \
             used.freed_by_retention from (select held.repository_id, count(*) as files, cast(sum(a.size) as bigint) as bytes, \
             cast(sum(case when held.latest = 1 then a.size else 0 end) as bigint) as latest_bytes, \
             cast(sum(case when holders.repositories = 1 then a.size else 0 end) as bigint) as freed_by_deletion, \
             cast(sum(case when holders.repositories = 1 and held.latest = 0 then a.size else 0 end) as bigint) as freed_by_retention \
             from held join holders on holders.artifact_id = held.artifact_id join core_artifact a on a.pulp_id = held.artifact_id \
             group by held.repository_id) used join core_repository r on r.pulp_id = used.repository_id \
             order by used.bytes desc, r.pulp_id limit $2 offset $3"
        ));
        executor.all(sql.bind(domain).bind(limit).bind(offset)).await
    }

    /// How many repositories of a domain hold something.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn count<E: Executor + ?Sized>(executor: &E, domain: Uuid) -> Result<i64, DbError> {
        let sql = Sql::new(
            "select count(*) from core_repository r where r.pulp_domain_id = $1 and exists (select 1 from core_repositorycontent rc \
             join core_contentartifact file on file.content_id = rc.content_id \
             where rc.repository_id = r.pulp_id and file.artifact_id is not null)",
        );
        executor.scalar(sql.bind(domain)).await
    }
}

impl DiskUsage {
    /// That of a domain.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_domain<E: Executor + ?Sized>(executor: &E, domain: Uuid) -> Result<Self, DbError> {
        let sql = Sql::new(
            "select count(*) as files, cast(coalesce(sum(a.size), 0) as bigint) as bytes, cast(coalesce(sum(case when exists (\
             select 1 from core_contentartifact file where file.artifact_id = a.pulp_id and (\
             exists (select 1 from core_repositorycontent rc where rc.content_id = file.content_id) \
             or exists (select 1 from core_publishedmetadata metadata where metadata.content_ptr_id = file.content_id))) \
             then 0 else a.size end), 0) as bigint) as orphaned_bytes from core_artifact a where a.pulp_domain_id = $1",
        );
        executor.one(sql.bind(domain)).await
    }
}
