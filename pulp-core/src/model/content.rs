//! Content units, the files they consist of, and where files that are missing can be fetched.

use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::{Labels, model};
use crate::clock::Timestamp;

/// A row of `core_content`: what all content types have in common.
#[derive(Debug, Clone, FromRow)]
pub struct Content {
    /// Key, shared with the row in the type’s own table.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The type: `file.file`.
    pub pulp_type: String,
    /// Labels.
    pub pulp_labels: Column<Labels>,
    /// When it was last of use: protects it from orphan cleanup.
    pub timestamp_of_interest: Timestamp,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Content, "core_content", "content unit");

/// A row of `core_contentartifact`: one file of a content unit.
#[derive(Debug, Clone, FromRow)]
pub struct ContentArtifact {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Where the file lies in the unit, and so in a repository that is served as it is.
    pub relative_path: String,
    /// The stored file; null while it is only known where to fetch it.
    pub artifact_id: Option<Uuid>,
    /// The unit.
    pub content_id: Uuid,
}
model!(ContentArtifact, "core_contentartifact", "content artifact");

/// A row of `core_remoteartifact`: one source of a file.
#[derive(Debug, Clone, FromRow)]
pub struct RemoteArtifact {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Where.
    pub url: String,
    /// Bytes, where the source’s metadata tells.
    pub size: Option<i64>,
    /// Lower-case hex, as all of them, where the source’s metadata tells.
    pub md5: Option<String>,
    /// See [`RemoteArtifact::md5`].
    pub sha1: Option<String>,
    /// See [`RemoteArtifact::md5`].
    pub sha224: Option<String>,
    /// See [`RemoteArtifact::md5`].
    pub sha256: Option<String>,
    /// See [`RemoteArtifact::md5`].
    pub sha384: Option<String>,
    /// See [`RemoteArtifact::md5`].
    pub sha512: Option<String>,
    /// When it last failed: it is not asked again for a while.
    pub failed_at: Option<Timestamp>,
    /// The file.
    pub content_artifact_id: Uuid,
    /// How to reach the source.
    pub remote_id: Uuid,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(RemoteArtifact, "core_remoteartifact", "remote artifact");
