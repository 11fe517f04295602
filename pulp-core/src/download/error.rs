//! What can go wrong while fetching, by meaning.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::crypto::{redact_url, redact_url_text};
use crate::digest::Mismatch;
use crate::storage::StorageError;

/// A URL that prints without its credentials, for messages and logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    /// The printable form of `url`: user, password and signed query parameters are hidden.
    #[must_use]
    pub fn new(url: &Url) -> Self {
        Self(redact_url(url))
    }

    /// The printable form of text that may not be a URL at all: then no more is shown than that.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(redact_url_text(text))
    }
}

impl From<&Url> for RedactedUrl {
    fn from(url: &Url) -> Self {
        Self::new(url)
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Which of a remote's time limits ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// No connection within `connect_timeout` or `sock_connect_timeout`.
    Connect,
    /// Nothing received for `sock_read_timeout`.
    Read,
    /// The whole request, body included, took longer than `total_timeout`.
    Total,
}

impl fmt::Display for TimeoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection (connect_timeout, sock_connect_timeout)",
            Self::Read => "nothing received (sock_read_timeout)",
            Self::Total => "not complete (total_timeout)",
        })
    }
}

/// Why a download failed. Messages name the URL without its credentials and hold no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The source says that there is no such file (404, 410, or no file at a `file://` URL).
    #[error("{url}: not found at the source (404)")]
    NotFound {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// 401: the source wants credentials, or others.
    #[error("{url}: the source wants credentials (401): check username, password or client certificate of the remote")]
    Unauthorized {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// 403: the source refuses.
    #[error("{url}: the source refuses access (403)")]
    Forbidden {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// A `file://` URL outside of the allowed import paths.
    #[error("{url}: not under one of the allowed import paths (setting ALLOWED_IMPORT_PATHS)")]
    NotAllowed {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// A host in a network that is denied.
    #[error("{url}: {denied}")]
    DeniedNetwork {
        /// What was asked for.
        url: RedactedUrl,
        /// The host, and the setting.
        denied: String,
    },
    /// Another status that is not a success.
    #[error("{url}: the source answered {status}")]
    Status {
        /// What was asked for.
        url: RedactedUrl,
        /// The status that came.
        status: StatusCode,
        /// How long the source asked to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// 416: the source has nothing in the range that was asked for.
    #[error("{url}: the source has no such range (416)")]
    RangeNotSatisfiable {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// One of the time limits ran out.
    #[error("{url}: {kind} within {limit:?}")]
    Timeout {
        /// What was asked for.
        url: RedactedUrl,
        /// Which limit.
        kind: TimeoutKind,
        /// The limit.
        limit: Duration,
    },
    /// The host has failed again and again, and somebody else is finding out whether it answers again.
    #[error("{url}: the host has failed {failures} times in a row: one request at a time asks it until it answers")]
    HostInTrouble {
        /// What was asked for.
        url: RedactedUrl,
        /// How often it has failed, without an answer between.
        failures: u32,
    },
    /// No connection to the source: name not resolved, refused, unreachable.
    #[error("{url}: cannot connect: {detail}")]
    Connect {
        /// What was asked for.
        url: RedactedUrl,
        /// What the system says.
        detail: String,
    },
    /// The TLS handshake failed.
    #[error("{url}: TLS: {detail}: check ca_cert, client_cert and tls_validation of the remote")]
    Tls {
        /// What was asked for.
        url: RedactedUrl,
        /// What the TLS library says.
        detail: String,
    },
    /// The proxy could not be used.
    #[error("{url}: proxy: {detail}: check proxy_url, proxy_username and proxy_password of the remote")]
    Proxy {
        /// What was asked for.
        url: RedactedUrl,
        /// What is wrong.
        detail: String,
    },
    /// More redirects than are followed.
    #[error("{url}: more than {limit} redirects")]
    TooManyRedirects {
        /// What was asked for at first.
        url: RedactedUrl,
        /// How many are followed.
        limit: usize,
    },
    /// The body ended early.
    #[error("{url}: the body ended after {got} bytes{}", expected.map(|n| format!(" of {n}")).unwrap_or_default())]
    Truncated {
        /// What was asked for.
        url: RedactedUrl,
        /// The length that was promised, in bytes, when there was one.
        expected: Option<u64>,
        /// The bytes that came.
        got: u64,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("{url}: the connection broke: {detail}")]
    Interrupted {
        /// What was asked for.
        url: RedactedUrl,
        /// What the HTTP library says.
        detail: String,
    },
    /// The file is larger than the configured maximum.
    #[error("{url}: larger than the limit of {limit} bytes")]
    TooLong {
        /// What was asked for.
        url: RedactedUrl,
        /// The limit, in bytes.
        limit: u64,
    },
    /// What came is not what the metadata announced: another size, another digest.
    #[error("{url}: {mismatch}")]
    Mismatch {
        /// What was asked for.
        url: RedactedUrl,
        /// How it differs.
        mismatch: Mismatch,
    },
    /// A continued download does not fit what came before it.
    #[error("{url}: the file changed at the source while it was being fetched")]
    Changed {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// The URL cannot be used.
    #[error("{url}: {reason}")]
    InvalidUrl {
        /// What was asked for.
        url: RedactedUrl,
        /// What is wrong with it.
        reason: String,
    },
    /// An option of the remote cannot be used.
    #[error("{field}: {reason}")]
    InvalidOption {
        /// The field of the remote.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading a local file failed.
    #[error("{url}: cannot read: {detail}")]
    Read {
        /// What was asked for.
        url: RedactedUrl,
        /// What the system says.
        detail: String,
    },
    /// What came could not be kept: the spool is full, the disk failed.
    #[error("{url}: cannot keep what was downloaded: {source}")]
    Spool {
        /// What was asked for.
        url: RedactedUrl,
        /// What the spool says.
        source: std::sync::Arc<StorageError>,
    },
}

impl DownloadError {
    /// Whether the source gave a file, and another one than was announced.
    #[must_use]
    pub fn is_wrong_file(&self) -> bool {
        match self {
            Self::Mismatch { mismatch, .. } => !matches!(mismatch, Mismatch::Unverifiable { .. }),
            error => matches!(error, Self::TooLong { .. }),
        }
    }

    /// Whether the same request may succeed a little later. Refusals, wrong settings and a full disk are
    /// not transient; a wrong digest is (as in Pulp): proxies and half-synced mirrors give them and heal.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            Self::Mismatch { mismatch, .. } => {
                matches!(mismatch, Mismatch::Size { .. } | Mismatch::Digest { .. })
            }
            Self::Timeout { .. }
            | Self::Connect { .. }
            | Self::Truncated { .. }
            | Self::Interrupted { .. }
            | Self::Changed { .. }
            | Self::RangeNotSatisfiable { .. } => true,
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotAllowed { .. }
            | Self::DeniedNetwork { .. }
            | Self::HostInTrouble { .. }
            | Self::Tls { .. }
            | Self::Proxy { .. }
            | Self::TooManyRedirects { .. }
            | Self::TooLong { .. }
            | Self::InvalidUrl { .. }
            | Self::InvalidOption { .. }
            | Self::Read { .. }
            | Self::Spool { .. } => false,
        }
    }

    /// How long the source asked to wait before the next request.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
