//! What the tests of this binary share.

use std::time::Duration;

use pulp_core::digest::{Algorithm, Expected, hash_bytes};
use pulp_core::download::{DownloadRequest, RemoteOptions, RetryPolicy, Timeouts};
use pulp_core::storage::{Spool, SpoolOptions};
use pulp_testkit::{Blob, Upstream};

/// A spool that is gone with the test.
pub struct TestSpool {
    pub spool: Spool,
    _dir: tempfile::TempDir,
}

impl TestSpool {
    pub async fn new() -> Self {
        Self::with(SpoolOptions::default()).await
    }

    pub async fn with(options: SpoolOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { spool: Spool::open(dir.path(), options).await.unwrap(), _dir: dir }
    }
}

pub fn request(upstream: &Upstream, path: &str) -> DownloadRequest {
    DownloadRequest::new(upstream.url(path).parse().unwrap())
}

/// Retries that do not wait.
pub fn retry(times: u32) -> RetryPolicy {
    let mut policy = RetryPolicy::never();
    policy.max_retries = times;
    policy.first_delay = Duration::ZERO;
    policy
}

pub fn expected(blob: &Blob) -> Expected {
    let (digests, size) = hash_bytes(&[Algorithm::Sha256], &blob.to_bytes());
    Expected { size: Some(size), digests }
}

/// Only the digest is known.
pub fn unsized_expected(blob: &Blob) -> Expected {
    Expected { size: None, ..expected(blob) }
}

/// A remote that is soon impatient.
pub fn impatient() -> RemoteOptions {
    let mut options = RemoteOptions::default();
    options.timeouts = Timeouts { sock_read: Some(Duration::from_millis(200)), ..Timeouts::default() };
    options
}
