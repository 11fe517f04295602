//! Fetching files that the server names by a URL.

use std::path::Path;

use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::{Client, SILENCE_LIMIT, causes};
use crate::error::{Error, Result};

impl Client {
    /// Fetches a file that an answer of the server names, whole or not at all, and without signing in: it may lie on another host, and
    /// its URL says all that is needed. Directories on the way to `path` are made.
    ///
    /// # Errors
    /// When it cannot be fetched or written.
    pub(crate) async fn download(&self, url: &str, path: &Path) -> Result<()> {
        let parsed = self.shared.origin.join(url).map_err(|error| Error::usage(format!("'{url}' is no URL: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(Error::usage(format!("'{url}' is no URL of a file on a web server")));
        }
        let broken = |reason: String| Error::Transport { operation: "download".to_owned(), url: origin(&parsed), reason };
        let local = |error: std::io::Error| Error::usage(format!("'{}' cannot be written: {error}", path.display()));
        let sent = self.shared.http.get(parsed.clone()).send();
        let response = tokio::time::timeout(SILENCE_LIMIT, sent).await.map_err(|_| broken("no answer in time".to_owned()))?;
        let mut response = response.map_err(|error| broken(causes(&error)))?;
        if !response.status().is_success() {
            return Err(broken(format!("the answer is {}", response.status())));
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        tokio::fs::create_dir_all(directory).await.map_err(local)?;
        let unfinished = path.with_extension("part");
        let mut file = tokio::fs::File::create(&unfinished).await.map_err(local)?;
        loop {
            let chunk = tokio::time::timeout(SILENCE_LIMIT, response.chunk()).await.map_err(|_| broken("the answer stalled".to_owned()))?;
            match chunk.map_err(|error| broken(causes(&error)))? {
                Some(chunk) => file.write_all(&chunk).await.map_err(local)?,
                None => break,
            }
        }
        file.flush().await.map_err(local)?;
        tokio::fs::rename(&unfinished, path).await.map_err(local)
    }
}

/// The query is left out: its token lets everybody fetch the file.
fn origin(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.to_string()
}
