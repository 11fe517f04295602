//! Signing services: programs of the operator’s that sign a file, and the public keys that their signatures are checked by.
//!
//! A service’s script is given the path of a file, and the fingerprint of the key in the environment (`PULP_SIGNING_KEY_FINGERPRINT`);
//! it writes a signature and tells where, as JSON. The private key is the script’s business alone: neither database nor library has it.

mod backend;
mod program;
mod service;

pub use backend::KeyBackend;
pub use service::{NewSigningService, SIGNING_CLASSES, SigningService};

/// Why a signing service cannot be added, or does not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// Something that was given cannot be used.
    #[error("{0}")]
    Refused(String),
    /// A program could not be run, or failed.
    #[error("{program} failed: {reason}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        reason: String,
    },
    /// The script gave no signature.
    #[error("the signing script {0}")]
    Script(String),
    /// The signature is not one of the service’s key.
    #[error("the signature cannot be verified by the service's public key: {0}")]
    Unverified(String),
    /// The library.
    #[error(transparent)]
    Library(#[from] crate::Error),
}

impl From<crate::db::DbError> for SigningError {
    fn from(error: crate::db::DbError) -> Self {
        Self::Library(error.into())
    }
}

impl From<std::io::Error> for SigningError {
    fn from(error: std::io::Error) -> Self {
        Self::Library(crate::Error::io("a file for signing cannot be written or read", error))
    }
}
