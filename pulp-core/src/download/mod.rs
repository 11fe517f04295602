//! Fetching from remotes: over http(s) and from local files, with retries and limits; and the lazy fetch
//! that many clients share.
//!
//! - [`Downloader`] asks one source once: [`HttpDownloader`], [`FileDownloader`], and [`Downloaders`], which
//!   picks by scheme. [`RemoteOptions`] are the fields of a remote.
//! - [`download_to_spool`] fetches one file, as often as it takes ([`RetryPolicy`]), and verifies it.
//! - [`Fetcher`] does so while clients read along: lazy content.
//!
//! Nothing here knows a database or a server.

mod denied;
mod downloaders;
mod error;
mod fetch;
mod file;
mod hosts;
mod http;
mod options;
mod pace;
mod post;
mod request;
mod retry;
mod save;
mod tls;
mod transfer;

use async_trait::async_trait;

pub(crate) use denied::Denied;
pub use denied::DeniedNetworks;
pub use downloaders::Downloaders;
pub use error::{DownloadError, RedactedUrl, TimeoutKind};
pub use fetch::{
    FetchError, FetchFigures, FetchHandler, FetchKey, FetchMeta, FetchRange, FetchRequest, FetchStream, Fetcher, FetcherOptions, Source,
};
pub use file::FileDownloader;
pub(crate) use file::OpenError;
pub use hosts::{HostLimits, Hosts};
pub use http::HttpDownloader;
pub use options::{DEFAULT_CONCURRENCY, DEFAULT_RETRIES, RemoteOptions, Timeouts};
pub(crate) use post::{JsonDocuments, PostClient, Questions};
pub use request::{ByteRange, Download, DownloadRequest, DownloadStream, StrongValidator};
pub use retry::RetryPolicy;
pub use save::{SaveOptions, download_to_spool};

/// Asks one source for one file, once. Trying again, checking and keeping are the caller's.
///
/// A test's or a plugin's own source is a few lines:
///
/// ```
/// use async_trait::async_trait;
/// use pulp_core::download::{Download, DownloadError, DownloadRequest, Downloader};
///
/// /// Sends a token that is asked for anew each time.
/// struct WithToken<D>(D);
///
/// #[async_trait]
/// impl<D: Downloader> Downloader for WithToken<D> {
///     async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
///         let token = http::HeaderValue::from_static("Bearer …");
///         self.0.get(request.header(http::header::AUTHORIZATION, token)).await
///     }
/// }
/// ```
#[async_trait]
pub trait Downloader: Send + Sync {
    /// Gives the head of the answer; the body comes as it is read.
    ///
    /// # Errors
    /// [`DownloadError`] for every answer but success and, if asked for, 304.
    async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError>;
}

#[async_trait]
impl<D: Downloader + ?Sized> Downloader for std::sync::Arc<D> {
    async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
        (**self).get(request).await
    }
}
