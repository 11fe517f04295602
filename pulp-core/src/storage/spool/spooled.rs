//! A complete file in the spool.

use std::{fs::File, path::Path, sync::Arc};

use super::{
    super::{Result, StorageError, io::blocking},
    area::{Reserved, TempFile},
};
use crate::digest::{Digests, Expected, Mismatch, Sha256};

/// A complete file that waits to be adopted by a [`Storage`](super::super::Storage). Dropping it removes it.
#[derive(Debug)]
#[must_use = "a spooled file that is dropped is removed"]
pub struct Spooled {
    // A tail that is still being read holds on to the file, too.
    pub(super) temp: Arc<TempFile>,
    pub(super) size: u64,
    pub(super) digests: Digests,
    pub(super) reserved: Arc<Reserved>,
}

impl Spooled {
    /// Where the file lies. Do not change it: its digests are known.
    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digests of the spool's algorithms, and of those asked for in [`NewFile`](super::NewFile).
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The digest that names it.
    ///
    /// # Errors
    /// [`StorageError::NoSha256`] where the spool was told not to compute it.
    pub fn sha256(&self) -> Result<Sha256> {
        self.digests.sha256().ok_or(StorageError::NoSha256)
    }

    /// Compares the file with what was announced.
    ///
    /// # Errors
    /// [`Mismatch`] names the first difference.
    pub fn verify(&self, expected: &Expected) -> Result<(), Mismatch> {
        expected.check(self.size, &self.digests)
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    /// [`StorageError::Backend`], if somebody took the file away.
    pub async fn open(&self) -> Result<File> {
        let temp = Arc::clone(&self.temp);
        blocking(move || File::open(temp.path()).map_err(|error| StorageError::io("a spooled file", error))).await
    }

    /// The file has moved to another place, by rename. Its quota is free again.
    pub(in super::super) fn moved(self) {
        self.temp.moved();
        self.reserved.give_back();
    }
}
