//! All stages together, and the version that comes of it.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::download::{Budget, download};
use super::resolve::resolve;
use super::save::{adopt, save};
use super::settle::Settled;
use super::{FirstStage, Sink, SyncContext};
use crate::db::{Executor as _, ExecutorExt as _, Sql};
use crate::model::{Repository, RepositoryVersion};
use crate::tasks::LogLevel;
use crate::version::{RepositoryType, VersionDraft, announce};
use crate::{Error, Result};

/// Units that are resolved, or saved, in one go.
const BATCH: usize = 2_000;

/// New units from which on the statistics of the database are made anew.
const MANY: u64 = 5_000;
/// The tables that units fill, whatever their type, with the columns by which statements find rows: of the others, digests above all, statistics
/// take longest and help nobody.
const TABLES: [&str; 5] = [
    "core_content (pulp_id, pulp_type, pulp_domain_id, timestamp_of_interest)",
    "core_contentartifact (pulp_id, content_id, artifact_id, relative_path)",
    "core_remoteartifact (pulp_id, content_artifact_id, remote_id, sha256, pulp_domain_id)",
    "core_artifact (pulp_id, sha256, pulp_domain_id, timestamp_of_interest)",
    "core_repositorycontent (content_id, repository_id, version_added_id, version_removed_id)",
];

/// How a repository is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Whether what the upstream no longer has is removed; otherwise it stays.
    pub mirror: bool,
}

impl SyncOptions {
    /// Sets [`mirror`](Self::mirror).
    #[must_use]
    pub fn mirror(mut self, mirror: bool) -> Self {
        self.mirror = mirror;
        self
    }
}

/// Runs a sync: all that `first` declares comes into the next version of the repository. `None` if that would equal the version
/// before it.
///
/// Whoever calls it holds the repository exclusively, and the remote at least shared.
///
/// # Errors
/// What the first stage, a download, the storage or the database says; files and units that were saved until then stay stored,
/// but no version is made.
pub async fn synchronize(
    cx: &SyncContext,
    repository: &Repository,
    first: Box<dyn FirstStage>,
    options: SyncOptions,
) -> Result<Option<RepositoryVersion>> {
    let rules = cx
        .pulp()
        .registry()
        .repository_type(&repository.pulp_type)
        .cloned()
        .ok_or_else(|| Error::Internal(format!("the repository type {} is not registered", repository.pulp_type)))?;
    cx.task().log(LogLevel::Info, format!("Remote \"{}\" is read.", cx.remote().name));
    let mut draft = VersionDraft::begin(cx.pulp().db(), repository.pulp_id, None, cx.pulp().now()).await?;
    draft.held_by(cx.task());
    if options.mirror {
        draft.mirror();
    }
    match fill(cx, &mut draft, first).await {
        Ok(added) => {
            if added >= MANY {
                note_size(cx, rules.as_ref()).await;
            }
            finish(cx, draft, &rules).await
        }
        Err(error) => {
            if let Err(left) = draft.discard().await {
                tracing::warn!(error = %left, "the rows of a failed sync stay until the next one");
            }
            Err(error)
        }
    }
}

async fn finish(cx: &SyncContext, mut draft: VersionDraft, rules: &Arc<dyn RepositoryType>) -> Result<Option<RepositoryVersion>> {
    let removed = draft.remove_unseen().await?;
    if removed > 0 {
        let report = cx.task().progress("Un-Associating Content", "unassociating.content");
        report.increase(i64::try_from(removed).unwrap_or(i64::MAX));
        report.finish();
    }
    let version = draft.commit(rules.as_ref()).await?;
    match &version {
        Some(version) => {
            announce(cx.task(), rules.as_ref(), version).await?;
            cx.task().log(LogLevel::Info, format!("Version {} of the repository is made.", version.number));
        }
        None => cx.task().log(LogLevel::Info, "Nothing has changed: no version is made."),
    }
    Ok(version)
}

/// Tells the database how much there is now. Until it has found out by itself, which takes it a minute or more, it would read whole
/// tables for what an index has.
async fn note_size(cx: &SyncContext, rules: &dyn RepositoryType) {
    let mut tables = TABLES.to_vec();
    tables.extend(rules.unit_rules().iter().map(|rule| rule.table));
    tables.dedup();
    // Side by side, since the task waits for it: one connection keeps one core busy.
    let (some, others) = tables.split_at(tables.len() / 2);
    let db = cx.pulp().db();
    let analyze = async |tables: &[&str]| match db.dialect().analyze(tables) {
        Some(analyze) => db.execute(Sql::new(analyze)).await.map(drop),
        None => Ok(()),
    };
    if let Err(error) = tokio::try_join!(analyze(some), analyze(others)) {
        tracing::warn!(%error, "the statistics of the database are those from before the sync");
    }
}

/// The pipeline. The number of units that are new to the repository.
async fn fill(cx: &SyncContext, draft: &mut VersionDraft, first: Box<dyn FirstStage>) -> Result<u64> {
    // Three channels; and a batch each being adopted, waiting to be written, and being written.
    let room = (cx.pulp().settings().sync_max_in_flight_items / 6).clamp(1, BATCH);
    let (out, declared) = mpsc::channel(room);
    let (resolving, resolved) = mpsc::channel(room);
    let (downloading, downloaded) = mpsc::channel(room);
    let (adopting, adopted) = mpsc::channel(1);
    let budget = Budget::new(cx.pulp().settings().sync_max_in_flight_bytes);
    let since = cx.pulp().now();
    let artifacts = cx.task().progress("Downloading Artifacts", "sync.downloading.artifacts");
    let content = cx.task().progress("Associating Content", "associating.content");
    let first = async {
        let ended = first.run(Sink(out), cx).await;
        // A later stage that failed closes the channel; its error is the one to show.
        match ended {
            Err(Error::Canceled) => Ok(()),
            other => other,
        }
    };
    let settled = Settled::of(draft, since);
    let ((), settled, (), (), added) = tokio::try_join!(
        first,
        resolve(declared, resolving, cx, settled, since, room),
        download(resolved, downloading, cx, &budget, &artifacts),
        adopt(downloaded, adopting, cx, room),
        save(adopted, cx, draft, &content, since),
    )?;
    draft.keep(settled);
    artifacts.finish();
    content.finish();
    Ok(added)
}
