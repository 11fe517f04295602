//! Files of publications that a distribution served until lately stay reachable for a while: a client that has read the old
//! metadata can still fetch what it names.

use chrono::TimeDelta;
use uuid::Uuid;

use super::ContentPath;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{Distribution, PublishedVersion, TreeFile};

/// How many superseded publications are searched for a path, newest first.
const SEARCHED: u32 = 16;

/// The longest that one is reachable, in seconds: a hundred years.
const FOREVER: i64 = 100 * 366 * 24 * 3_600;

/// The file that a superseded publication of the distribution had at this path.
pub(super) async fn find<E: Executor + ?Sized>(
    executor: &E,
    distribution: Uuid,
    path: &ContentPath,
    now: Timestamp,
) -> Result<Option<TreeFile>, DbError> {
    let sql = Sql::new(format!(
        "select p.pulp_id as publication_id, p.pass_through, v.repository_id, v.number \
         from core_distributedpublication d join core_publication p on p.pulp_id = d.publication_id \
         join core_repositoryversion v on v.pulp_id = p.repository_version_id \
         where d.distribution_id = $1 and d.expires_at > $2 and p.complete order by d.expires_at desc, d.pulp_id desc limit {SEARCHED}"
    ))
    .bind(distribution)
    .bind(now);
    for publication in executor.all::<PublishedVersion>(sql).await? {
        for tree in publication.trees() {
            if let Some(file) = tree.find(executor, path.as_str()).await? {
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

/// Notes which publication a distribution serves from now on. The one that it served before stays reachable for `seconds`; what has
/// been unreachable for long is forgotten.
///
/// Called, in the same transaction, by whatever changes that: a publication that is complete, or a distribution that
/// points elsewhere. Noting the same again changes nothing.
///
/// # Errors
/// If the database cannot be reached.
pub async fn note_served<E: Executor + ?Sized>(
    executor: &E,
    distribution: Uuid,
    publication: Option<Uuid>,
    now: Timestamp,
    seconds: i64,
) -> Result<(), DbError> {
    let forget = Sql::new("delete from core_distributedpublication where distribution_id = $1 and expires_at <= $2");
    executor.execute(forget.bind(distribution).bind(now)).await?;
    let expiry = now + TimeDelta::seconds(seconds.clamp(0, FOREVER));
    let mut supersede = Sql::new("update core_distributedpublication set expires_at = ");
    supersede.push_bind(expiry).push(", pulp_last_updated = ").push_bind(now);
    supersede.push(" where expires_at is null and distribution_id = ").push_bind(distribution);
    if let Some(publication) = publication {
        supersede.push(" and publication_id <> ").push_bind(publication);
    }
    executor.execute(supersede).await?;
    let Some(publication) = publication else {
        return Ok(());
    };
    // It may come back while it is still reachable: then it is served again, and that for good.
    let back = Sql::new(
        "update core_distributedpublication set expires_at = null, pulp_last_updated = $3 \
         where distribution_id = $1 and publication_id = $2",
    );
    if executor.execute(back.bind(distribution).bind(publication).bind(now)).await? == 0 {
        let insert = Sql::new(
            "insert into core_distributedpublication (pulp_id, pulp_created, pulp_last_updated, distribution_id, publication_id) \
             values ($1, $2, $2, $3, $4)",
        );
        executor.execute(insert.bind(new_id()).bind(now).bind(distribution).bind(publication)).await?;
    }
    Ok(())
}

/// Notes what a distribution serves now: after it was made or changed.
///
/// # Errors
/// If the database cannot be reached.
pub async fn note_distribution<E: Executor + ?Sized>(
    executor: &E,
    distribution: Uuid,
    now: Timestamp,
    seconds: i64,
) -> Result<(), DbError> {
    let find = Sql::new("select * from core_distribution where pulp_id = $1").bind(distribution);
    let Some(found) = executor.optional::<Distribution>(find).await? else {
        return Ok(());
    };
    // Checkpoints stay where they are.
    let served = if found.checkpoint { None } else { PublishedVersion::of_distribution(executor, &found).await? };
    let served = served.map(|served| served.publication_id);
    note_served(executor, distribution, served, now, seconds).await
}

/// Notes for every distribution of a repository, or of one of its versions, what it serves now: after a publication was completed.
///
/// # Errors
/// If the database cannot be reached.
pub async fn note_repository<E: Executor + ?Sized>(executor: &E, repository: Uuid, now: Timestamp, seconds: i64) -> Result<(), DbError> {
    let concerned = Sql::new(
        "select d.pulp_id from core_distribution d left join core_repositoryversion v on v.pulp_id = d.repository_version_id \
         where d.repository_id = $1 or v.repository_id = $1 order by d.pulp_id",
    );
    for distribution in executor.column::<Uuid>(concerned.bind(repository)).await? {
        note_distribution(executor, distribution, now, seconds).await?;
    }
    Ok(())
}
