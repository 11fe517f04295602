//! What is asked of a fetcher.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;

use crate::digest::Expected;
use crate::download::{DownloadError, DownloadRequest, Downloader, RetryPolicy};
use crate::storage::{PartialKey, Spooled};

/// What makes two requests one fetch: the sha256 where it is known, else the content artifact. What one tenant's credentials fetch must
/// not be given to another: put the domain into the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FetchKey(Arc<str>);

impl<T: Into<Arc<str>>> From<T> for FetchKey {
    fn from(key: T) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for FetchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place where the file can be fetched.
#[derive(Clone)]
pub struct Source {
    /// How the caller knows it again: the id of a remote artifact, say.
    pub id: String,
    /// Fetches with the options of its remote.
    pub downloader: Arc<dyn Downloader>,
    /// What to ask.
    pub request: DownloadRequest,
    /// When to ask again.
    pub retry: RetryPolicy,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("id", &self.id).field("request", &self.request).finish_non_exhaustive()
    }
}

/// Where a fetched file goes, and who learns about sources. Called from the fetch's own task, whether or not a client is still there.
#[async_trait]
pub trait FetchHandler: Send + Sync + 'static {
    /// Takes the verified file: into the storage, and into the database. Until this returns, new clients are served from the spool; after
    /// it, they must find the stored file. Not called for streamed files.
    ///
    /// # Errors
    /// Whatever went wrong. Clients still get their file; the next one begins another fetch.
    async fn complete(&self, file: Spooled) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// Whether the file is known to be kept already, since a fetch of the same key has just ended. Asked before a fetch begins, in a way
    /// that no fetch can end in between: a request that was late gets [`FetchError::Kept`](super::FetchError::Kept) instead of a
    /// second fetch. Must not block.
    fn is_kept(&self, key: &FetchKey) -> bool {
        let _ = key;
        false
    }

    /// A source did not give the file, or gave a wrong one: a good time to leave it alone for a while.
    async fn source_failed(&self, source: &Source, error: &DownloadError) {
        let _ = (source, error);
    }
}

/// A file to fetch.
#[derive(Clone)]
#[non_exhaustive]
pub struct FetchRequest {
    /// Which requests share one fetch.
    pub key: FetchKey,
    /// Where it can be fetched, best first.
    pub sources: Vec<Source>,
    /// What it must be. Without digests nothing can be verified, and bytes are passed on as they come.
    pub expected: Expected,
    /// Where it goes.
    pub handler: Arc<dyn FetchHandler>,
    /// Policy `streamed`: the file is given to whoever asks while it is here, and kept by nobody.
    pub streamed: bool,
    /// Under which key a beginning is kept if no source gives the rest, or the process dies; whoever fetches the same file next goes on
    /// behind it.
    pub partial: Option<PartialKey>,
}

impl FetchRequest {
    /// A file that is kept (policy `on_demand`, or `immediate` with the artifact missing).
    #[must_use]
    pub fn new(key: impl Into<FetchKey>, sources: Vec<Source>, expected: Expected, handler: Arc<dyn FetchHandler>) -> Self {
        Self { key: key.into(), sources, expected, handler, streamed: false, partial: None }
    }

    /// Sets whether the file is passed on only.
    #[must_use]
    pub fn streamed(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }

    /// Sets [`partial`](Self::partial).
    #[must_use]
    pub fn partial(mut self, key: Option<PartialKey>) -> Self {
        self.partial = key;
        self
    }
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest")
            .field("key", &self.key)
            .field("sources", &self.sources)
            .field("expected", &self.expected)
            .field("streamed", &self.streamed)
            .finish_non_exhaustive()
    }
}

/// The part of a file that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchRange {
    /// Bytes `0` up to but not including `1`; to the end of the file without one.
    Span(u64, Option<u64>),
    /// The last bytes, so many.
    Last(u64),
}

/// What is known of a file when its bytes begin to come.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FetchMeta {
    /// Size of the whole file in bytes; a source may not say.
    pub length: Option<u64>,
    /// The bytes that the stream will give: first, and one past the last. The whole file unless a range was asked for.
    pub start: u64,
    /// See `start`; `None` if the size is not known.
    pub end: Option<u64>,
    /// Whether the file is complete and verified. Until then give no strong validator with it: a client could join the rest of the right
    /// file to the beginning of a wrong one.
    pub verified: bool,
    /// As the source sent it.
    pub content_type: Option<HeaderValue>,
    /// As the source sent it.
    pub last_modified: Option<HeaderValue>,
}
