//! The downloader for a URL, by its scheme.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Download, DownloadError, DownloadRequest, Downloader, FileDownloader, HttpDownloader, RemoteOptions};

/// Fetches any URL of a remote: `http` and `https` with the remote's options, `file` under the allowed
/// import paths. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Downloaders {
    http: Arc<dyn Downloader>,
    file: Arc<dyn Downloader>,
}

impl Downloaders {
    /// For one remote.
    ///
    /// # Errors
    /// [`DownloadError::InvalidOption`], which names the field of the remote.
    pub fn new(options: &RemoteOptions, file: FileDownloader) -> Result<Self, DownloadError> {
        Ok(Self { http: Arc::new(HttpDownloader::new(options)?), file: Arc::new(file) })
    }
}

impl fmt::Debug for Downloaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloaders").finish_non_exhaustive()
    }
}

#[async_trait]
impl Downloader for Downloaders {
    async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
        match request.url.scheme() {
            "http" | "https" => self.http.get(request).await,
            "file" => self.file.get(request).await,
            other => Err(DownloadError::InvalidUrl {
                url: request.redacted(),
                reason: format!("{other} is not a scheme that can be fetched: use http, https or file"),
            }),
        }
    }
}
