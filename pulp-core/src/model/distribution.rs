//! Distributions: public paths, and what they serve.

use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::{Labels, model};
use crate::clock::Timestamp;

/// A row of `core_distribution`.
#[derive(Debug, Clone, FromRow)]
pub struct Distribution {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The type: `file.file`.
    pub pulp_type: String,
    /// Labels.
    pub pulp_labels: Column<Labels>,
    /// Unique in the domain.
    pub name: String,
    /// The path below the content prefix: unique, and no path leads through another’s.
    pub base_path: String,
    /// Not shown in listings.
    pub hidden: Option<bool>,
    /// Whether it serves checkpoints.
    pub checkpoint: bool,
    /// Whether earlier versions of its repository, and what it had at a moment, can be read below it.
    pub time_travel: Option<bool>,
    /// `Cache-Control` of its files; null: what the settings say.
    pub cache_control: Option<String>,
    /// Whether files in object storage are served by sending the client there; null: what the domain says.
    pub redirect_to_object_storage: Option<bool>,
    /// Who may read.
    pub content_guard_id: Option<Uuid>,
    /// Serves this publication…
    pub publication_id: Option<Uuid>,
    /// …or, with or without one of the others, what this remote has (pull-through)…
    pub remote_id: Option<Uuid>,
    /// …or the latest publication or version of this repository…
    pub repository_id: Option<Uuid>,
    /// …or this version.
    pub repository_version_id: Option<Uuid>,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Distribution, "core_distribution", "distribution");
