//! Rows of stored files.

use std::collections::HashMap;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Insert, Sql, Value};
use crate::digest::{Algorithm, Digests};
use crate::ids::new_id;
use crate::model::Artifact;

/// A file that lies in the storage and has no row yet, or may have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// Its path in the domain’s storage.
    pub file: String,
    /// Bytes.
    pub size: i64,
    /// Its digests; sha256 is among them.
    pub digests: Digests,
}

/// Inserts rows for stored files; a file whose sha256 the domain has already gets no second row. The keys, by sha256, of all of
/// them: new and old alike now count as of use.
///
/// # Errors
/// If the database cannot be reached.
pub async fn save_artifacts<E: Executor + ?Sized>(
    executor: &E,
    artifacts: &[NewArtifact],
    domain: Uuid,
    now: Timestamp,
) -> Result<HashMap<String, Uuid>, DbError> {
    let mut rows: Vec<(&str, &NewArtifact)> =
        artifacts.iter().filter_map(|artifact| Some((artifact.digests.get(Algorithm::Sha256)?, artifact))).collect();
    rows.sort_unstable_by_key(|(sha256, _)| *sha256);
    rows.dedup_by_key(|(sha256, _)| *sha256);
    let mut keys = HashMap::with_capacity(rows.len());
    for some in rows.chunks(2_000) {
        let ids: Vec<Uuid> = some.iter().map(|_| new_id()).collect();
        let insert = Insert::into(
            "core_artifact (pulp_id, pulp_created, pulp_last_updated, file, size, md5, sha1, sha224, sha256, sha384, sha512, \
             timestamp_of_interest, pulp_domain_id)",
        )
        .then("on conflict (sha256, pulp_domain_id) do nothing")
        .rows(some.iter().zip(&ids).map(|((_, artifact), id)| -> [Value; 13] {
            let digest = |algorithm| artifact.digests.get(algorithm).into();
            [
                id.into(),
                now.into(),
                now.into(),
                artifact.file.as_str().into(),
                artifact.size.into(),
                digest(Algorithm::Md5),
                digest(Algorithm::Sha1),
                digest(Algorithm::Sha224),
                digest(Algorithm::Sha256),
                digest(Algorithm::Sha384),
                digest(Algorithm::Sha512),
                now.into(),
                domain.into(),
            ]
        }));
        if executor.insert(insert).await? == some.len() as u64 {
            keys.extend(some.iter().zip(ids).map(|((sha256, _), id)| ((*sha256).to_owned(), id)));
            continue;
        }
        let mut sql = Sql::new("update core_artifact set timestamp_of_interest = ");
        sql.push_bind(now).push(" where pulp_domain_id = ").push_bind(domain).push(" and sha256 in ");
        sql.push_list(some.iter().map(|(sha256, _)| *sha256)).push(" returning sha256, pulp_id");
        keys.extend(executor.all::<(String, Uuid)>(sql).await?);
    }
    Ok(keys)
}

/// The domain’s artifacts that have one of these digests.
///
/// # Errors
/// If the database cannot be reached.
pub async fn find_artifacts<E: Executor + ?Sized>(
    executor: &E,
    algorithm: Algorithm,
    digests: &[&str],
    domain: Uuid,
) -> Result<Vec<Artifact>, DbError> {
    let mut found = Vec::new();
    for some in digests.chunks(2_000) {
        let mut sql = Sql::new("select * from core_artifact where pulp_domain_id = ");
        sql.push_bind(domain).push(" and ").push(algorithm.name()).push(" in ").push_list(some.iter().copied());
        found.extend(executor.all::<Artifact>(sql).await?);
    }
    Ok(found)
}

/// Notes that artifacts are of use now, which keeps them from orphan cleanup. The keys of those that are still there.
///
/// # Errors
/// If the database cannot be reached.
pub async fn touch_artifacts<E: Executor + ?Sized>(executor: &E, ids: &[Uuid], now: Timestamp) -> Result<Vec<Uuid>, DbError> {
    let mut there = Vec::with_capacity(ids.len());
    for some in ids.chunks(2_000) {
        let mut sql = Sql::new("update core_artifact set timestamp_of_interest = ");
        sql.push_bind(now).push(" where pulp_id in ").push_list(some).push(" returning pulp_id");
        there.extend(executor.column::<Uuid>(sql).await?);
    }
    Ok(there)
}
