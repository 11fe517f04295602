//! Artifacts: stored files, each once per domain.

use sqlx::FromRow;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;

/// A row of `core_artifact`.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Artifact {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Path in the domain’s storage: `artifact/ab/cdef…`.
    pub file: String,
    /// Bytes.
    pub size: i64,
    /// Lower-case hex, as all of them; null where not allowed.
    pub md5: Option<String>,
    /// See [`Artifact::md5`].
    pub sha1: Option<String>,
    /// See [`Artifact::md5`].
    pub sha224: Option<String>,
    /// Always there, and unique in the domain.
    pub sha256: String,
    /// See [`Artifact::md5`].
    pub sha384: Option<String>,
    /// See [`Artifact::md5`].
    pub sha512: Option<String>,
    /// When it was last of use: protects it from orphan cleanup.
    pub timestamp_of_interest: Timestamp,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Artifact, "core_artifact", "artifact");
