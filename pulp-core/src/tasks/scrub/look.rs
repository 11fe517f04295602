//! Looking at one stored file, and what is done with one that is not what it should be.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt as _;
use uuid::Uuid;

use super::Budget;
use crate::content::Change;
use crate::db::{ExecutorExt, Sql};
use crate::digest::{Algorithm, Hasher};
use crate::model::{Artifact, FindingEnd, Lost, Problem, Seen};
use crate::storage::{ArtifactPath, Storage, StorageError};
use crate::tasks::repair::fetch;
use crate::{Error, Pulp, Result};

/// What looking at a file has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is what it should be.
    Sound,
    /// It is wrong, and its row has been removed meanwhile.
    Unneeded,
    /// It was wrong, and there is a finding.
    Wrong {
        problem: Problem,
        /// Whether a source gave it again.
        repaired: bool,
    },
}

/// Looks at one file. If it is wrong, it is set aside, noted, and fetched again.
pub(super) async fn look(pulp: &Pulp, artifact: &Artifact, budget: &mut Budget) -> Result<Outcome> {
    let Ok(path) = artifact.file.parse::<ArtifactPath>() else {
        tracing::warn!(file = artifact.file, "the path of an artifact is none of ours; it is passed over");
        return Ok(Outcome::Sound);
    };
    let storage = match pulp.storage().holder(&path).await? {
        Some(holder) => holder,
        None => Arc::clone(pulp.storage()),
    };
    let Some((problem, mut seen)) = check(&*storage, artifact, &path, budget).await? else { return Ok(Outcome::Sound) };
    if !is_needed(pulp, artifact).await? {
        return Ok(Outcome::Unneeded);
    }
    if problem != Problem::Missing {
        match set_aside(pulp, &*storage, artifact, &path, budget).await? {
            Aside::Sound => return Ok(Outcome::Sound),
            Aside::At(place) => seen.quarantined = Some(place.to_string()),
            Aside::Stays => {}
        }
        // Nobody is to go on with what was read of it.
        Change::Everything.announce(pulp).await;
    }
    let finding = Lost::note(pulp.db(), artifact, problem, &seen, pulp.now()).await?;
    let repaired = fetch(pulp, artifact, &path).await?;
    if repaired && !is_needed(pulp, artifact).await? {
        // Orphan cleanup does not wait for the scrub, and has removed the row while the file came.
        remove_litter(pulp, artifact, &path).await?;
        return Ok(Outcome::Unneeded);
    }
    if repaired {
        Lost::end(pulp.db(), finding, FindingEnd::Repaired, pulp.now()).await?;
        Change::Everything.announce(pulp).await;
    }
    Ok(Outcome::Wrong { problem, repaired })
}

async fn is_needed(pulp: &Pulp, artifact: &Artifact) -> Result<bool> {
    let sql = Sql::new("select 1 as one from core_artifact where pulp_id = $1").bind(artifact.pulp_id);
    Ok(pulp.db().optional::<(i32,)>(sql).await?.is_some())
}

/// Removes a file that has no row any more.
async fn remove_litter(pulp: &Pulp, artifact: &Artifact, path: &ArtifactPath) -> Result<()> {
    let _alone = pulp.storing().write().await;
    let again = Sql::new("select 1 as one from core_artifact where sha256 = $1 and pulp_domain_id = $2");
    let again = again.bind(artifact.sha256.as_str()).bind(artifact.pulp_domain_id);
    if pulp.db().optional::<(i32,)>(again).await?.is_none() {
        pulp.storage().delete(path).await?;
    }
    Ok(())
}

/// What is wrong with the file at `path`, if anything is.
async fn check(storage: &dyn Storage, artifact: &Artifact, path: &ArtifactPath, budget: &mut Budget) -> Result<Option<(Problem, Seen)>> {
    let size = match storage.size(path).await {
        Ok(size) => i64::try_from(size).unwrap_or(i64::MAX),
        Err(StorageError::NotFound { .. }) => return Ok(Some((Problem::Missing, Seen::default()))),
        Err(error) => return Err(error.into()),
    };
    let seen = Seen { size: Some(size), ..Seen::default() };
    if size != artifact.size {
        return Ok(Some((Problem::Size, seen)));
    }
    match sha256(storage, path, budget).await {
        Ok(found) if found == artifact.sha256 => Ok(None),
        Ok(found) => Ok(Some((Problem::Digest, Seen { sha256: Some(found), ..seen }))),
        Err(StorageError::NotFound { .. }) => Ok(Some((Problem::Missing, Seen::default()))),
        Err(error) if is_damage(&error) => Ok(Some((Problem::Unreadable, seen))),
        Err(error) => Err(error.into()),
    }
}

/// Reads a file, no faster than the budget allows.
async fn sha256(storage: &dyn Storage, path: &ArtifactPath, budget: &mut Budget) -> Result<String, StorageError> {
    let local = storage.local_file(path);
    forget_pages(local.clone()).await;
    let mut hasher = Hasher::new(&[Algorithm::Sha256]);
    let mut chunks = storage.open(path, None).await?;
    while let Some(chunk) = chunks.try_next().await? {
        hasher.update(&chunk);
        budget.spend(chunk.len()).await;
    }
    forget_pages(local).await;
    Ok(hasher.finish().0.get(Algorithm::Sha256).unwrap_or_default().to_owned())
}

/// Has the system forget what it keeps in memory of a file: before it is read, since the disk is what is to be looked at, and after, since nobody has
/// asked for it. Pages that a reader has mapped stay.
async fn forget_pages(file: Option<PathBuf>) {
    #[cfg(target_os = "linux")]
    if let Some(file) = file {
        let forgotten = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(file)?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(io::Error::from)
        });
        if let Ok(Err(error)) = forgotten.await {
            tracing::debug!(%error, "the pages of a file could not be forgotten");
        }
    }
    #[cfg(not(target_os = "linux"))]
    drop(file);
}

/// Whether a file cannot be read because of what lies on the disk, and not because the storage is away, or this process has no files to spare.
fn is_damage(error: &StorageError) -> bool {
    let StorageError::Backend { source, .. } = error else { return false };
    let Some(error) = source.downcast_ref::<io::Error>() else { return false };
    // EIO, EBADMSG (what some file systems say of a checksum) and EUCLEAN.
    error.kind() == io::ErrorKind::UnexpectedEof || matches!(error.raw_os_error(), Some(5 | 74 | 117))
}

/// Where a wrong file has gone.
enum Aside {
    /// Nowhere: it is not wrong. It has been brought again a moment ago, or was not read well before.
    Sound,
    At(ArtifactPath),
    /// The storage cannot move it.
    Stays,
}

/// Moves a wrong file out of the way. Nothing is deleted: somebody may want to see what has become of it.
async fn set_aside(pulp: &Pulp, storage: &dyn Storage, artifact: &Artifact, path: &ArtifactPath, budget: &mut Budget) -> Result<Aside> {
    let place = format!("{QUARANTINE}/{}.{}", artifact.sha256, Uuid::now_v7().simple());
    let place: ArtifactPath = place.parse().map_err(|error| Error::Internal(format!("no place in the quarantine: {error}")))?;
    let moved = {
        // Nobody in this process adopts a file while this is held.
        let _alone = pulp.storing().write().await;
        storage.rename(path, &place).await
    };
    match moved {
        Ok(()) => {}
        Err(StorageError::NotFound { .. }) => return Ok(Aside::Stays),
        Err(error) => {
            tracing::error!(%error, file = artifact.file, "a wrong file could not be set aside; it stays until it is fetched or uploaded again");
            return Ok(Aside::Stays);
        }
    }
    // Looked at once more where nobody writes: another process may have adopted the right one in between.
    if check(storage, artifact, &place, budget).await?.is_none() {
        storage.rename(&place, path).await?;
        return Ok(Aside::Sound);
    }
    Ok(Aside::At(place))
}

/// The directory of a storage, or the beginning of the keys, under which wrong files lie.
const QUARANTINE: &str = "quarantine";
