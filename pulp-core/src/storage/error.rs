//! What can go wrong with storage, by meaning.

use std::{io, ops::Range};

use super::{ArtifactPath, InvalidPath};

/// `std::result::Result` with [`StorageError`].
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why a file could not be stored or read.
///
/// Messages name the artifact, and neither directories of the host nor addresses of the object store; those are in the
/// source, for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No such file.
    #[error("{path} is not in the storage")]
    NotFound {
        /// The file.
        path: ArtifactPath,
    },
    /// The file is shorter than the range that was asked for.
    #[error("bytes {}-{} of {path} were asked for, which has {size} bytes", range.start, range.end)]
    OutOfRange {
        /// The file.
        path: ArtifactPath,
        /// The range, in bytes, its end exclusive.
        range: Range<u64>,
        /// The size of the file in bytes.
        size: u64,
    },
    /// The disk, or its quota, is full.
    #[error("no space left to store {what}: free some (orphan cleanup, a larger volume) and try again")]
    Full {
        /// What was being written.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The spool's own quota is used up.
    #[error("the spool may hold {quota} bytes, which are in use: try again later, or raise its quota")]
    Quota {
        /// The quota in bytes.
        quota: u64,
    },
    /// The file is larger than its reader allows.
    #[error("the file has more than the {limit} bytes that are allowed or expected")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A write to a spool file was given up before its end, or its writer is gone: the file is incomplete.
    #[error("writing the file was interrupted")]
    Interrupted,
    /// A spooled file has no sha256, so it cannot be named.
    #[error("the sha256 of the file was not computed")]
    NoSha256,
    /// Not a path of the storage.
    #[error(transparent)]
    InvalidPath(#[from] InvalidPath),
    /// The storage refuses access.
    #[error("the storage denies access to {what}: check its permissions or credentials")]
    Denied {
        /// What was being read or written.
        what: String,
        /// What the storage said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The settings of the storage make no sense.
    #[error("the storage cannot be set up: {reason}")]
    Settings {
        /// What is wrong, and with which setting.
        reason: String,
    },
    /// The storage failed.
    #[error("the storage failed on {what}: {reason}")]
    Backend {
        /// What was being read or written.
        what: String,
        /// A short reason that may be shown to anybody.
        reason: String,
        /// What the storage said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StorageError {
    /// An error of the file system on `what`.
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { what, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied { what, source: source.into() },
            kind => Self::Backend { what, reason: kind.to_string(), source: source.into() },
        }
    }

    /// An error of the file system on the stored file `path`.
    pub(super) fn at(path: &ArtifactPath, source: io::Error) -> Self {
        match source.kind() {
            // A directory of that name, or a file where a directory should be, is no such file either.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Self::NotFound { path: path.clone() },
            _ => Self::io(path.as_str(), source),
        }
    }
}
