//! Artifacts as files in a directory.

mod adopt;
mod list;
mod older;
mod read;

use std::{
    collections::HashSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{ArtifactPath, ByteStream, Result, Spool, SpoolOptions, Spooled, Storage, StorageError, io::blocking};

/// What is on the disk for good when a file counts as adopted. Whatever the choice, a file appears whole or not at all
/// to those who read it; the choice matters when the power fails or the kernel stops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing is waited for. After a power failure files of the last half minute may be missing or empty: for tests, and for caches that are thrown away.
    None,
    /// The bytes are. After a power failure a file that was just adopted may be missing, but none is empty or cut.
    Data,
    /// The bytes and the name are: what the database says is stored is there. The default; adopting many files at once pays
    /// little for it.
    #[default]
    Full,
}

/// How a [`LocalStorage`] behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalOptions {
    /// What is waited for.
    pub durability: Durability,
}

impl LocalOptions {
    /// Sets [`durability`](Self::durability).
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// Artifacts as files below a directory, laid out as Pulp does (`MEDIA_ROOT`).
///
/// A spooled file on the same file system is adopted by rename; from another one it is copied first, into a hidden directory
/// of the root. Directories are made when they are needed and never removed, so that no file is adopted into one that is
/// vanishing.
#[derive(Debug, Clone)]
pub struct LocalStorage {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    durability: Durability,
    // For copies from other file systems. Its areas see to what a killed process leaves behind.
    incoming: Spool,
    // Directories whose own names are known to be on the disk.
    durable: Mutex<HashSet<PathBuf>>,
}

impl LocalStorage {
    /// Opens the storage in `root`, which is made if it is missing.
    ///
    /// # Errors
    /// [`StorageError`] where the directory cannot be made or written.
    pub async fn open(root: impl Into<PathBuf>, options: LocalOptions) -> Result<Self> {
        let root = root.into();
        let root = blocking(move || {
            let failed = |error| StorageError::io("the media directory", error);
            fs::create_dir_all(&root).map_err(failed)?;
            // Relative paths would follow a later change of the working directory.
            root.canonicalize().map_err(failed)
        })
        .await?;
        let spool = SpoolOptions::default().algorithms(&[]);
        let incoming = Spool::open(root.join(".incoming"), spool).await?;
        Ok(Self { inner: Arc::new(Inner { root, durability: options.durability, incoming, durable: Mutex::default() }) })
    }

    /// The directory of this storage.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Where a [`Spool`] lies on the same file system.
    pub fn spool_dir(&self) -> PathBuf {
        self.inner.root.join(".spool")
    }
}

#[async_trait]
impl Storage for LocalStorage {
    async fn adopt(&self, file: Spooled, to: &ArtifactPath) -> Result<()> {
        let (inner, to) = (Arc::clone(&self.inner), to.clone());
        blocking(move || adopt::one(&inner, file, &to)).await
    }

    async fn adopt_many(&self, files: Vec<(Spooled, ArtifactPath)>) -> Result<()> {
        adopt::many(&self.inner, files).await
    }

    async fn open(&self, at: &ArtifactPath, range: Option<Range<u64>>) -> Result<ByteStream> {
        read::open(at.below(&self.inner.root), at.clone(), range).await
    }

    async fn size(&self, at: &ArtifactPath) -> Result<u64> {
        let (file, at) = (at.below(&self.inner.root), at.clone());
        blocking(move || match fs::metadata(file) {
            Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
            Ok(_) => Err(StorageError::NotFound { path: at }),
            Err(error) => Err(StorageError::at(&at, error)),
        })
        .await
    }

    async fn delete(&self, at: &ArtifactPath) -> Result<()> {
        let (file, at) = (at.below(&self.inner.root), at.clone());
        blocking(move || match fs::remove_file(file).map_err(|error| StorageError::at(&at, error)) {
            Err(StorageError::NotFound { .. }) => Ok(()),
            result => result,
        })
        .await
    }

    async fn rename(&self, from: &ArtifactPath, to: &ArtifactPath) -> Result<()> {
        let (inner, from, to) = (Arc::clone(&self.inner), from.clone(), to.clone());
        blocking(move || adopt::rename(&inner, &from, &to)).await
    }

    async fn delete_older(&self, at: &ArtifactPath, than: SystemTime) -> Result<bool> {
        let (inner, at) = (Arc::clone(&self.inner), at.clone());
        blocking(move || older::remove(&inner, &at, than)).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<ArtifactPath>> {
        list::list(self.inner.root.clone(), prefix)
    }

    fn local_file(&self, at: &ArtifactPath) -> Option<PathBuf> {
        Some(at.below(&self.inner.root))
    }
}

#[cfg(test)]
mod tests;
