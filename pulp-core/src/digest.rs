//! Digests of files: which algorithms there are, values of them, computing them, and checking them.
//!
//! Pulp identifies an artifact by its sha256 and records a configurable set of further digests
//! (`ALLOWED_CONTENT_CHECKSUMS`; by default sha224, sha256, sha384 and sha512). md5 and sha1 are known here,
//! because upstreams still announce them, but are computed only where they are asked for.

mod algorithm;
mod digests;
mod expected;
mod hasher;
mod sha256;

pub use algorithm::{Algorithm, UnknownAlgorithm, allowed};
pub use digests::{Digests, DigestsIter};
pub use expected::{Expected, Mismatch};
pub use hasher::{Hasher, hash_bytes, hash_file};
pub use sha256::Sha256;

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The name is none of the known algorithms.
    #[error(transparent)]
    UnknownAlgorithm(#[from] UnknownAlgorithm),
    /// The text has another length than the algorithm gives.
    #[error("a {algorithm} digest has {} hexadecimal digits, not {found}", algorithm.hex_len())]
    Length {
        /// The algorithm that the text was to be a digest of.
        algorithm: Algorithm,
        /// How many characters the text has.
        found: usize,
    },
    /// The text has the right length, but holds something else than hexadecimal digits.
    #[error("a {algorithm} digest is written in hexadecimal digits only")]
    NotHex {
        /// The algorithm that the text was to be a digest of.
        algorithm: Algorithm,
    },
    /// A list of allowed algorithms lacks sha256, which names every artifact.
    #[error("the allowed checksums must include sha256, which names every artifact")]
    Sha256Required,
}
