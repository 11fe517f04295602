//! The stage that finds out which files are stored already.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio::sync::mpsc;
use uuid::Uuid;

use super::alternate::{Alternate, Alternates};
use super::settle::Settled;
use super::{Declared, DeclaredFile, FileSource, SyncContext};
use crate::Result;
use crate::clock::Timestamp;
use crate::digest::Algorithm;
use crate::model::save::{find_artifacts, touch_artifacts};

/// A declared unit on its way through the pipeline.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) declared: Declared,
    /// What is to become of each of its files.
    pub(super) files: Vec<FileState>,
    /// Where else each of them can be fetched; empty where there is no such place for any.
    pub(super) alternates: Vec<Vec<Alternate>>,
}

/// What is known about where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// It is stored.
    Stored(Uuid),
    /// It must be stored now.
    Wanted,
    /// It stays at the upstream until somebody asks for it.
    Later,
}

/// Runs until the first stage has no more. What is settled goes no further; the keys of those units.
pub(super) async fn resolve(
    mut from: mpsc::Receiver<Declared>,
    to: mpsc::Sender<Resolved>,
    cx: &SyncContext,
    mut settled: Settled,
    since: Timestamp,
    batch: usize,
) -> Result<HashSet<Uuid>> {
    let lazy = cx.policy() != crate::model::Policy::Immediate;
    let elsewhere = if lazy { None } else { Some(Alternates::of(cx).await?).filter(|all| !all.is_empty()) };
    let mut received = Vec::with_capacity(batch);
    while from.recv_many(&mut received, batch).await > 0 {
        let batch_of = settled.take(std::mem::take(&mut received), cx).await?;
        if batch_of.is_empty() {
            continue;
        }
        let stored = stored(&batch_of, cx, since).await?;
        let alternates = match &elsewhere {
            Some(elsewhere) => elsewhere.find(cx, &missing(&batch_of, &stored)).await?,
            None => HashMap::new(),
        };
        for declared in batch_of {
            let others = |file| strongest(file).and_then(|digest| alternates.get(&digest)).cloned().unwrap_or_default();
            let alternates = if alternates.is_empty() { Vec::new() } else { declared.files.iter().map(others).collect() };
            let files = declared
                .files
                .iter()
                .map(|file| match (strongest(file).and_then(|digest| stored.get(&digest)), &file.source) {
                    (Some(artifact), _) => FileState::Stored(*artifact),
                    (None, FileSource::Url(_)) if lazy => FileState::Later,
                    (None, _) => FileState::Wanted,
                })
                .collect();
            if to.send(Resolved { declared, files, alternates }).await.is_err() {
                // A later stage has failed and says why.
                return Ok(HashSet::new());
            }
        }
    }
    Ok(settled.into_units())
}

/// The digest by which a file is looked up.
fn strongest(file: &DeclaredFile) -> Option<(Algorithm, String)> {
    // sha256 first: it alone is sure to be recorded for every artifact.
    let digests = match &file.source {
        FileSource::Url(_) => &file.expected.digests,
        FileSource::Spooled(spooled) => spooled.digests(),
    };
    let sha256 = digests.get(Algorithm::Sha256).map(|digest| (Algorithm::Sha256, digest));
    let (algorithm, digest) = sha256.or_else(|| digests.iter().last())?;
    Some((algorithm, digest.to_owned()))
}

/// The digests of the batch’s files that are to be fetched.
fn missing(batch: &[Declared], stored: &HashMap<(Algorithm, String), Uuid>) -> BTreeMap<Algorithm, Vec<String>> {
    let mut missing: BTreeMap<Algorithm, Vec<String>> = BTreeMap::new();
    let files = batch.iter().flat_map(|declared| &declared.files).filter(|file| matches!(file.source, FileSource::Url(_)));
    for digest in files.filter_map(strongest).filter(|digest| !stored.contains_key(digest)) {
        missing.entry(digest.0).or_default().push(digest.1);
    }
    missing
}

/// The artifacts that the batch’s files are, by digest. From now on they count as of use.
async fn stored(batch: &[Declared], cx: &SyncContext, since: Timestamp) -> Result<HashMap<(Algorithm, String), Uuid>> {
    let mut wanted: BTreeMap<Algorithm, Vec<String>> = BTreeMap::new();
    for (algorithm, digest) in batch.iter().flat_map(|declared| &declared.files).filter_map(strongest) {
        wanted.entry(algorithm).or_default().push(digest);
    }
    let mut stored = HashMap::new();
    for (algorithm, digests) in wanted {
        let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
        let found = find_artifacts(cx.pulp().db(), algorithm, &digests, cx.task().domain().pulp_id).await?;
        let idle: Vec<Uuid> = found.iter().filter(|found| found.timestamp_of_interest < since).map(|found| found.pulp_id).collect();
        // One that was idle may have been removed since it was found: it is stored anew then.
        let there: HashSet<Uuid> = touch_artifacts(cx.pulp().db(), &idle, cx.pulp().now()).await?.into_iter().collect();
        for artifact in found.into_iter().filter(|found| found.timestamp_of_interest >= since || there.contains(&found.pulp_id)) {
            if let Some(digest) = artifact.digests().get(algorithm) {
                stored.insert((algorithm, digest.to_owned()), artifact.pulp_id);
            }
        }
    }
    Ok(stored)
}
