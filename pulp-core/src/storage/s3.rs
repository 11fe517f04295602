//! Artifacts in an object store that speaks S3.

mod options;
mod upload;

use std::{
    fmt,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _,
    aws::AmazonS3,
    path::Path,
    signer::{Method, SignedUrlOptions, Signer as _},
};
use tokio::sync::Semaphore;
use url::Url;

use super::{ArtifactPath, ByteStream, Presign, ResponseHeaders, Result, Spooled, Storage, StorageError};

pub use options::S3Options;

/// How many files are uploaded side by side.
const FILES_AT_ONCE: usize = 16;
/// How many parts are in memory at once, of all files together.
const PARTS_AT_ONCE: usize = 8;

/// Artifacts as objects of a bucket, named as they are on disk, below an optional prefix.
///
/// Requests that fail for a passing reason are repeated. Large files go up in parts; an upload that
/// fails, or whose future is dropped, is aborted, so that its parts do not stay.
pub struct S3Storage {
    bucket: String,
    store: Arc<AmazonS3>,
    prefix: String,
    part_size: u64,
    parts: Arc<Semaphore>,
}

impl S3Storage {
    /// Sets up the storage. No request is made yet: a bucket that does not exist, or credentials that are wrong,
    /// show with the first one.
    ///
    /// Where no process-wide TLS provider was chosen, this chooses ring.
    ///
    /// # Errors
    /// [`StorageError::Settings`] where the options make no sense, [`StorageError::Backend`] where TLS cannot be set up.
    pub fn open(options: S3Options) -> Result<Self> {
        // The object store's HTTP client takes the provider of the process and has no setting for it.
        // Losing the race against another installation is as good.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(Self {
            bucket: options.bucket.clone(),
            prefix: options.checked_prefix()?,
            part_size: options.checked_part_size()?,
            store: Arc::new(options.store()?),
            parts: Arc::new(Semaphore::new(PARTS_AT_ONCE)),
        })
    }

    /// The key of the object.
    fn key(&self, at: &ArtifactPath) -> Result<Path> {
        self.key_of(at.as_str())
    }

    fn key_of(&self, path: &str) -> Result<Path> {
        let key = match (self.prefix.as_str(), path) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}/{path}"),
        };
        // The letters that a path may have are allowed in keys, too.
        Path::parse(key).map_err(|error| failed(path, error.into()))
    }

    /// The path of an object below the prefix, unless somebody else put it there.
    fn path(&self, key: &Path) -> Option<ArtifactPath> {
        let key = match self.prefix.as_str() {
            "" => key.as_ref(),
            prefix => key.as_ref().strip_prefix(prefix)?.strip_prefix('/')?,
        };
        key.parse().ok()
    }

    /// Tells a range beyond the end from other failures, which stores report in different ways.
    async fn explain(&self, at: &ArtifactPath, range: Range<u64>, error: StorageError) -> StorageError {
        match (&error, self.size(at).await) {
            (StorageError::Backend { .. }, Ok(size)) if range.end > size => out_of_range(at, range, size),
            _ => error,
        }
    }
}

/// Without the client, which would show the access key.
impl fmt::Debug for S3Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Storage").field("bucket", &self.bucket).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[async_trait]
impl Storage for S3Storage {
    async fn adopt(&self, file: Spooled, to: &ArtifactPath) -> Result<()> {
        upload::upload(self, &file, to).await
    }

    async fn adopt_many(&self, files: Vec<(Spooled, ArtifactPath)>) -> Result<()> {
        stream::iter(files).map(|(file, to)| async move { self.adopt(file, &to).await }).buffer_unordered(FILES_AT_ONCE).try_collect().await
    }

    async fn open(&self, at: &ArtifactPath, range: Option<Range<u64>>) -> Result<ByteStream> {
        if let Some(range) = range.clone().filter(Range::is_empty) {
            // There is no way to ask for no bytes.
            let size = self.size(at).await?;
            if range.start > range.end || range.end > size {
                return Err(out_of_range(at, range, size));
            }
            return Ok(stream::empty().boxed());
        }
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let found = match self.store.get_opts(&self.key(at)?, options).await {
            Ok(found) => found,
            Err(error) => {
                let error = missing(at, error);
                return Err(match range {
                    Some(range) => self.explain(at, range, error).await,
                    None => error,
                });
            }
        };
        if let Some(range) = range
            && range != found.range
        {
            return Err(out_of_range(at, range, found.meta.size));
        }
        let expected = found.range.end - found.range.start;
        Ok(whole(found.into_stream(), at.clone(), expected))
    }

    async fn size(&self, at: &ArtifactPath) -> Result<u64> {
        let found = self.store.head(&self.key(at)?).await;
        Ok(found.map_err(|error| missing(at, error))?.size)
    }

    async fn delete(&self, at: &ArtifactPath) -> Result<()> {
        match self.store.delete(&self.key(at)?).await.map_err(|error| missing(at, error)) {
            Err(StorageError::NotFound { .. }) => Ok(()),
            result => result,
        }
    }

    /// A copy within the store, and a removal: stores copy objects of up to 5 GiB.
    async fn rename(&self, from: &ArtifactPath, to: &ArtifactPath) -> Result<()> {
        self.store.rename(&self.key(from)?, &self.key(to)?).await.map_err(|error| missing(from, error))
    }

    async fn delete_older(&self, at: &ArtifactPath, than: SystemTime) -> Result<bool> {
        let key = self.key(at)?;
        match self.store.head(&key).await.map_err(|error| missing(at, error)) {
            Ok(found) if SystemTime::from(found.last_modified) < than => self.delete(at).await.map(|()| true),
            Ok(_) | Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<ArtifactPath>> {
        let key = ArtifactPath::check_prefix(prefix).map_err(StorageError::from).and_then(|prefix| self.key_of(prefix));
        let key = match key {
            Ok(key) => key,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let key = (!key.is_root()).then_some(key);
        self.store
            .list(key.as_ref())
            .map_err(|error| failed("the list of objects", error))
            .try_filter_map(async |object| Ok(self.path(&object.location)))
            .boxed()
    }

    fn presigner(&self) -> Option<&dyn Presign> {
        Some(self)
    }
}

#[async_trait]
impl Presign for S3Storage {
    async fn presign_get(&self, at: &ArtifactPath, expires_in: Duration, headers: &ResponseHeaders) -> Result<Url> {
        let query = [("response-content-type", &headers.content_type), ("response-content-disposition", &headers.content_disposition)];
        let options = SignedUrlOptions::new().with_query(query.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
        self.store.signed_url_opts(Method::GET, &self.key(at)?, expires_in, &options).await.map_err(|error| failed(at.as_str(), error))
    }
}

/// Passes `expected` bytes on, and an error if there are fewer.
fn whole(bytes: BoxStream<'static, object_store::Result<bytes::Bytes>>, at: ArtifactPath, expected: u64) -> ByteStream {
    stream::try_unfold((bytes, at, expected), async |(mut bytes, at, left)| match bytes.next().await {
        Some(Ok(chunk)) => {
            let left = left.saturating_sub(chunk.len() as u64);
            Ok(Some((chunk, (bytes, at, left))))
        }
        Some(Err(error)) => Err(missing(&at, error)),
        None if left == 0 => Ok(None),
        None => Err(StorageError::io(at.as_str(), std::io::ErrorKind::UnexpectedEof.into())),
    })
    .boxed()
}

fn out_of_range(at: &ArtifactPath, range: Range<u64>, size: u64) -> StorageError {
    StorageError::OutOfRange { path: at.clone(), range, size }
}

/// A failure on an object that should be there.
fn missing(at: &ArtifactPath, error: object_store::Error) -> StorageError {
    match error {
        object_store::Error::NotFound { .. } => StorageError::NotFound { path: at.clone() },
        error => failed(at.as_str(), error),
    }
}

/// A failure. What the store said goes into the source only: it names buckets and hosts.
fn failed(what: &str, error: object_store::Error) -> StorageError {
    let what = what.to_owned();
    let reason = match &error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            return StorageError::Denied { what, source: error.into() };
        }
        object_store::Error::NotFound { .. } => "there is no such bucket",
        error if no_bucket(error) => "there is no such bucket",
        _ => "the object store did not answer as it should",
    };
    StorageError::Backend { what, reason: reason.to_owned(), source: error.into() }
}

/// Whether the answer was that of a store without the bucket: there is no kind of error for it, only S3's code in the body.
fn no_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("<Code>NoSuchBucket</Code>")
}
