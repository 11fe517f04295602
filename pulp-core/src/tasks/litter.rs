//! Files that no row names. A process that was killed leaves them: those that it had taken into the storage before it could write their rows, and
//! those whose rows it had removed before it could remove the files.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use futures::TryStreamExt;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt, Sql};
use crate::digest::Sha256;
use crate::storage::{ArtifactPath, Storage};
use crate::{Pulp, Result};

/// Files that are looked up in one go.
const PAGE: usize = 500;

/// Removes the files of a domain, and of uploads, that came in before a moment and have no row; how many.
///
/// It walks through the storage. What lies there and is none of ours stays.
pub(super) async fn remove_litter(pulp: &Pulp, domain: Uuid, until: Timestamp) -> Result<u64> {
    let until = SystemTime::from(until);
    let mut artifacts = "artifact".to_owned();
    let mut storage = Arc::clone(pulp.default_storage());
    if pulp.settings().domain_enabled {
        artifacts = format!("artifact/{domain}");
        if let Ok(any) = format!("{artifacts}/none").parse()
            && let Some(own) = pulp.storage().holder(&any).await?
        {
            storage = own;
        }
    }
    let of_domain = remove_below(pulp, storage.as_ref(), &artifacts, until).await?;
    Ok(of_domain + remove_below(pulp, pulp.default_storage().as_ref(), "upload", until).await?)
}

async fn remove_below(pulp: &Pulp, storage: &dyn Storage, directory: &str, until: SystemTime) -> Result<u64> {
    let mut removed = 0;
    let mut pages = storage.list(directory).try_chunks(PAGE);
    while let Some(mut page) = pages.try_next().await.map_err(|error| error.1)? {
        forget_named(pulp.db(), &mut page).await?;
        if page.is_empty() {
            continue;
        }
        // Nobody in this process adopts a file and has not yet written its row while this is held: now they have no row for sure.
        let _alone = pulp.storing().write().await;
        forget_named(pulp.db(), &mut page).await?;
        for file in page {
            if storage.delete_older(&file, until).await? {
                tracing::info!(%file, "removed a file that has no row");
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// What the row of a file is found by.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Artifact(String),
    Chunk(Uuid),
}

fn key(file: &ArtifactPath) -> Option<Key> {
    let parts: Vec<&str> = file.as_str().split('/').collect();
    match parts.as_slice() {
        ["artifact", shard, rest] | ["artifact", _, shard, rest] => {
            let sha256 = format!("{shard}{rest}").parse::<Sha256>().ok()?;
            Some(Key::Artifact(sha256.to_string()))
        }
        ["upload", _, chunk] => Some(Key::Chunk(chunk.parse().ok()?)),
        _ => None,
    }
}

/// Leaves, of these, the files that no row names.
async fn forget_named(db: &Db, files: &mut Vec<ArtifactPath>) -> Result<(), DbError> {
    let (mut digests, mut chunks) = (Vec::new(), Vec::new());
    files.retain(|file| match key(file) {
        Some(Key::Artifact(sha256)) => {
            digests.push(sha256);
            true
        }
        Some(Key::Chunk(id)) => {
            chunks.push(id);
            true
        }
        None => false,
    });
    let mut named: HashSet<String> = HashSet::new();
    if !digests.is_empty() {
        // By digest, for which there is an index; in whichever domain.
        let mut sql = Sql::new("select file from core_artifact where sha256 in ");
        sql.push_list(digests);
        named.extend(db.column::<String>(sql).await?);
    }
    if !chunks.is_empty() {
        let mut sql = Sql::new("select file from core_uploadchunk where pulp_id in ");
        sql.push_list(chunks);
        named.extend(db.column::<String>(sql).await?);
    }
    files.retain(|file| !named.contains(file.as_str()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_ours_tell_what_their_rows_are_found_by() {
        let (id, rest) = (Uuid::now_v7(), "0".repeat(62));
        let of = |path: String| key(&path.parse().unwrap());
        let artifact = Some(Key::Artifact(format!("ab{rest}")));
        assert_eq!(of(format!("artifact/ab/{rest}")), artifact);
        assert_eq!(of(format!("artifact/{id}/ab/{rest}")), artifact);
        assert_eq!(of(format!("upload/{}/{id}", Uuid::now_v7())), Some(Key::Chunk(id)));
        for other in ["artifact/ab/readme".to_owned(), format!("artifact/{rest}"), "upload/x/y".to_owned(), format!("check/ab/{rest}")] {
            assert_eq!(of(other), None);
        }
    }
}
