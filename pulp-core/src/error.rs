//! The one public error, with a stable code.
//!
//! Each area has an enum of its own; they meet here. How an error looks on the wire is decided in one place, `api::error`.

use std::collections::BTreeMap;

use crate::crypto::PasswordError;
use crate::db::DbError;
use crate::digest::Mismatch;
use crate::download::DownloadError;
use crate::storage::StorageError;

/// What every fallible call of the library gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Messages per field, as clients of Pulp parse them: `{"name": ["This field is required."]}`.
pub type FieldErrors = BTreeMap<String, Vec<String>>;

/// An error of the library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Input that is refused, field by field. Wire: 400.
    #[error("{}", describe(.0))]
    Validation(FieldErrors),
    /// Input that is refused as a whole. Wire: 400.
    #[error("{0}")]
    BadRequest(String),
    /// Input that is refused, told as JSON of the shape that clients of Pulp parse. Wire: 400 with that body.
    #[error("{0}")]
    Refused(serde_json::Value),
    /// No such object. Wire: 404.
    #[error("{what} was not found")]
    NotFound {
        /// What was looked for, in the user’s words: `repository "a"`.
        what: String,
    },
    /// Nobody is logged in. Wire: 401.
    #[error("authentication credentials were not provided or are not valid")]
    Unauthenticated,
    /// Somebody is, but may not. Wire: 403.
    #[error("you do not have permission to perform this action")]
    Forbidden,
    /// Somebody is, but this may not be done, for the reason that is told. Wire: 403.
    #[error("{0}")]
    Denied(String),
    /// The state of things forbids it. Wire: 409 or 400, as Pulp has it.
    #[error("{0}")]
    Conflict(String),
    /// Too many ask for this at the same time. Wire: 503, with the time after which to try again.
    #[error("{0}")]
    Busy(String),
    /// A failure with one of Pulp’s codes (`PLP0000`), as tasks report it.
    #[error("[{code}] {message}")]
    Coded {
        /// The code.
        code: &'static str,
        /// What happened and what to do.
        message: String,
    },
    /// A task that was waited for has failed. The description is what the task tells.
    #[error("{description}")]
    Task {
        /// What the task tells.
        description: String,
    },
    /// The task was cancelled.
    #[error("the task was canceled")]
    Canceled,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The storage of artifacts.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An upstream, or what came from it.
    #[error("{}", describe_download(.0))]
    Download(#[from] DownloadError),
    /// A password could not be hashed or checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Settings that cannot be used.
    #[error("setting {name}: {reason}")]
    Setting {
        /// The setting’s name.
        name: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A file of this host. The message never leaves the log.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A bug or a broken invariant. The message never leaves the log.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// One message about one field.
    pub fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Validation(FieldErrors::from([(name.into(), vec![message.into()])]))
    }

    /// No such object.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// A failure of file handling.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// A stable code: a word that programs may rely on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation(_) => "validation",
            Self::BadRequest(_) => "bad_request",
            Self::Refused(_) => "validation",
            Self::NotFound { .. } => "not_found",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden | Self::Denied(_) => "forbidden",
            Self::Conflict(_) => "conflict",
            Self::Busy(_) => "busy",
            Self::Coded { code, .. } => code,
            Self::Task { .. } => "task",
            Self::Canceled => "canceled",
            Self::Db(DbError::Unavailable(_)) => "database_unavailable",
            Self::Db(_) => "database",
            Self::Storage(StorageError::Full { .. } | StorageError::Quota { .. }) => "storage_full",
            Self::Storage(_) => "storage",
            Self::Download(DownloadError::Mismatch { mismatch: Mismatch::Digest { .. }, .. }) => "PLP0003",
            Self::Download(DownloadError::Mismatch { mismatch: Mismatch::Size { .. }, .. }) => "PLP0004",
            Self::Download(_) => "download",
            Self::Password(_) => "password",
            Self::Setting { .. } => "setting",
            Self::Io { .. } => "io",
            Self::Internal(_) => "internal",
        }
    }

    /// Pulp’s code of this failure, as `PLP0003`: of those that Pulp gives a code.
    pub fn pulp_code(&self) -> Option<&'static str> {
        Some(self.code()).filter(|code| code.starts_with("PLP"))
    }

    /// What may be told to a client or written into a task: no SQL, no path of this host.
    pub fn public_message(&self) -> String {
        match self {
            Self::Db(DbError::Unavailable(_)) => "The database cannot be reached at the moment; try again.".to_owned(),
            Self::Db(DbError::Full) => "The database has no space left.".to_owned(),
            Self::Db(_) | Self::Internal(_) => "An internal error occurred; the server's log tells more.".to_owned(),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "There is no space left on the server's storage.".to_owned()
            }
            Self::Io { .. } => "The server could not read or write a file; its log tells more.".to_owned(),
            other => other.to_string(),
        }
    }
}

/// With the codes that Pulp gives the two ways in which a file is not what it was announced to be.
fn describe_download(error: &DownloadError) -> String {
    match error {
        DownloadError::Mismatch { url, mismatch: Mismatch::Digest { expected, actual, .. } } => {
            format!("[PLP0003] A file located at the url {url} failed validation due to checksum. Expected '{expected}', Actual '{actual}'")
        }
        DownloadError::Mismatch { url, mismatch: Mismatch::Size { expected, actual } } => {
            format!("[PLP0004] A file located at the url {url} failed validation due to size. Expected '{expected}', Actual '{actual}'")
        }
        other => other.to_string(),
    }
}

fn describe(fields: &FieldErrors) -> String {
    let parts: Vec<String> = fields.iter().map(|(name, messages)| format!("{name}: {}", messages.join(" "))).collect();
    parts.join("; ")
}
