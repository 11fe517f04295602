//! The artifacts of an archive: stored under the digest that they have, whatever the archive calls them.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::list::{Rows, text};
use super::source::Parts;
use super::tape::{Member, bad, unreadable};
use crate::digest::{Algorithm, Sha256};
use crate::model::Artifact;
use crate::model::save::{NewArtifact, find_artifacts, save_artifacts, touch_artifacts};
use crate::storage::{NewFile, Spooled};
use crate::tasks::{ProgressReport, TaskContext};
use crate::{Error, Result};

/// Where artifacts are in an archive.
pub(super) const DIRECTORY: &str = "artifact/";

/// Artifacts in one go, and bytes of those that are read in one go.
const BATCH: usize = 500;
const BATCH_BYTES: u64 = 8 << 20;

/// Bytes of a larger one that are read in one go.
const BLOCK: u64 = 1 << 20;

/// Takes artifacts into the storage, some at a time.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    cx: &'a TaskContext,
    parts: Arc<Parts>,
    waiting: Vec<Member>,
    bytes: u64,
}

impl<'a> Intake<'a> {
    pub(super) fn new(cx: &'a TaskContext, parts: Arc<Parts>) -> Self {
        Self { cx, parts, waiting: Vec::new(), bytes: 0 }
    }

    /// Takes one more.
    ///
    /// # Errors
    /// If it is not what its name says, or cannot be stored.
    pub(super) async fn take(&mut self, member: Member) -> Result<()> {
        self.bytes += member.size;
        self.waiting.push(member);
        if self.waiting.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Stores what waits.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let mut named = Vec::with_capacity(self.waiting.len());
        for member in self.waiting.drain(..) {
            named.push((digest(&member.name)?, member));
        }
        if named.is_empty() {
            return Ok(());
        }
        let (db, domain) = (self.cx.pulp().db(), self.cx.domain().pulp_id);
        let digests: Vec<String> = named.iter().map(|(sha256, _)| sha256.to_string()).collect();
        let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
        let there = find_artifacts(db, Algorithm::Sha256, &digests, domain).await?;
        let keys: Vec<Uuid> = there.iter().map(|artifact| artifact.pulp_id).collect();
        // One that is removed meanwhile is stored again.
        let kept: HashSet<Uuid> = touch_artifacts(db, &keys, self.cx.pulp().now()).await?.into_iter().collect();
        let there: HashSet<String> =
            there.into_iter().filter(|artifact| kept.contains(&artifact.pulp_id)).map(|artifact| artifact.sha256).collect();
        named.retain(|(sha256, _)| !there.contains(&sha256.to_string()));
        let mut seen = HashSet::new();
        named.retain(|(sha256, _)| seen.insert(*sha256));
        let small: Vec<Member> = named.iter().map(|(_, member)| member).filter(|member| member.size <= BLOCK).cloned().collect();
        let mut read = self.read_all(small).await?.into_iter();
        let mut spooled = Vec::with_capacity(named.len());
        for (sha256, member) in &named {
            let file = if member.size <= BLOCK { self.spool(member, read.next()).await? } else { self.spool(member, None).await? };
            if file.sha256()? != *sha256 {
                return Err(bad(&format!("the artifact {} has the sha256 {}", member.name.escape_debug(), file.sha256()?)));
            }
            spooled.push(file);
        }
        self.store(spooled).await
    }

    /// Reads small files on one trip to a thread.
    async fn read_all(&self, members: Vec<Member>) -> Result<Vec<Bytes>> {
        let parts = Arc::clone(&self.parts);
        let read = tokio::task::spawn_blocking(move || members.iter().map(|member| read(&parts, member.at, member.size)).collect());
        read.await.map_err(|error| Error::Internal(error.to_string()))?
    }

    async fn spool(&self, member: &Member, bytes: Option<Bytes>) -> Result<Spooled> {
        let mut file = self.cx.pulp().spool().create_with(NewFile::sized(member.size));
        match bytes {
            Some(bytes) => file.write(bytes).await?,
            None => {
                let mut at = 0;
                while at < member.size {
                    let (parts, from, size) = (Arc::clone(&self.parts), member.at + at, BLOCK.min(member.size - at));
                    let block = tokio::task::spawn_blocking(move || read(&parts, from, size)).await;
                    file.write(block.map_err(|error| Error::Internal(error.to_string()))??).await?;
                    at += size;
                }
            }
        }
        Ok(file.finish().await?)
    }

    async fn store(&self, spooled: Vec<Spooled>) -> Result<()> {
        if spooled.is_empty() {
            return Ok(());
        }
        let (pulp, domain) = (self.cx.pulp(), self.cx.domain().pulp_id);
        let mut files = Vec::with_capacity(spooled.len());
        let mut artifacts = Vec::with_capacity(spooled.len());
        for file in spooled {
            let path = Artifact::place(&file.sha256()?, domain, pulp.settings().domain_enabled);
            let size = i64::try_from(file.size()).unwrap_or(i64::MAX);
            artifacts.push(NewArtifact { file: path.to_string(), size, digests: file.digests().clone() });
            files.push((file, path));
        }
        let _storing = pulp.storing().read().await;
        pulp.storage().adopt_many(files).await?;
        let tx = pulp.db().begin().await?;
        self.cx.hold(&tx).await?;
        save_artifacts(&tx, &artifacts, domain, pulp.now()).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn read(parts: &Parts, at: u64, size: u64) -> Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(size).unwrap_or_default()];
    let read = parts.read_at(&mut buffer, at).map_err(unreadable)?;
    if read < buffer.len() { Err(bad("it is cut off")) } else { Ok(buffer.into()) }
}

/// The digest that an artifact’s path is made of: `artifact/ab/cdef…`.
fn digest(name: &str) -> Result<Sha256> {
    let mut parts = name.rsplit('/');
    let (rest, first) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{first}{rest}").parse().map_err(|_| bad(&format!("\"{}\" is no path of an artifact", name.escape_debug())))
}

/// Makes sure that all artifacts which the archive lists are stored.
///
/// # Errors
/// If one is not: the archive lacks it.
pub(super) async fn check_listed(cx: &TaskContext, parts: &Arc<Parts>, list: &Member, report: &ProgressReport) -> Result<()> {
    let mut rows = Rows::of(parts, list);
    while let Some(rows) = rows.next().await? {
        let mut wanted = Vec::with_capacity(rows.len());
        for row in &rows {
            wanted.push((text(row, "sha256")?, text(row, "size")?));
        }
        let digests: Vec<&str> = wanted.iter().map(|(sha256, _)| sha256.as_ref()).collect();
        let there = find_artifacts(cx.pulp().db(), Algorithm::Sha256, &digests, cx.domain().pulp_id).await?;
        let there: HashSet<(String, String)> = there.into_iter().map(|artifact| (artifact.sha256, artifact.size.to_string())).collect();
        for (sha256, size) in wanted {
            if !there.contains(&(sha256.clone().into_owned(), size.clone().into_owned())) {
                return Err(bad(&format!(
                    "it lists the artifact {} of {} bytes, and does not have it",
                    sha256.escape_debug(),
                    size.escape_debug()
                )));
            }
        }
        report.increase(i64::try_from(rows.len()).unwrap_or_default());
    }
    Ok(())
}
