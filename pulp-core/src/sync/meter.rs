//! How far a sync is, for a program that shows it to somebody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use futures::StreamExt as _;
use uuid::Uuid;

use crate::download::{Download, DownloadError, DownloadRequest, Downloader};

/// Counts what the syncs of one repository do in this process, byte by byte, for as long as somebody holds it. Take it
/// from [`Pulp::meter`](crate::Pulp::meter) before the sync, and read it as often as you like.
///
/// Progress reports of the task tell the same, but coarsely and through the database.
#[derive(Debug, Default)]
pub struct Meter {
    announced: Counter,
    settled: Counter,
    fetched: Counter,
    skipped: AtomicU64,
}

/// Files, and bytes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a [`Meter`] shows at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// All files that the upstream lists; nothing until its metadata have been read.
    pub announced: Tally,
    /// Those of which nothing is to be fetched: they are stored already, or may come later.
    pub settled: Tally,
    /// Those that were fetched. Bytes count as they come, files when they are complete.
    pub fetched: Tally,
    /// Entries of a directory that were passed over.
    pub skipped: u64,
}

impl Reading {
    /// What is done, of what was announced.
    pub fn done(&self) -> Tally {
        let sum = |a: u64, b: u64, all: u64| a.saturating_add(b).min(all);
        Tally {
            files: sum(self.settled.files, self.fetched.files, self.announced.files),
            bytes: sum(self.settled.bytes, self.fetched.bytes, self.announced.bytes),
        }
    }
}

impl Meter {
    /// What it shows now.
    pub fn read(&self) -> Reading {
        Reading {
            announced: self.announced.read(),
            settled: self.settled.read(),
            fetched: self.fetched.read(),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }

    /// So much the upstream lists; the first stage of a sync says so as soon as it knows.
    pub fn announce(&self, files: u64, bytes: u64) {
        self.announced.add(files, bytes);
    }

    /// An entry was passed over.
    pub fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn settle(&self, files: u64, bytes: u64) {
        self.settled.add(files, bytes);
    }
}

#[derive(Debug, Default)]
struct Counter {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    fn add(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn read(&self) -> Tally {
        Tally { files: self.files.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

/// The meters that somebody holds, by repository.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<HashMap<Uuid, Weak<Meter>>>);

impl Meters {
    /// The meter of a repository, made if nobody holds one.
    pub(crate) fn of(&self, repository: Uuid) -> Arc<Meter> {
        let mut meters = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        meters.retain(|_, meter| meter.strong_count() > 0);
        if let Some(held) = meters.get(&repository).and_then(Weak::upgrade) {
            return held;
        }
        let meter = Arc::new(Meter::default());
        meters.insert(repository, Arc::downgrade(&meter));
        meter
    }

    /// The meter of a repository, if somebody holds one.
    pub(crate) fn held(&self, repository: Uuid) -> Option<Arc<Meter>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&repository)?.upgrade()
    }
}

/// Counts the bytes of one file on its way.
pub(super) struct Counting<'a> {
    inner: &'a dyn Downloader,
    meter: &'a Arc<Meter>,
    came: Arc<AtomicU64>,
}

impl<'a> Counting<'a> {
    pub(super) fn new(inner: &'a dyn Downloader, meter: &'a Arc<Meter>) -> Self {
        Self { inner, meter, came: Arc::default() }
    }

    /// The file is here and has this size: what came more than once counts once.
    pub(super) fn complete(self, size: u64) {
        let more = size.wrapping_sub(self.came.load(Ordering::Relaxed));
        self.meter.fetched.add(1, more);
    }
}

#[async_trait]
impl Downloader for Counting<'_> {
    async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
        let mut download = self.inner.get(request).await?;
        let body = std::mem::replace(&mut download.body, futures::stream::empty().boxed());
        let (meter, came) = (Arc::clone(self.meter), Arc::clone(&self.came));
        download.body = body
            .inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    meter.fetched.add(0, chunk.len() as u64);
                    came.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
            })
            .boxed();
        Ok(download)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_lives_as_long_as_somebody_holds_it() {
        let meters = Meters::default();
        let repository = Uuid::now_v7();
        assert!(meters.held(repository).is_none());
        let meter = meters.of(repository);
        meter.announce(2, 10);
        assert_eq!(meters.of(repository).read().announced, Tally { files: 2, bytes: 10 });
        assert!(meters.held(repository).is_some());
        drop(meter);
        assert!(meters.held(repository).is_none());
        assert_eq!(meters.of(repository).read(), Reading::default());
    }

    #[test]
    fn never_more_is_done_than_was_announced() {
        let meter = Meter::default();
        meter.announce(3, 10);
        meter.settle(1, 4);
        meter.fetched.add(1, 9);
        assert_eq!(meter.read().done(), Tally { files: 2, bytes: 10 });
    }
}
