//! Files on their way in: written and hashed off the async workers, gone again unless adopted.

mod area;
mod desk;
mod file;
mod partial;
mod spooled;
mod tail;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;

pub use file::{NewFile, SpoolFile};
pub use partial::PartialKey;
pub use spooled::Spooled;
pub use tail::SpoolTail;

pub(super) use area::{Area, TempFile};

use super::{Result, io::blocking};
use crate::digest::Algorithm;

/// How a [`Spool`] behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpoolOptions {
    /// How many bytes all of its files may have together; without one, the disk is the limit.
    pub quota: Option<u64>,
    /// The digests that every file gets; by default [`Algorithm::DEFAULT`].
    pub algorithms: Vec<Algorithm>,
    /// How many large files are hashed at once, and on how many threads small ones are hashed and written; by default one per core.
    pub hashing: usize,
    /// How many bytes of files that did not come in whole are kept, beside the quota, for a day at most; none by default. Only files of
    /// which a digest is known, and some MiB are there, are worth it.
    pub partial: u64,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { quota: None, algorithms: Algorithm::DEFAULT.to_vec(), hashing: cores, partial: 0 }
    }
}

impl SpoolOptions {
    /// Sets [`quota`](Self::quota), in bytes.
    #[must_use]
    pub fn quota(mut self, bytes: u64) -> Self {
        self.quota = Some(bytes);
        self
    }

    /// Sets [`algorithms`](Self::algorithms).
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Sets [`partial`](Self::partial), in bytes.
    #[must_use]
    pub fn partial(mut self, bytes: u64) -> Self {
        self.partial = bytes;
        self
    }
}

/// A directory for files that are being written.
///
/// Several spools, of several processes too, may share one directory: each has an area of its own in it, which it holds
/// locked. What a killed process left behind is removed when the next spool opens there, or [kept](SpoolOptions::partial) for whoever goes
/// on with it. Put it on the file system of the
/// storage, so that adopting a file is a rename. Cloning gives another handle to the same spool.
#[derive(Debug, Clone)]
pub struct Spool {
    area: Arc<Area>,
}

impl Spool {
    /// Opens a spool in `dir`, which is made if it is missing, and removes leftovers of processes that are no more.
    ///
    /// # Errors
    /// [`StorageError`](super::StorageError) where the directory cannot be made, written or locked.
    pub async fn open(dir: impl Into<PathBuf>, options: SpoolOptions) -> Result<Self> {
        let dir = dir.into();
        blocking(move || Ok(Self { area: Arc::new(Area::open(&dir, options)?) })).await
    }

    /// Begins a file with the digests of the spool and no limit but its quota.
    pub fn create(&self) -> SpoolFile {
        self.create_with(NewFile::default())
    }

    /// Begins a file.
    pub fn create_with(&self, options: NewFile) -> SpoolFile {
        SpoolFile::new(Arc::clone(&self.area), options)
    }

    /// Begins a file, or goes on with what is left of an earlier one of the same [key](NewFile::partial): its size says how much that is. It
    /// may be wrong: verify the whole.
    ///
    /// # Errors
    /// As [`SpoolFile::write`].
    pub async fn resume(&self, options: NewFile) -> Result<SpoolFile> {
        SpoolFile::resumed(Arc::clone(&self.area), options).await
    }

    /// Spools bytes that are in memory.
    ///
    /// # Errors
    /// As [`SpoolFile::write`] and [`SpoolFile::finish`].
    pub async fn store(&self, bytes: impl Into<Bytes>) -> Result<Spooled> {
        let mut file = self.create();
        file.write(bytes.into()).await?;
        file.finish().await
    }

    /// Removes what processes that are no more have left in the directory since the last spool was opened there; how many of them
    /// had left something.
    ///
    /// # Errors
    /// [`StorageError`](super::StorageError) where the directory cannot be read or locked.
    pub async fn sweep(&self) -> Result<usize> {
        let area = Arc::clone(&self.area);
        blocking(move || area.sweep_others()).await
    }

    /// How many bytes its files have now.
    pub fn used(&self) -> u64 {
        self.area.used()
    }

    /// The digests that every file gets.
    pub fn algorithms(&self) -> &[Algorithm] {
        self.area.algorithms()
    }

    /// A file for a copy that is made on the calling, blocking, thread.
    pub(super) fn blocking_file(&self) -> std::io::Result<(TempFile, std::fs::File)> {
        Area::create(&self.area, None)
    }
}

#[cfg(test)]
mod tests;
