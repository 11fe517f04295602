//! Why something could not be served.

use crate::db::DbError;
use crate::storage::StorageError;

/// Why a request for content failed. That nothing is there is no error: see [`Served::NotFound`](super::Served::NotFound).
///
/// Messages may be shown to the client, but for those of [`Db`](Self::Db), [`Storage`](Self::Storage) and
/// [`Internal`](Self::Internal), which go to the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The guard says no. Wire: 403.
    #[error("{0}")]
    Denied(String),
    /// No source has the file. Wire: 404.
    #[error("{0}")]
    NotFound(String),
    /// A source of lazy content failed before there was anything to send. Wire: 502. (Where it gave a wrong file, the answer begins and is cut.)
    #[error("{0}")]
    BadGateway(String),
    /// A source of lazy content did not answer in time. Wire: 504.
    #[error("{0}")]
    GatewayTimeout(String),
    /// Too much is going on to begin this, too. Wire: 503.
    #[error("{0}")]
    Busy(String),
    /// The database. Wire: 503 where it cannot be reached, else 500.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The storage. Wire: 500.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A bug or a broken invariant. Wire: 500.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<crate::Error> for ServeError {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::Db(error) => Self::Db(error),
            other => Self::Internal(other.to_string()),
        }
    }
}
