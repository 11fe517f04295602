//! Reading a spool file while it is written.

use std::{fs::File, path::Path, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    super::{
        Result, StorageError,
        io::{blocking, read_at},
    },
    area::{Reserved, TempFile},
};

/// How far a file has been written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Watermark {
    /// Bytes that are in the file.
    pub(super) flushed: u64,
    /// There will be no more.
    pub(super) complete: bool,
}

/// A reader of a spool file that may still grow: from [`SpoolFile::share`](super::SpoolFile::share).
///
/// It keeps the file readable, also after its writer is gone, and after it was adopted or dropped. Each clone waits for itself.
#[derive(Debug, Clone)]
pub struct SpoolTail {
    pub(super) temp: Arc<TempFile>,
    pub(super) file: Arc<File>,
    pub(super) watermark: watch::Receiver<Watermark>,
    // Unless it was adopted, the file takes room as long as it is read.
    pub(super) _reserved: Arc<Reserved>,
}

impl SpoolTail {
    /// How many bytes can be read now.
    pub fn flushed(&self) -> u64 {
        self.watermark.borrow().flushed
    }

    /// Where the file lies as long as it is not adopted.
    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// The open file, to be read with positions only.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Waits until more than `offset` bytes can be read, and says how many can be: `None` if the file is complete and ends at `offset` or before.
    ///
    /// # Errors
    /// [`StorageError::Interrupted`] when the writer gave up.
    pub async fn beyond(&mut self, offset: u64) -> Result<Option<u64>> {
        let watermark = self
            .watermark
            .wait_for(|watermark| watermark.flushed > offset || watermark.complete)
            .await
            .map_err(|_| StorageError::Interrupted)?;
        Ok((watermark.flushed > offset).then_some(watermark.flushed))
    }

    /// Reads at `offset`, at most `max` bytes and at most 256 KiB. No bytes mean that none are there yet.
    ///
    /// # Errors
    /// [`StorageError::Backend`] where reading fails.
    pub async fn read_at(&self, offset: u64, max: u64) -> Result<Bytes> {
        let max = max.min(self.flushed().saturating_sub(offset));
        if max == 0 {
            return Ok(Bytes::new());
        }
        let file = Arc::clone(&self.file);
        blocking(move || read_at(&file, offset, max).map_err(|error| StorageError::io("a spooled file", error))).await
    }
}
