//! How a remote’s upstream is reached: its row, with the secrets decrypted, as a downloader.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::crypto::Secret;
use crate::download::{Downloader, Downloaders, FileDownloader, RemoteOptions, RetryPolicy, Timeouts};
use crate::model::Remote;
use crate::{Error, Pulp, Result};

/// How a remote’s upstream is reached. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
#[non_exhaustive]
pub struct RemoteAccess {
    /// Asks the upstream, once.
    pub downloader: Arc<dyn Downloader>,
    /// When to ask again.
    pub retry: RetryPolicy,
    /// Downloads at the same time.
    pub concurrency: usize,
}

impl RemoteAccess {
    /// As the row says.
    ///
    /// # Errors
    /// If an option cannot be used, with the name of its field, or a secret cannot be decrypted.
    pub fn new(pulp: &Pulp, remote: &Remote) -> Result<Self> {
        let options = options(pulp, remote)?;
        let files = FileDownloader::new(pulp.settings().allowed_import_paths.iter().cloned());
        Ok(Self {
            downloader: Arc::new(Downloaders::new(&options, files)?),
            retry: RetryPolicy::of(&options),
            concurrency: options.concurrency(),
        })
    }
}

impl fmt::Debug for RemoteAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteAccess").field("retry", &self.retry).field("concurrency", &self.concurrency).finish_non_exhaustive()
    }
}

fn options(pulp: &Pulp, remote: &Remote) -> Result<RemoteOptions> {
    let secret = |column: &Option<String>| column.as_deref().map(|text| pulp.unseal(text)).transpose();
    let mut options = RemoteOptions::default();
    options.client_cert = remote.client_cert.clone();
    options.client_key = secret(&remote.client_key)?;
    options.ca_cert = remote.ca_cert.clone();
    options.tls_validation = remote.tls_validation;
    options.proxy_url = remote.proxy_url.clone().map(Secret::new);
    options.proxy_username = secret(&remote.proxy_username)?;
    options.proxy_password = secret(&remote.proxy_password)?;
    options.username = secret(&remote.username)?;
    options.password = secret(&remote.password)?;
    options.headers = remote.headers.as_ref().map_or(Ok(Vec::new()), |headers| read_headers(&headers.0))?;
    options.download_concurrency = remote.download_concurrency.and_then(|count| usize::try_from(count).ok());
    options.rate_limit = remote.rate_limit.and_then(|limit| u32::try_from(limit).ok());
    options.max_retries = remote.max_retries.and_then(|retries| u32::try_from(retries).ok());
    options.timeouts =
        Timeouts::from_seconds(remote.total_timeout, remote.connect_timeout, remote.sock_connect_timeout, remote.sock_read_timeout)?;
    Ok(options)
}

/// A list of objects, as Pulp keeps them: `[{"X-Token": "…"}]`.
fn read_headers(headers: &Json) -> Result<Vec<(String, Secret<String>)>> {
    let wrong = || Error::field("headers", "Headers must be a list of objects whose values are texts.");
    let mut all = Vec::new();
    for entry in headers.as_array().ok_or_else(wrong)? {
        for (name, value) in entry.as_object().ok_or_else(wrong)? {
            all.push((name.clone(), Secret::new(value.as_str().ok_or_else(wrong)?.to_owned())));
        }
    }
    Ok(all)
}
