//! The stages that store: files durably, then all rows of a batch at once. While the rows of one batch are written, the files of the
//! next one go to the disk.

use std::collections::HashMap;

use tokio::sync::{RwLockReadGuard, mpsc};
use uuid::Uuid;

use super::SyncContext;
use super::download::{Place, Ready};
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::digest::Algorithm;
use crate::model::Artifact;
use crate::model::save::{
    ContentKind, NewArtifact, SavedUnit, Unit, UnitFile, UnitKey, find_artifacts, save_artifacts, save_files, save_units,
};
use crate::tasks::ProgressReport;
use crate::version::VersionDraft;
use crate::{Error, Result};

/// Tries of a batch that lost against another writer.
const TRIES: usize = 5;

/// A batch whose files are in the storage, and not yet its rows.
pub(super) struct Adopted<'a> {
    ready: Vec<Ready>,
    artifacts: Vec<NewArtifact>,
    /// Keeps the files until rows name them.
    _storing: RwLockReadGuard<'a, ()>,
}

/// Takes files into the storage, a batch at a time, until the stage before has no more.
pub(super) async fn adopt<'a>(
    mut from: mpsc::Receiver<Ready>,
    to: mpsc::Sender<Adopted<'a>>,
    cx: &'a SyncContext,
    batch: usize,
) -> Result<()> {
    loop {
        let mut ready = Vec::with_capacity(batch);
        if from.recv_many(&mut ready, batch).await == 0 {
            return Ok(());
        }
        let storing = cx.pulp().storing().read().await;
        let artifacts = adopt_files(&mut ready, cx).await?;
        if to.send(Adopted { ready, artifacts, _storing: storing }).await.is_err() {
            // The stage that writes has failed and says why.
            return Ok(());
        }
    }
}

/// Writes the rows of batches until the stage before has no more. The number of units that are new to the repository.
pub(super) async fn save(
    mut from: mpsc::Receiver<Adopted<'_>>,
    cx: &SyncContext,
    draft: &mut VersionDraft,
    report: &ProgressReport,
    since: Timestamp,
) -> Result<u64> {
    let mut all = 0;
    while let Some(Adopted { ready, artifacts, _storing }) = from.recv().await {
        let mut tries = 0;
        let added = loop {
            tries += 1;
            match write(&ready, &artifacts, cx, draft, since).await {
                Err(Error::Db(DbError::Retry(reason))) if tries < TRIES => {
                    tracing::debug!(reason, "a batch is written again");
                }
                other => break other?,
            }
        };
        report.increase(i64::try_from(added).unwrap_or(i64::MAX));
        all += added;
    }
    Ok(all)
}

/// Takes the spooled files of a batch into the storage. On return they are as durable as the rows that will name them.
async fn adopt_files(ready: &mut [Ready], cx: &SyncContext) -> Result<Vec<NewArtifact>> {
    let domain = cx.task().domain().pulp_id;
    let domains = cx.pulp().settings().domain_enabled;
    let mut files = Vec::new();
    let mut artifacts = Vec::new();
    for file in ready.iter_mut().flat_map(|ready| &mut ready.files) {
        let Place::Spooled(spooled) = &file.place else { continue };
        let sha256 = spooled.sha256()?;
        let path = Artifact::place(&sha256, domain, domains);
        artifacts.push(NewArtifact {
            file: path.to_string(),
            size: i64::try_from(spooled.size()).unwrap_or(i64::MAX),
            digests: spooled.digests().clone(),
        });
        if let Place::Spooled(spooled) = std::mem::replace(&mut file.place, Place::Same(sha256)) {
            files.push((spooled, path));
        }
    }
    if !files.is_empty() {
        cx.pulp().storage().adopt_many(files).await?;
    }
    Ok(artifacts)
}

/// Writes the rows of a batch in one transaction. The number of units that are new to the repository.
async fn write(ready: &[Ready], artifacts: &[NewArtifact], cx: &SyncContext, draft: &mut VersionDraft, since: Timestamp) -> Result<u64> {
    let (domain, now) = (cx.task().domain().pulp_id, cx.pulp().now());
    // The version that names them waits for the disk, and these rows with it.
    let tx = cx.pulp().db().begin_relaxed().await?;
    let mut stored = save_artifacts(&tx, artifacts, domain, now).await?;
    // Files that an earlier batch has stored for another unit.
    let elsewhere: Vec<String> = ready
        .iter()
        .flat_map(|ready| &ready.files)
        .filter_map(|file| match file.place {
            Place::Same(sha256) => Some(sha256.to_string()),
            _ => None,
        })
        .filter(|sha256| !stored.contains_key(sha256))
        .collect();
    if !elsewhere.is_empty() {
        let digests: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
        let found = find_artifacts(&tx, Algorithm::Sha256, &digests, domain).await?;
        stored.extend(found.into_iter().map(|artifact| (artifact.sha256, artifact.pulp_id)));
    }

    let mut kinds: HashMap<&str, (&'static ContentKind, Vec<&Unit>)> = HashMap::new();
    for ready in ready {
        kinds.entry(ready.unit.kind.pulp_type).or_insert_with(|| (ready.unit.kind, Vec::new())).1.push(&ready.unit);
    }
    let mut saved: HashMap<&str, HashMap<UnitKey, SavedUnit>> = HashMap::new();
    for (pulp_type, (kind, units)) in kinds {
        saved.insert(pulp_type, save_units(&tx, kind, &units, domain, since, now).await?);
    }

    let mut files = Vec::new();
    let mut units = Vec::with_capacity(ready.len());
    for ready in ready {
        let unit = saved.get(ready.unit.kind.pulp_type).and_then(|units| units.get(&ready.unit.key()));
        let unit = *unit.ok_or_else(|| Error::Internal("a content unit vanished while it was saved".to_owned()))?;
        units.push(unit);
        for file in &ready.files {
            files.push(UnitFile {
                unit,
                relative_path: &file.relative_path,
                artifact: artifact(&file.place, &stored)?,
                source: file.url.as_ref().map(|url| (cx.remote().pulp_id, url.as_str())),
                expected: &file.expected,
            });
        }
    }
    save_files(&tx, &files, domain, now).await?;
    let added = draft.add_saved(&tx, &units).await?;
    tx.commit().await?;
    Ok(added)
}

fn artifact(place: &Place, stored: &HashMap<String, Uuid>) -> Result<Option<Uuid>> {
    match place {
        Place::Stored(artifact) => Ok(Some(*artifact)),
        Place::Same(sha256) => match stored.get(&sha256.to_string()) {
            Some(artifact) => Ok(Some(*artifact)),
            None => Err(Error::Internal(format!("the artifact {sha256} vanished while it was saved"))),
        },
        Place::Spooled(_) => Err(Error::Internal("a spooled file was not adopted".to_owned())),
        Place::Upstream => Ok(None),
    }
}
