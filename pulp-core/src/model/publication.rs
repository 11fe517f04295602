//! Publications: frozen metadata and a map of paths for one version.

use sqlx::FromRow;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;

/// A row of `core_publication`.
#[derive(Debug, Clone, FromRow)]
pub struct Publication {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The type: `file.file`.
    pub pulp_type: String,
    /// Whether it can be seen.
    pub complete: bool,
    /// Whether every path of the version’s units is served, beside those published by name.
    pub pass_through: bool,
    /// Whether it is a point in time that a checkpoint distribution serves.
    pub checkpoint: bool,
    /// What it publishes.
    pub repository_version_id: Uuid,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Publication, "core_publication", "publication");

/// A row of `core_publishedartifact`: a path that leads to a unit’s file.
#[derive(Debug, Clone, FromRow)]
pub struct PublishedArtifact {
    /// Key.
    pub pulp_id: Uuid,
    /// The path in the publication.
    pub relative_path: String,
    /// The file.
    pub content_artifact_id: Uuid,
    /// The publication.
    pub publication_id: Uuid,
}
model!(PublishedArtifact, "core_publishedartifact", "published artifact");

/// A row of `core_publishedmetadata`: a generated file, which is a content unit of its own.
#[derive(Debug, Clone, FromRow)]
pub struct PublishedMetadata {
    /// The content unit.
    pub content_ptr_id: Uuid,
    /// The path in the publication.
    pub relative_path: String,
    /// The publication.
    pub publication_id: Uuid,
}
model!(PublishedMetadata, "core_publishedmetadata", "content_ptr_id", "published metadata");
