//! How to reach a bucket.

use std::time::Duration;

use object_store::{
    ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
};
use url::Url;

use super::{
    super::{ArtifactPath, Result, StorageError},
    failed,
};
use crate::crypto::{Secret, redact_url};

/// The least that S3 accepts for a part that is not the last one.
const LEAST_PART: u64 = 5 * 1024 * 1024;

/// How long a store may send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Which bucket, and how to reach it.
///
/// Without keys, they are taken from the usual places: the `AWS_*` environment, a web identity, the instance.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct S3Options {
    /// Name of the bucket. It must exist.
    pub bucket: String,
    /// A directory within the bucket to stay in.
    #[serde(default)]
    pub prefix: String,
    /// Address of a store that is not Amazon's.
    #[serde(default)]
    pub endpoint: Option<Url>,
    /// Region of the bucket; by default `us-east-1`.
    #[serde(default)]
    pub region: Option<String>,
    /// Access key.
    #[serde(default)]
    pub access_key: Option<Secret>,
    /// Secret key; belongs to the access key.
    #[serde(default)]
    pub secret_key: Option<Secret>,
    /// Token of a session, for keys that are valid for a time.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// Puts the bucket into the host name (`bucket.host`) rather than into the path (`host/bucket`).
    #[serde(default)]
    pub virtual_hosted: bool,
    /// How often a request that failed for a passing reason is repeated.
    #[serde(default = "retries")]
    pub retries: usize,
    /// Size in bytes from which a file goes up in parts, and of those; at least 5 MiB.
    #[serde(default = "part_size")]
    pub part_size: u64,
}

fn retries() -> usize {
    5
}

fn part_size() -> u64 {
    8 * 1024 * 1024
}

impl S3Options {
    /// A bucket at Amazon's, with keys from the usual places.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: None,
            session_token: None,
            virtual_hosted: false,
            retries: retries(),
            part_size: part_size(),
        }
    }

    /// Sets the two keys.
    #[must_use]
    pub fn keys(mut self, access_key: impl Into<Secret>, secret_key: impl Into<Secret>) -> Self {
        self.access_key = Some(access_key.into());
        self.secret_key = Some(secret_key.into());
        self
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn endpoint(mut self, endpoint: Url) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`part_size`](Self::part_size), in bytes.
    #[must_use]
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes;
        self
    }

    /// Sets [`retries`](Self::retries).
    #[must_use]
    pub fn retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    pub(super) fn checked_prefix(&self) -> Result<String> {
        ArtifactPath::check_prefix(&self.prefix).map(str::to_owned).map_err(|error| settings(format!("the prefix {error}")))
    }

    pub(super) fn checked_part_size(&self) -> Result<u64> {
        if self.part_size < LEAST_PART {
            return Err(settings(format!("part_size is {} bytes, and must be at least {LEAST_PART}", self.part_size)));
        }
        Ok(self.part_size)
    }

    pub(super) fn store(self) -> Result<AmazonS3> {
        if self.bucket.is_empty() {
            return Err(settings("bucket is empty"));
        }
        let mut builder = match (self.access_key, self.secret_key) {
            (Some(access_key), Some(secret_key)) => {
                AmazonS3Builder::new().with_access_key_id(access_key.into_exposed()).with_secret_access_key(secret_key.into_exposed())
            }
            (None, None) => AmazonS3Builder::from_env(),
            (Some(_), None) => return Err(settings("access_key is set, and secret_key is not")),
            (None, Some(_)) => return Err(settings("secret_key is set, and access_key is not")),
        };
        if let Some(token) = self.session_token {
            builder = builder.with_token(token.into_exposed());
        }
        if let Some(region) = self.region {
            builder = builder.with_region(region);
        }
        // A slow reader may take its time over a large object; a store that falls silent may not.
        let mut client = ClientOptions::new().with_timeout_disabled().with_read_timeout(SILENCE);
        if let Some(endpoint) = self.endpoint {
            if !endpoint.username().is_empty() || endpoint.password().is_some() {
                return Err(settings(format!("endpoint {} holds a login: use access_key and secret_key", redact_url(&endpoint))));
            }
            // Whoever writes `http://` means it.
            client = client.with_allow_http(endpoint.scheme() == "http");
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        builder
            .with_client_options(client)
            .with_bucket_name(self.bucket)
            .with_virtual_hosted_style_request(self.virtual_hosted)
            .with_retry(RetryConfig { max_retries: self.retries, ..RetryConfig::default() })
            .build()
            .map_err(|error| failed("the set-up of the bucket", error))
    }
}

fn settings(reason: impl Into<String>) -> StorageError {
    StorageError::Settings { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::{super::S3Storage, *};

    #[test]
    fn options_that_make_no_sense_are_refused_by_name() {
        let key = || Some(Secret::from("k"));
        let good = S3Options::new("bucket").keys("a", "s");
        let login: Url = "https://joe:pw@store.example".parse().unwrap();
        for (bad, named) in [
            (S3Options::new("").keys("a", "s"), "bucket"),
            (good.clone().prefix("../x"), "prefix"),
            (good.clone().part_size(1), "part_size"),
            (good.clone().endpoint(login), "https://****@store.example/"),
            (S3Options { access_key: key(), ..S3Options::new("b") }, "secret_key"),
            (S3Options { secret_key: key(), ..S3Options::new("b") }, "access_key"),
        ] {
            let error = S3Storage::open(bad).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        assert!(S3Storage::open(good).is_ok());
    }

    #[test]
    fn keys_are_not_shown() {
        let options = S3Options::new("bucket").keys("AKIA1", "hush");
        let shown = format!("{options:?} {:?}", S3Storage::open(options.clone()).unwrap());
        assert!(!shown.contains("hush") && !shown.contains("AKIA1"), "{shown}");
    }
}
