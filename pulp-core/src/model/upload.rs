//! Uploads in chunks.

use sqlx::FromRow;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;

/// A row of `core_upload`.
#[derive(Debug, Clone, FromRow)]
pub struct Upload {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Bytes of the whole file.
    pub size: i64,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Upload, "core_upload", "upload");

/// A row of `core_uploadchunk`.
#[derive(Debug, Clone, FromRow)]
pub struct UploadChunk {
    /// Key.
    pub pulp_id: Uuid,
    /// First byte in the whole file.
    pub offset: i64,
    /// Bytes.
    pub size: i64,
    /// Path in the domain’s storage.
    pub file: String,
    /// The upload.
    pub upload_id: Uuid,
}
model!(UploadChunk, "core_uploadchunk", "upload chunk");
