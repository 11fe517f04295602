//! File repositories: one file per path, published by themselves if so wished.

use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Column;

use super::publish::publish;
use crate::prelude::*;

/// A row of `file_filerepository`: what a file repository has beside what every repository has.
#[derive(Debug, Clone, FromRow)]
pub struct FileRepository {
    /// The repository.
    pub repository_ptr_id: Uuid,
    /// Whether each new version is published.
    pub autopublish: bool,
    /// The name of the manifest in publications; without one none is written.
    pub manifest: Option<String>,
    /// What the last sync went by, so that one that would change nothing can be skipped.
    pub last_sync_details: Column<Json>,
}

impl Model for FileRepository {
    const TABLE: &'static str = "file_filerepository";
    const KEY: &'static str = "repository_ptr_id";
    const NOUN: &'static str = "file repository";
}

/// The model’s label in PRNs.
pub(super) const MODEL: &str = "file.filerepository";

/// See [`RepositoryType`].
pub(super) struct Rules;

#[async_trait]
impl RepositoryType for Rules {
    fn pulp_type(&self) -> &'static str {
        "file.file"
    }

    fn model(&self) -> &'static str {
        MODEL
    }

    fn collection(&self) -> &'static str {
        "repositories/file/file"
    }

    fn unit_types(&self) -> &'static [&'static str] {
        &["file.file"]
    }

    fn unit_rules(&self) -> &'static [UnitRule] {
        &[UnitRule { pulp_type: "file.file", table: "file_filecontent", columns: &["relative_path"] }]
    }

    async fn published(&self, version: &RepositoryVersion, cx: &TaskContext) -> Result<()> {
        let repository = FileRepository::find(cx.pulp().db(), version.repository_id).await?;
        if repository.autopublish {
            publish(cx, version, repository.manifest.as_deref(), false).await?;
        }
        Ok(())
    }
}
