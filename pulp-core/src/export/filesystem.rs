//! Exporting to a file system: every file of a version, or of a publication, under its path.
//!
//! A directory is filled beside its place and renamed when it is complete: it appears whole, or not at all.

mod place;
mod sources;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::FromRow;
use uuid::Uuid;

use self::place::{Place, Staging};
use self::sources::{Job, publication_files, version_files};
use super::check_path;
use super::record::{ExportKind, begin, exported};
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Model, Publication, RepositoryVersion};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// Exports to a file system.
pub(super) const KIND: ExportKind =
    ExportKind { table: "core_filesystemexport", model: "core.filesystemexport", exporters: "exporters/core/filesystem" };

/// How a file comes to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Its bytes are copied.
    Write,
    /// It gets another name: on the file system of the storage only, and takes no space.
    Hardlink,
    /// A symbolic link leads to the storage.
    Symlink,
}

impl Method {
    /// All of them, as on the wire.
    pub const WORDS: &'static [&'static str] = &["write", "hardlink", "symlink"];

    fn read(word: &str) -> Self {
        match word {
            "hardlink" => Self::Hardlink,
            "symlink" => Self::Symlink,
            _ => Self::Write,
        }
    }
}

/// What is exported, and which version the recipient has already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesystemExport {
    /// The exporter.
    pub exporter: Prn,
    /// The publication or the version.
    pub what: Uuid,
    /// What this version has is left out.
    #[serde(default)]
    pub start_repository_version: Option<Uuid>,
}

/// Exports a publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPublication(pub FilesystemExport);

/// Exports a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportVersion(pub FilesystemExport);

#[derive(FromRow)]
struct Exporter {
    path: String,
    method: String,
}

#[async_trait]
impl Task for ExportPublication {
    const NAME: &'static str = "pulpcore.app.tasks.export.fs_publication_export";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.0.exporter)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let db = cx.pulp().db();
        let publication = Publication::find(db, self.0.what).await?;
        let version = RepositoryVersion::find(db, publication.repository_version_id).await?;
        let model = cx.pulp().registry().resource_of_type(Publication::TABLE, &publication.pulp_type);
        let model = model.map_or("core.publication", |resource| resource.model.as_str()).to_owned();
        let job = self.0.begin(&cx, "publication", &model, version).await?;
        job.check_stored(Some(&publication)).await?;
        self.0.fill(&cx, |place| async move { publication_files(&job, &publication, place).await }).await
    }
}

#[async_trait]
impl Task for ExportVersion {
    const NAME: &'static str = "pulpcore.app.tasks.export.fs_repo_version_export";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.0.exporter)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let version = RepositoryVersion::find(cx.pulp().db(), self.0.what).await?;
        let job = self.0.begin(&cx, "repository_version", "core.repositoryversion", version).await?;
        job.check_stored(None).await?;
        self.0.fill(&cx, |place| async move { version_files(&job, place).await }).await
    }
}

impl FilesystemExport {
    /// Notes the export, whatever comes of it.
    async fn begin(&self, cx: &TaskContext, what: &str, model: &str, version: RepositoryVersion) -> Result<Job> {
        let db = cx.pulp().db();
        let start = match self.start_repository_version {
            Some(start) => Some(RepositoryVersion::find(db, start).await?),
            None => None,
        };
        let mut params = json!({ what: self.what });
        if let Some(start) = &start {
            params["start_repository_version"] = json!(start.pulp_id);
        }
        let export = begin(cx, KIND, self.exporter.id, params).await?;
        exported(db, export, &[(model, self.what)], cx.pulp().now()).await?;
        Ok(Job { pulp: cx.pulp().clone(), version, start })
    }

    /// Fills the exporter’s directory.
    async fn fill<F>(&self, cx: &TaskContext, write: impl FnOnce(Place) -> F + Send) -> Result<TaskOutput>
    where
        F: Future<Output = Result<()>> + Send,
    {
        let sql = Sql::new("select path, method from core_filesystemexporter where exporter_ptr_id = $1").bind(self.exporter.id);
        let exporter: Option<Exporter> = cx.pulp().db().optional(sql).await?;
        let exporter = exporter.ok_or_else(|| Error::not_found(format!("exporter {}", self.exporter.id)))?;
        // Looked at again: links and settings change.
        let resolved = check_path(&exporter.path, &cx.pulp().settings().allowed_export_paths).await?;
        let staging = Staging::begin(&exporter.path, resolved, cx.id()).await?;
        write(staging.place(cx.pulp(), Method::read(&exporter.method))).await?;
        staging.finish().await?;
        Ok(TaskOutput::default())
    }
}
