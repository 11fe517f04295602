//! What a client of a shared fetch is told.

use std::sync::Arc;

use crate::download::DownloadError;
use crate::storage::StorageError;

/// Why lazy content cannot be given. Clones go to all clients that wait; messages name sources without their credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Every source says that there is no such file. HTTP: 404.
    #[error("no source has the file: {0}")]
    NotFound(DownloadError),
    /// No source gave the file, or none that is right. HTTP: 502.
    #[error("no source gave the file: {0}")]
    BadGateway(DownloadError),
    /// No source gave the file in time. HTTP: 504.
    #[error("no source gave the file in time: {0}")]
    GatewayTimeout(DownloadError),
    /// Nobody said where the file could be fetched. HTTP: 404.
    #[error("the file has no source to fetch it from")]
    NoSource,
    /// The file is kept already: [`FetchHandler::is_kept`](super::FetchHandler::is_kept) said so. Take it from there.
    #[error("the file is kept already")]
    Kept,
    /// What this client already got turned out to be wrong; others, and a new request, are not affected.
    /// Seen in the middle of a body only, where the connection must be closed.
    #[error("a source gave wrong bytes; ask again")]
    Retracted,
    /// The range begins at or after the end of the file. HTTP: 416.
    #[error("the file has {length} bytes; the range begins beyond")]
    RangeNotSatisfiable {
        /// Size of the file in bytes.
        length: u64,
    },
    /// Too many fetches are waiting. HTTP: 503.
    #[error("too many files are being fetched; try again later")]
    Busy,
    /// The spool is full or fails. HTTP: 503.
    #[error("what was fetched cannot be kept: {0}")]
    Spool(Arc<StorageError>),
    /// The process is shutting down, or the fetch failed in an unforeseen way. HTTP: 503.
    #[error("the fetch was given up")]
    Aborted,
}

impl FetchError {
    /// The answer for what all sources said last.
    pub(super) fn of(errors: Vec<DownloadError>) -> Self {
        let all = |kind: fn(&DownloadError) -> bool| errors.iter().all(kind);
        let gone = all(|error| matches!(error, DownloadError::NotFound { .. }));
        let late = all(|error| matches!(error, DownloadError::Timeout { .. }));
        // What is worth reporting is what somebody can mend: a missing file at one of many mirrors is not.
        let telling = errors.iter().position(|error| !matches!(error, DownloadError::NotFound { .. })).unwrap_or(0);
        match errors.into_iter().nth(telling) {
            None => Self::NoSource,
            Some(DownloadError::Spool { source, .. }) => Self::Spool(source),
            Some(error) if gone => Self::NotFound(error),
            Some(error) if late => Self::GatewayTimeout(error),
            Some(error) => Self::BadGateway(error),
        }
    }
}
