//! Exporting repositories in Pulp’s own format: an archive of artifacts and metadata, and a table of contents with checksums.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use super::archive::{ArchiveWriter, Written};
use super::directory::{Directory, refused};
use super::files::Units;
use super::json::{ListFile, text};
use super::record::{ExportKind, begin, exported};
use super::resources::{self, Item};
use super::{check_path, chosen};
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Artifact, Model, Repository, RepositoryVersion};
use crate::storage::{ArtifactPath, Spooled};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::version::Members;
use crate::{Error, Result};

/// Exports in Pulp’s own format.
pub(super) const KIND: ExportKind = ExportKind { table: "core_pulpexport", model: "core.pulpexport", exporters: "exporters/core/pulp" };

/// What an export was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportParameters {
    /// As it was asked, for whoever looks at the export.
    pub shown: Json,
    /// The versions, one of each repository; the latest of each if there are none.
    pub versions: Vec<Uuid>,
    /// Of an incremental export, what the recipient has; what the last export had if there are none.
    pub start_versions: Vec<Uuid>,
    /// Whether it is not incremental.
    pub full: bool,
    /// Bytes of a chunk.
    pub chunk_size: Option<u64>,
    /// The client’s own notes in the table of contents.
    pub meta: Map<String, Json>,
}

/// Exports repositories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PulpExport {
    /// The exporter.
    pub exporter: Prn,
    /// Its repositories.
    pub repositories: Vec<Prn>,
    /// What was asked for.
    pub parameters: ExportParameters,
}

#[async_trait]
impl Task for PulpExport {
    const NAME: &'static str = "pulpcore.app.tasks.export.pulp_export";

    fn resources(&self) -> Resources {
        self.repositories.iter().fold(Resources::none().exclusive(&self.exporter), Resources::shared)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let export = begin(&cx, KIND, self.exporter.id, self.parameters.shown.clone()).await?;
        let done = self.export(&cx, export).await;
        let left = Sql::new("delete from pulp_exportedartifact where export_id = $1").bind(export);
        if let Err(error) = cx.pulp().db().execute(left).await {
            tracing::warn!(%error, "the list of an export's artifacts stays until the export is deleted");
        }
        done.map(|()| TaskOutput::default())
    }
}

impl PulpExport {
    async fn export(&self, cx: &TaskContext, export: Uuid) -> Result<()> {
        let db = cx.pulp().db();
        let items = self.items(cx).await?;
        let artifacts = collect(cx, export, &items).await?;
        let sql = Sql::new("select path from core_pulpexporter where exporter_ptr_id = $1").bind(self.exporter.id);
        let path: Option<(String,)> = db.optional(sql).await?;
        let (shown,) = path.ok_or_else(|| Error::not_found(format!("exporter {}", self.exporter.id)))?;
        // Looked at again: links and settings change.
        let resolved = check_path(&shown, &cx.pulp().settings().allowed_export_paths).await?;
        let directory = open(&shown, resolved).await?;
        let base = format!("export-{export}-{}", cx.pulp().now().format("%Y%m%d_%H%M"));
        let mut archive = ArchiveWriter::begin(Arc::clone(&directory), &shown, format!("{base}.tar"), self.parameters.chunk_size);

        add(&mut archive, "versions.json", Some(resources::versions(cx.pulp(), &items).await?)).await?;
        write_artifacts(cx, export, artifacts, &mut archive).await?;
        let list = resources::repositories(cx.pulp(), &items).await?;
        add(&mut archive, "pulpcore.app.modelresource.RepositoryResource.json", list).await?;
        for item in &items {
            write_repository(cx, item, &mut archive).await?;
        }
        let (chunks, written) = archive.finish().await?;
        let (toc, sha256, toc_written) = self.write_toc(&directory, &shown, &base, &chunks).await?;

        let at = |name: &str| Path::new(&shown).join(name).to_string_lossy().into_owned();
        let mut files: Map<String, Json> = chunks.iter().map(|(name, sum)| (at(name), json!(sum))).collect();
        files.insert(at(&toc), json!(sha256));
        let toc_info = json!({"file": at(&toc), "meta": self.parameters.meta, "sha256": sha256});
        let tx = db.begin().await?;
        cx.hold(&tx).await?;
        let now = cx.pulp().now();
        let objects: Vec<(&str, Uuid)> = items.iter().map(|item| ("core.repositoryversion", item.version.pulp_id)).collect();
        exported(&tx, export, &objects, now).await?;
        let sql = Sql::new("update core_pulpexport set output_file_info = $2, toc_info = $3 where export_ptr_id = $1");
        tx.execute(sql.bind(export).bind(Json::Object(files)).bind(toc_info)).await?;
        tx.execute(Sql::new("update core_export set pulp_last_updated = $2 where pulp_id = $1").bind(export).bind(now)).await?;
        let last = Sql::new("update core_pulpexporter set last_export_id = $2 where exporter_ptr_id = $1");
        tx.execute(last.bind(self.exporter.id).bind(export)).await?;
        let touch = Sql::new("update core_exporter set pulp_last_updated = $2 where pulp_id = $1");
        tx.execute(touch.bind(self.exporter.id).bind(now)).await?;
        tx.commit().await?;
        written.keep();
        toc_written.keep();
        Ok(())
    }

    /// The versions to export, each with the one that the recipient has.
    async fn items(&self, cx: &TaskContext) -> Result<Vec<Item>> {
        let db = cx.pulp().db();
        let ids: Vec<Uuid> = self.repositories.iter().map(|prn| prn.id).collect();
        let mut repositories = Repository::find_many(db, &ids).await?;
        repositories.sort_by_key(|repository| repository.pulp_id);
        let named = by_repository(RepositoryVersion::find_many(db, &self.parameters.versions).await?);
        let mut starts: HashMap<Uuid, RepositoryVersion> = HashMap::new();
        if !self.parameters.full {
            let start = match self.parameters.start_versions.is_empty() {
                false => self.parameters.start_versions.clone(),
                true => chosen::last_exported(db, self.exporter.id).await?,
            };
            starts = by_repository(RepositoryVersion::find_many(db, &start).await?);
        }
        let mut items = Vec::with_capacity(repositories.len());
        for repository in repositories {
            let version = match named.get(&repository.pulp_id) {
                Some(version) => version.clone(),
                None => RepositoryVersion::latest(db, repository.pulp_id).await?,
            };
            let start = starts.remove(&repository.pulp_id);
            if start.is_none() && !self.parameters.full {
                return Err(Error::BadRequest(format!(
                    "repository {} was not part of the last export: export it fully, or name start_versions",
                    repository.name
                )));
            }
            let exported = cx.pulp().registry().exported_type(&repository.pulp_type);
            let exported = exported
                .ok_or_else(|| Error::BadRequest(format!("repositories of the type {} cannot be exported", repository.pulp_type)))?;
            items.push(Item { repository, version, start, exported });
        }
        Ok(items)
    }

    /// Writes the table of contents: its name, its digest, and the guard of its file.
    async fn write_toc(
        &self,
        directory: &Arc<Directory>,
        shown: &str,
        base: &str,
        chunks: &[(String, String)],
    ) -> Result<(String, String, Written)> {
        let mut meta = self.parameters.meta.clone();
        meta.insert("checksum_type".to_owned(), json!("crc32"));
        if let Some(size) = self.parameters.chunk_size {
            meta.insert("chunk_size".to_owned(), json!(size));
        }
        let files: Map<String, Json> = chunks.iter().map(|(name, sum)| (name.clone(), json!(sum))).collect();
        let toc = text(&json!({"meta": meta, "files": files}))?;
        let name = format!("{base}-toc.json");
        let sha256 = hex::encode(Sha256::digest(&toc));
        let (directory, file) = (Arc::clone(directory), name.clone());
        let written = tokio::task::spawn_blocking(move || {
            use std::io::Write;
            let mut out = directory.create(file.as_ref())?;
            let written = Written::new(directory, [file]);
            out.write_all(toc.as_bytes())?;
            out.sync_all().map(|()| written)
        });
        let written = written.await.map_err(|error| Error::Internal(error.to_string()))?;
        Ok((name, sha256, written.map_err(|error| refused(shown, &error))?))
    }
}

fn by_repository(versions: Vec<RepositoryVersion>) -> HashMap<Uuid, RepositoryVersion> {
    versions.into_iter().map(|version| (version.repository_id, version)).collect()
}

async fn open(shown: &str, resolved: std::path::PathBuf) -> Result<Arc<Directory>> {
    let shown = shown.to_owned();
    let made = tokio::task::spawn_blocking(move || Directory::make(&resolved).map_err(|error| refused(&shown, &error))).await;
    Ok(Arc::new(made.map_err(|error| Error::Internal(error.to_string()))??))
}

/// What an archive cannot hold.
pub(super) fn remote() -> Error {
    Error::BadRequest("Remote artifacts cannot be exported.".to_owned())
}

/// Lists the artifacts that the archive will hold, each once, in a table, a page of units at a time; how many they are.
async fn collect(cx: &TaskContext, export: Uuid, items: &[Item]) -> Result<i64> {
    let db = cx.pulp().db();
    for item in items {
        let mut units = Units::new(&item.version, item.start.as_ref());
        while let Some(page) = units.next(db).await? {
            let mut missing = Sql::new("select 1 as one from core_contentartifact where artifact_id is null and content_id in ");
            missing.push_list(&page).push(" limit 1");
            if db.optional::<(i32,)>(missing).await?.is_some() {
                return Err(remote());
            }
            let mut sql = Sql::new(
                "insert into pulp_exportedartifact (export_id, artifact_id) select distinct e.pulp_id, ca.artifact_id \
                 from core_contentartifact ca join core_export e on e.pulp_id = $1 where ca.content_id in ",
            )
            .bind(export);
            sql.push_list(&page);
            if let Some(start) = &item.start {
                sql.push(" and not exists (select 1 from core_contentartifact had where had.artifact_id = ca.artifact_id and ");
                Members::of(start).push_holds(&mut sql, "had.content_id");
                sql.push(")");
            }
            sql.push(" on conflict (export_id, artifact_id) do nothing");
            db.execute(sql).await?;
        }
    }
    Ok(db.scalar(Sql::new("select count(*) from pulp_exportedartifact where export_id = $1").bind(export)).await?)
}

async fn write_artifacts(cx: &TaskContext, export: Uuid, total: i64, archive: &mut ArchiveWriter) -> Result<()> {
    let db = cx.pulp().db();
    let report = cx.progress("Exporting Artifacts", "export.artifacts").total(total);
    let mut list = ListFile::new(cx.pulp());
    let mut after = Uuid::nil();
    loop {
        let sql = Sql::new(
            "select a.* from pulp_exportedartifact e join core_artifact a on a.pulp_id = e.artifact_id \
             where e.export_id = $1 and e.artifact_id > $2 order by e.artifact_id limit $3",
        );
        let page: Vec<Artifact> = db.all(sql.bind(export).bind(after).bind(resources::ARTIFACTS)).await?;
        let Some(last) = page.last() else { break };
        after = last.pulp_id;
        for artifact in &page {
            let at: ArtifactPath =
                artifact.file.parse().map_err(|_| Error::Internal(format!("the path of an artifact is no path: {}", artifact.file)))?;
            let size = u64::try_from(artifact.size).unwrap_or_default();
            let modified = u64::try_from(artifact.pulp_created.timestamp()).unwrap_or_default();
            archive.member(at.as_str(), size, modified).await?;
            let mut bytes = cx.pulp().storage().open(&at, Some(0..size)).await?;
            let mut copied = 0;
            while let Some(chunk) = bytes.next().await {
                let chunk = chunk?;
                copied += chunk.len() as u64;
                archive.write(chunk).await?;
            }
            if copied != size {
                return Err(Error::Internal(format!("{at} has {copied} bytes in the storage, and {size} in the database: repair it")));
            }
            archive.end_member().await?;
            report.increment();
        }
        resources::artifact_rows(&mut list, &page).await?;
    }
    report.finish();
    add(archive, "pulpcore.app.modelresource.ArtifactResource.json", list.finish().await?).await
}

async fn write_repository(cx: &TaskContext, item: &Item, archive: &mut ArchiveWriter) -> Result<()> {
    let (pulp, directory) = (cx.pulp(), item.directory());
    let message =
        format!("Exporting content for {} repository-version {}/{}", item.exported.component(), item.repository.name, item.version.number);
    let report = cx.progress(message, "export.repo.version.content").total(resources::count(pulp, &item.version).await?);
    for content in item.exported.contents {
        let name = format!("{directory}/{}", item.exported.content_file(content));
        add(archive, &name, resources::units(pulp, item, content, &report).await?).await?;
    }
    let name = format!("{directory}/{}", item.exported.repository_file());
    add(archive, &name, resources::repository(pulp, item).await?).await?;
    let files = resources::unit_files(pulp, item).await?;
    add(archive, &format!("{directory}/pulpcore.app.modelresource.ContentArtifactResource.json"), files).await?;
    report.finish();
    Ok(())
}

/// Adds a file of the spool, if there is one.
async fn add(archive: &mut ArchiveWriter, name: &str, file: Option<Spooled>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    archive.member(name, file.size(), 0).await?;
    let mut from = tokio::fs::File::from_std(file.open().await?);
    loop {
        let mut block = Vec::with_capacity(256 * 1024);
        if from.read_buf(&mut block).await.map_err(|error| Error::io("a spooled file", error))? == 0 {
            break;
        }
        archive.write(Bytes::from(block)).await?;
    }
    archive.end_member().await
}
