//! The stage that fetches what is missing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use url::Url;
use uuid::Uuid;

use super::alternate::Alternate;
use super::resolve::{FileState, Resolved};
use super::{Declared, FileSource, SyncContext};
use crate::digest::{Expected, Sha256};
use crate::model::save::Unit;
use crate::storage::Spooled;
use crate::tasks::{LogLevel, ProgressReport};
use crate::{Error, Result};

/// The unit of the byte budget: permits of a semaphore are 32 bits wide.
const KIB: u64 = 1024;

/// A file of which nothing is announced counts as so many bytes.
const UNKNOWN: u64 = 1 << 20;

/// A unit whose files are all here, or may come later.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) unit: Unit,
    pub(super) files: Vec<ReadyFile>,
    /// The bytes that it takes of the budget until it is saved.
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// A file of it.
#[derive(Debug)]
pub(super) struct ReadyFile {
    pub(super) relative_path: String,
    pub(super) expected: Expected,
    /// Where it came from, or will come from.
    pub(super) url: Option<Url>,
    pub(super) place: Place,
}

/// Where a file is when its unit comes to be saved.
#[derive(Debug)]
pub(super) enum Place {
    /// In the storage, with a row.
    Stored(Uuid),
    /// In the spool.
    Spooled(Spooled),
    /// In the storage or the spool, as a file of a unit that is saved before this one or with it.
    Same(Sha256),
    /// At the upstream.
    Upstream,
}

/// Bytes that all downloads of a sync may have on their way at a time.
pub(super) struct Budget {
    permits: Arc<Semaphore>,
    all: u32,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        let all = u32::try_from(bytes / KIB).unwrap_or(u32::MAX).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize) as u32);
        Self { permits: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits for room. What is larger than the whole budget goes alone.
    async fn enter(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).clamp(1, self.all);
        let entered = self.permits.clone().acquire_many_owned(permits).await;
        entered.map_err(|_| Error::Internal("the budget of a sync was closed".to_owned()))
    }
}

/// Runs until the stage before has no more, with at most as many downloads at a time as the remote says.
pub(super) async fn download(
    mut from: mpsc::Receiver<Resolved>,
    to: mpsc::Sender<Ready>,
    cx: &SyncContext,
    budget: &Budget,
    report: &ProgressReport,
) -> Result<()> {
    let mut running: FuturesUnordered<BoxFuture<'_, Result<Ready>>> = FuturesUnordered::new();
    // Units whose one missing file is being fetched for another unit, by its digest.
    let mut waiting: HashMap<Sha256, Vec<Resolved>> = HashMap::new();
    let mut fetched = Recent::new(cx.pulp().settings().sync_max_in_flight_items);
    let mut open = true;
    while open || !running.is_empty() {
        tokio::select! {
            biased;
            Some(ready) = running.next(), if !running.is_empty() => {
                let ready = ready?;
                report.increase(ready.files.iter().filter(|file| file.url.is_some() && matches!(file.place, Place::Spooled(_))).count() as i64);
                let others = single(&ready).and_then(|sha256| Some((sha256, waiting.remove(&sha256)?)));
                if let Some((sha256, _)) = &others {
                    fetched.insert(*sha256);
                }
                if to.send(ready).await.is_err() {
                    return Ok(());
                }
                let Some((sha256, others)) = others else { continue };
                for other in others {
                    note_settled(cx, &other.declared);
                    if to.send(settled(other, |_| Place::Same(sha256))).await.is_err() {
                        return Ok(());
                    }
                }
            }
            next = from.recv(), if open && running.len() < cx.concurrency() => match next {
                None => open = false,
                Some(resolved) if !resolved.files.contains(&FileState::Wanted) => {
                    note_settled(cx, &resolved.declared);
                    if to.send(settled(resolved, known)).await.is_err() {
                        return Ok(());
                    }
                }
                Some(resolved) => {
                    if let Some(sha256) = wanted(&resolved.declared) {
                        if fetched.contains(&sha256) {
                            note_settled(cx, &resolved.declared);
                            if to.send(settled(resolved, |_| Place::Same(sha256))).await.is_err() {
                                return Ok(());
                            }
                            continue;
                        }
                        if let Some(others) = waiting.get_mut(&sha256) {
                            others.push(resolved);
                            continue;
                        }
                        waiting.insert(sha256, Vec::new());
                    }
                    running.push(Box::pin(fetch(resolved, cx, budget)));
                }
            },
        }
    }
    Ok(())
}

/// The digests that were fetched last. A unit that was looked up before an equal file was saved is at most as far behind as a sync
/// may hold units; one that comes later finds the file stored.
struct Recent {
    room: usize,
    order: VecDeque<Sha256>,
    known: HashSet<Sha256>,
}

impl Recent {
    fn new(room: usize) -> Self {
        Self { room: room.max(1), order: VecDeque::new(), known: HashSet::new() }
    }

    fn contains(&self, sha256: &Sha256) -> bool {
        self.known.contains(sha256)
    }

    fn insert(&mut self, sha256: Sha256) {
        if self.known.insert(sha256) {
            self.order.push_back(sha256);
        }
        if self.order.len() > self.room
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// The announced digest of the only file of a unit that has but one.
fn wanted(declared: &Declared) -> Option<Sha256> {
    match declared.files.as_slice() {
        [file] if matches!(file.source, FileSource::Url(_)) => file.expected.digests.sha256(),
        _ => None,
    }
}

/// The same of a unit that is ready.
fn single(ready: &Ready) -> Option<Sha256> {
    match ready.files.as_slice() {
        [file] => file.expected.digests.sha256(),
        _ => None,
    }
}

fn known(state: FileState) -> Place {
    match state {
        FileState::Stored(artifact) => Place::Stored(artifact),
        FileState::Wanted | FileState::Later => Place::Upstream,
    }
}

/// A unit of which nothing is to be fetched.
fn settled(resolved: Resolved, place: impl Fn(FileState) -> Place) -> Ready {
    let files = resolved.declared.files.into_iter().zip(resolved.files);
    let files = files.map(|(file, state)| ReadyFile {
        relative_path: file.relative_path,
        expected: file.expected,
        url: match file.source {
            FileSource::Url(url) => Some(url),
            FileSource::Spooled(_) => None,
        },
        place: place(state),
    });
    Ready { unit: resolved.declared.unit, files: files.collect(), _permit: None }
}

/// Notes that of a unit nothing is to be fetched.
pub(super) fn note_settled(cx: &SyncContext, declared: &Declared) {
    if let Some(meter) = cx.meter() {
        meter.settle(declared.files.len() as u64, declared.announced());
    }
}

/// Fetches the missing files of one unit, one after the other: a unit enters the budget once, so that no two can each hold what the
/// other waits for.
async fn fetch(resolved: Resolved, cx: &SyncContext, budget: &Budget) -> Result<Ready> {
    let files = &resolved.declared.files;
    let unannounced = files.iter().filter(|file| file.expected.size.is_none()).count() as u64 * UNKNOWN;
    let permit = budget.enter(resolved.declared.announced().saturating_add(unannounced)).await?;
    let mut ready = Vec::with_capacity(files.len());
    let mut alternates = resolved.alternates.into_iter();
    for (file, state) in resolved.declared.files.into_iter().zip(resolved.files) {
        let elsewhere = alternates.next().unwrap_or_default();
        if let Some(meter) = cx.meter()
            && !matches!((&file.source, state), (FileSource::Url(_), FileState::Wanted))
        {
            meter.settle(1, file.expected.size.unwrap_or(0));
        }
        let (url, place) = match (file.source, state) {
            (FileSource::Spooled(spooled), FileState::Wanted) => (None, Place::Spooled(spooled)),
            (FileSource::Spooled(_), state) => (None, known(state)),
            (FileSource::Url(url), FileState::Wanted) => {
                let spooled = fetch_file(cx, elsewhere, &url, &file.expected).await?;
                cx.task().pulp().metrics().synced_bytes.add(spooled.size());
                (Some(url), Place::Spooled(spooled))
            }
            (FileSource::Url(url), state) => (Some(url), known(state)),
        };
        ready.push(ReadyFile { relative_path: file.relative_path, expected: file.expected, url, place });
    }
    Ok(Ready { unit: resolved.declared.unit, files: ready, _permit: Some(permit) })
}

/// Fetches a file: from an alternate content source if one has it, those that do best lately first; else from where it was declared to be.
async fn fetch_file(cx: &SyncContext, mut elsewhere: Vec<Alternate>, url: &Url, expected: &Expected) -> Result<Spooled> {
    elsewhere.sort_by_cached_key(|alternate| cx.pulp().hosts().rank(&alternate.url));
    for alternate in elsewhere.iter().filter(|alternate| alternate.source.is_usable()) {
        let fetched = cx.fetch_announced(&alternate.source.client, alternate.url.clone(), expected.clone()).await;
        alternate.source.note(fetched.is_ok());
        match fetched {
            Ok(spooled) => return Ok(spooled),
            Err(Error::Canceled) => return Err(Error::Canceled),
            Err(error) => {
                tracing::warn!(%error, remote = alternate.source.name, "an alternate content source failed");
                let said = format!("Alternate content source \"{}\" failed: {}", alternate.source.name, error.public_message());
                cx.task().log(LogLevel::Warning, said);
            }
        }
    }
    cx.fetch_announced(cx.client(), url.clone(), expected.clone()).await
}
