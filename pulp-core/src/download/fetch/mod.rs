//! The lazy fetch that many clients share: one upstream request per file and process, whoever asks and however often.
//!
//! The first client starts a task of its own for the file. The task writes to the spool and advances a watermark; every client, the first
//! too, reads behind it, from any offset, at its own speed. So a slow client does not slow the fetch, and one that leaves does not end it.
//!
//! Nobody completes a wrong file: small files are verified before their first byte, and of larger ones the end is withheld until the digest
//! is known to be right. When a source fails midway, the next one goes on at the same offset. When it turns out that a source gave wrong
//! bytes, the fetch begins again with the next one; clients that have nothing yet do not notice, the others lose their connection.
//!
//! Bounded are: files under way and waiting, bytes in memory (one chunk per client, smaller the more there are), and the disk by the quota
//! of the spool.

mod entry;
mod error;
mod fill;
mod gate;
mod reader;
mod request;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::{Semaphore, watch};

pub use error::FetchError;
pub use request::{FetchHandler, FetchKey, FetchMeta, FetchRange, FetchRequest, Source};

use crate::body::Part;
use crate::storage::Spool;
use entry::Entry;
use reader::{Presence, Reader};

/// The bytes for one client. After an error the connection must be closed, so that the client knows that it has not all of it.
pub type FetchStream = BoxStream<'static, Result<Bytes, FetchError>>;

/// The bounds of a [`Fetcher`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FetcherOptions {
    /// Files up to this size, in bytes, are verified before the first byte is passed on. Default: 1 MiB.
    pub verify_before_serving: u64,
    /// The end of larger files that is withheld until they are verified, in bytes; at least one. Default: 64 KiB.
    pub hold_back: u64,
    /// Files that are fetched at a time; others wait. Default: 64.
    pub concurrency: usize,
    /// Files that are fetched or wait; requests for more are refused as [`FetchError::Busy`]. Default: 4096.
    pub pending: usize,
    /// Bytes of chunks that all clients together hold in memory, as long as each may hold 16 KiB. Default: 64 MiB.
    pub read_buffers: u64,
    /// The largest file that is taken, in bytes. Default: none but what the metadata announces.
    pub limit: Option<u64>,
}

impl Default for FetcherOptions {
    fn default() -> Self {
        Self { verify_before_serving: 1 << 20, hold_back: 64 << 10, concurrency: 64, pending: 4096, read_buffers: 64 << 20, limit: None }
    }
}

/// Fetches lazy content, each file once for all who ask. Cheap to clone; clones are the same fetcher.
///
/// ```no_run
/// # async fn example(handler: std::sync::Arc<dyn pulp_core::download::FetchHandler>) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use futures::StreamExt as _;
/// use pulp_core::digest::Expected;
/// use pulp_core::download::{
///     DownloadRequest, FetchRequest, Fetcher, FetcherOptions, HttpDownloader, RemoteOptions, RetryPolicy, Source,
/// };
/// use pulp_core::storage::{Spool, SpoolOptions};
///
/// let fetcher = Fetcher::new(Spool::open("spool", SpoolOptions::default()).await?, FetcherOptions::default());
/// let source = Source {
///     id: "mirror".into(),
///     downloader: Arc::new(HttpDownloader::new(&RemoteOptions::default())?),
///     request: DownloadRequest::new("https://example.com/large.iso".parse()?),
///     retry: RetryPolicy::default(),
/// };
/// let request = FetchRequest::new("large.iso", vec![source], Expected::anything(), handler);
/// let (meta, mut body) = fetcher.open(request, None).await?;
/// println!("{:?} bytes follow", meta.length);
/// while let Some(chunk) = body.next().await {
///     let _to_client = chunk?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    spool: Spool,
    options: FetcherOptions,
    entries: Mutex<HashMap<FetchKey, Arc<Entry>>>,
    fills: Semaphore,
    readers: Arc<AtomicUsize>,
    counts: Counts,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Counts {
    running: AtomicUsize,
    waiting: AtomicUsize,
    fetched: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

/// Counts as long as it lives, however that ends.
struct While<'a>(&'a AtomicUsize);

impl<'a> While<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for While<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a [`Fetcher`] does, and has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchFigures {
    /// Files that are being fetched.
    pub running: usize,
    /// Files that wait for others to be fetched first.
    pub waiting: usize,
    /// Files that came in whole.
    pub fetched: u64,
    /// Files that no source gave.
    pub failed: u64,
    /// Bytes that came from sources, those of failed attempts included.
    pub bytes: u64,
}

impl Fetcher {
    /// Fetches into `spool`, which should lie on the file system of the storage.
    #[must_use]
    pub fn new(spool: Spool, options: FetcherOptions) -> Self {
        let fills = Semaphore::new(options.concurrency.clamp(1, Semaphore::MAX_PERMITS));
        let shared = Shared { spool, options, entries: Mutex::default(), fills, readers: Arc::default(), counts: Counts::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Joins the fetch of the file, or begins it, and returns when its first byte may be passed on. Sources, handler and all else of the
    /// request count only if this begins it.
    ///
    /// Must be called within a tokio runtime, in which the fetch goes on.
    ///
    /// # Errors
    /// [`FetchError`], which says what to answer. The stream may end with one, too.
    pub async fn open(&self, request: FetchRequest, range: Option<FetchRange>) -> Result<(FetchMeta, FetchStream), FetchError> {
        let (meta, reader) = self.reader(request, range).await?;
        Ok((meta, stream::try_unfold(reader, Reader::next).boxed()))
    }

    /// The same with the places of the bytes in the spool’s file, for a front end that can send them from there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_parts(
        &self,
        request: FetchRequest,
        range: Option<FetchRange>,
    ) -> Result<(FetchMeta, BoxStream<'static, Result<Part, FetchError>>), FetchError> {
        let (meta, reader) = self.reader(request, range).await?;
        Ok((meta, stream::try_unfold(reader, Reader::next_part).boxed()))
    }

    async fn reader(&self, request: FetchRequest, range: Option<FetchRange>) -> Result<(FetchMeta, Reader), FetchError> {
        let state = self.join(request)?;
        let presence = Presence::new(self.shared.readers.clone(), self.shared.options.read_buffers);
        Reader::open(state, presence, range).await
    }

    /// How many files are being fetched, wait for it, or are being stored.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.entries().len()
    }

    /// What it does, and has done.
    #[must_use]
    pub fn figures(&self) -> FetchFigures {
        let counts = &self.shared.counts;
        FetchFigures {
            running: counts.running.load(Ordering::Relaxed),
            waiting: counts.waiting.load(Ordering::Relaxed),
            fetched: counts.fetched.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            bytes: counts.bytes.load(Ordering::Relaxed),
        }
    }

    /// Waits until files that have come in whole are kept as well, but not longer than `patience`. Clients have the last byte of a file
    /// a moment before that: who looks next for what is kept should not miss it.
    pub async fn settle(&self, patience: Duration) {
        let entries = self.shared.entries().values().filter(|entry| entry.is_being_kept()).map(|entry| entry.state.subscribe()).collect();
        let gone = async |mut entries: Vec<watch::Receiver<entry::State>>| {
            for state in &mut entries {
                while state.changed().await.is_ok() {}
            }
        };
        if tokio::time::timeout(patience, gone(entries)).await.is_err() {
            tracing::warn!("files that were fetched are not stored yet");
        }
    }

    fn join(&self, request: FetchRequest) -> Result<watch::Receiver<entry::State>, FetchError> {
        let mut entries = self.shared.entries();
        let pending = entries.len();
        match entries.entry(request.key.clone()) {
            Slot::Occupied(slot) => Ok(slot.get().state.subscribe()),
            Slot::Vacant(_) if request.handler.is_kept(&request.key) => Err(FetchError::Kept),
            Slot::Vacant(_) if request.sources.is_empty() => Err(FetchError::NoSource),
            Slot::Vacant(_) if pending >= self.shared.options.pending => Err(FetchError::Busy),
            Slot::Vacant(slot) => {
                let entry = slot.insert(Arc::new(Entry::new(request.streamed))).clone();
                let state = entry.state.subscribe();
                tokio::spawn(fill::run(self.shared.clone(), request, entry));
                Ok(state)
            }
        }
    }
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, HashMap<FetchKey, Arc<Entry>>> {
        // Nothing panics while it holds the lock; and if so, the map is still whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the entry, if it has not been replaced.
    fn remove(&self, key: &FetchKey, entry: &Arc<Entry>) {
        let mut entries = self.entries();
        if entries.get(key).is_some_and(|current| Arc::ptr_eq(current, entry)) {
            entries.remove(key);
        }
    }

    /// Forgets the entry if nobody follows it, and says whether that was so.
    fn remove_if_unread(&self, key: &FetchKey, entry: &Arc<Entry>) -> bool {
        let mut entries = self.entries();
        if entry.state.receiver_count() > 0 {
            return false;
        }
        if entries.get(key).is_some_and(|current| Arc::ptr_eq(current, entry)) {
            entries.remove(key);
        }
        true
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("pending", &self.pending()).field("options", &self.shared.options).finish_non_exhaustive()
    }
}
