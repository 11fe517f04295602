//! From a URL to a verified file in the spool, with retries.

use super::transfer::{Terms, Transfer};
use super::{DownloadError, DownloadRequest, Downloader, RetryPolicy};
use crate::digest::Expected;
use crate::storage::{PartialKey, Spool, Spooled};

/// What a file must be, and how patiently it is fetched.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SaveOptions {
    /// Size and digests from the metadata. What differs is an error.
    pub expected: Expected,
    /// The largest file that is taken, in bytes: the bound for files whose size nobody announced.
    pub limit: Option<u64>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Under which key a beginning is kept if the last attempt fails, or this is dropped, or the process dies; whoever fetches the same file
    /// next goes on behind it.
    pub partial: Option<PartialKey>,
}

impl SaveOptions {
    /// A file that must be as announced.
    #[must_use]
    pub fn expecting(expected: Expected) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Takes no more than `bytes`.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Sets when to try again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets [`partial`](Self::partial).
    #[must_use]
    pub fn partial(mut self, key: Option<PartialKey>) -> Self {
        self.partial = key;
        self
    }
}

/// Fetches a file into the spool: writes and digests off the async workers, continues a body that broke off where the source allows it
/// (a strong validator and ranges), tries again what may heal, and verifies. `if_none_match` and `range` of the request are ignored.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pulp_core::download::{DownloadRequest, HttpDownloader, RemoteOptions, SaveOptions, download_to_spool};
/// use pulp_core::storage::{Spool, SpoolOptions};
///
/// let spool = Spool::open("spool", SpoolOptions::default()).await?;
/// let remote = HttpDownloader::new(&RemoteOptions::default())?;
/// let request = DownloadRequest::new("https://example.com/PULP_MANIFEST".parse()?);
/// let file = download_to_spool(&remote, request, &spool, &SaveOptions::default().limit(64 << 20)).await?;
/// println!("{} bytes, sha256 {}", file.size(), file.sha256()?);
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`DownloadError`] of the last attempt.
pub async fn download_to_spool(
    downloader: &dyn Downloader,
    request: DownloadRequest,
    spool: &Spool,
    options: &SaveOptions,
) -> Result<Spooled, DownloadError> {
    let terms = Terms { expected: &options.expected, limit: options.limit, live: false, kept: true, partial: options.partial.as_ref() };
    let mut transfer = Transfer::new(spool, terms);
    let mut failures = 0;
    loop {
        let error = match once(&mut transfer, downloader, &request).await {
            Ok(spooled) => return Ok(spooled),
            // What an earlier fetch has left was wrong, and is gone.
            Err(_) if transfer.is_misfit() => {
                transfer.only(0, &mut |_| {});
                continue;
            }
            Err(error) => error,
        };
        failures += 1;
        let Some(delay) = options.retry.delay(failures, &error) else {
            return Err(error);
        };
        tracing::info!(%error, failures, ?delay, "trying again");
        tokio::time::sleep(delay).await;
    }
}

async fn once(transfer: &mut Transfer<'_>, downloader: &dyn Downloader, request: &DownloadRequest) -> Result<Spooled, DownloadError> {
    let mut ignore = |_| {};
    transfer.attempt(0, downloader, request, &mut ignore).await?;
    let (spooled, _) = transfer.finish(0, request.redacted(), &mut ignore).await?;
    Ok(spooled)
}
