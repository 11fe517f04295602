//! Artifact bytes: written to a spool, then adopted into a storage, on this host or in an object store.
//!
//! A file arrives in the [`Spool`], which writes it and computes its digests on blocking threads. A [`Spooled`] file
//! is complete; once it is found to be the right one, a [`Storage`] adopts it. Whatever is not adopted
//! removes itself.
//!
//! ```
//! use pulp_core::storage::{ArtifactPath, LocalStorage, Spool, Storage};
//!
//! # async fn example(dir: &std::path::Path) -> Result<(), pulp_core::storage::StorageError> {
//! let storage = LocalStorage::open(dir.join("media"), Default::default()).await?;
//! let spool = Spool::open(dir.join("media/.spool"), Default::default()).await?;
//!
//! let mut file = spool.create();
//! file.write("hello, ".into()).await?;
//! file.write("world".into()).await?;
//! let spooled = file.finish().await?;
//!
//! let path = ArtifactPath::of(&spooled.sha256()?);
//! storage.adopt(spooled, &path).await?;
//! assert_eq!(storage.size(&path).await?, 12);
//! # Ok(())
//! # }
//! ```

use std::{
    fmt::Debug,
    ops::Range,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use url::Url;

mod by_domain;
mod error;
mod io;
mod local;
mod path;
#[cfg(feature = "s3")]
mod s3;
mod spool;

pub use by_domain::{DomainStorage, FindStorage, Found};
pub use error::{Result, StorageError};
pub use local::{Durability, LocalOptions, LocalStorage};
pub use path::{ArtifactPath, InvalidPath};
#[cfg(feature = "s3")]
pub use s3::{S3Options, S3Storage};
pub use spool::{NewFile, PartialKey, Spool, SpoolFile, SpoolOptions, SpoolTail, Spooled};

/// Bytes as they come; the first error ends them.
pub type ByteStream<E = StorageError> = BoxStream<'static, std::result::Result<Bytes, E>>;

/// A place for artifacts: whole files under validated paths, which never change once they are there.
///
/// Every method is safe to call concurrently, from several processes too. `pulp_testkit::storage` holds the
/// suite that an implementation must pass.
#[async_trait]
pub trait Storage: Send + Sync + Debug + 'static {
    /// Takes a complete file in. It appears under `to` whole, or not at all; where a file is there already, one of the two stays.
    ///
    /// The spooled file is gone afterwards, adopted or not.
    ///
    /// # Errors
    /// [`StorageError::Full`], [`StorageError::Denied`], [`StorageError::Backend`].
    async fn adopt(&self, file: Spooled, to: &ArtifactPath) -> Result<()>;

    /// Takes many files in, for the price of few: on return all are as durable as after [`adopt`](Self::adopt).
    ///
    /// # Errors
    /// As `adopt`. Some of the files may have been adopted then; that does no harm, since adopting again is allowed.
    async fn adopt_many(&self, files: Vec<(Spooled, ArtifactPath)>) -> Result<()> {
        for (file, to) in files {
            self.adopt(file, &to).await?;
        }
        Ok(())
    }

    /// The bytes of a file, or of a `range` of it.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], and [`StorageError::OutOfRange`] where the range ends beyond the file. The stream
    /// ends with an error, and never early, if the file cannot be read to the end.
    async fn open(&self, at: &ArtifactPath, range: Option<Range<u64>>) -> Result<ByteStream>;

    /// Size in bytes.
    ///
    /// # Errors
    /// [`StorageError::NotFound`].
    async fn size(&self, at: &ArtifactPath) -> Result<u64>;

    /// Removes a file; one that is not there counts as removed.
    ///
    /// # Errors
    /// [`StorageError::Denied`], [`StorageError::Backend`].
    async fn delete(&self, at: &ArtifactPath) -> Result<()>;

    /// Gives a file another name in this storage, whole or not at all; a file that has that name already is replaced.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::Denied`], [`StorageError::Backend`]; that, too, where a storage cannot do it.
    async fn rename(&self, from: &ArtifactPath, to: &ArtifactPath) -> Result<()> {
        let _ = to;
        let reason = "files of this storage cannot be moved".to_owned();
        Err(StorageError::Backend { what: from.to_string(), reason, source: std::io::Error::from(std::io::ErrorKind::Unsupported).into() })
    }

    /// Removes a file that came in before a moment; whether it did. A younger one stays, and so does any where the storage cannot tell, as by
    /// default.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    async fn delete_older(&self, at: &ArtifactPath, than: SystemTime) -> Result<bool> {
        let _ = (at, than);
        Ok(false)
    }

    /// The files below a directory (`artifact`, `artifact/ab`; all with an empty `prefix`), in no particular order.
    ///
    /// What is not a path of this project's making (hidden files, links) is left out. A directory that does not exist is empty.
    fn list(&self, prefix: &str) -> BoxStream<'_, Result<ArtifactPath>>;

    /// Where the file lies on this host, if this storage keeps files: the fast path for serving. It may not exist.
    fn local_file(&self, at: &ArtifactPath) -> Option<PathBuf> {
        let _ = at;
        None
    }

    /// The storage that has a file, where this one only knows the way to it.
    ///
    /// # Errors
    /// If that cannot be opened.
    async fn holder(&self, at: &ArtifactPath) -> Result<Option<std::sync::Arc<dyn Storage>>> {
        let _ = at;
        Ok(None)
    }

    /// The capability to send clients to the store itself, where there is one.
    fn presigner(&self) -> Option<&dyn Presign> {
        None
    }
}

/// Headers that a presigned URL asks the store to answer with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
}

/// A storage that can make URLs under which a client fetches a file without further credentials.
#[async_trait]
pub trait Presign: Send + Sync {
    /// A URL to GET the file, valid for `expires_in`. It does not check that the file exists.
    ///
    /// The URL grants access: keep it out of logs ([`redact_url`](crate::crypto::redact_url)).
    ///
    /// # Errors
    /// [`StorageError::Backend`] where there are no credentials to sign with.
    async fn presign_get(&self, at: &ArtifactPath, expires_in: Duration, headers: &ResponseHeaders) -> Result<Url>;
}
