//! The task that begins an import: it stores the artifacts, finds the repositories, and has each imported by a task of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::artifacts::{DIRECTORY, Intake, check_listed};
use super::list::{Row, Rows, text};
use super::source::{Parts, Source};
use super::tape::{Member, bad, members};
use super::units::value;
use super::version::ImportRepositoryVersion;
use crate::db::{ExecutorExt, Sql, Value};
use crate::ids::{Prn, new_id};
use crate::model::Repository;
use crate::plugin::Exported;
use crate::tasks::{Created, DispatchOptions, GroupProgress, LogLevel, Resources, Task, TaskContext, TaskOutput};
use crate::version::create_repository;
use crate::{CORE, Error, Result};

const VERSIONS: &str = "versions.json";
const ARTIFACTS: &str = "pulpcore.app.modelresource.ArtifactResource.json";
const REPOSITORIES: &str = "pulpcore.app.modelresource.RepositoryResource.json";
const UNIT_FILES: &str = "pulpcore.app.modelresource.ContentArtifactResource.json";

/// The most lists that an archive may have: some for each of fifty thousand repositories.
const MOST_LISTS: usize = 200_000;

/// Imports an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulpImport {
    /// The importer.
    pub importer: Prn,
    /// The archive.
    pub source: Source,
    /// Whether repositories that are not there are made.
    pub create_repositories: bool,
}

#[async_trait]
impl Task for PulpImport {
    const NAME: &'static str = "pulpcore.app.tasks.importer.pulp_import";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.importer)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let done = self.import(&cx).await;
        // However it went: nobody waits for more tasks.
        if let Some(group) = cx.group() {
            cx.pulp().tasks().complete_group(group).await?;
        }
        done.map(|()| TaskOutput::default())
    }
}

impl PulpImport {
    async fn import(&self, cx: &TaskContext) -> Result<()> {
        let opened = match &self.source {
            Source::Path(_) => {
                self.note(cx).await?;
                self.open(cx).await?
            }
            Source::Toc(_) => {
                // What is not even complete is no import.
                let opened = self.open(cx).await?;
                self.note(cx).await?;
                opened
            }
        };
        let parts = Arc::new(opened);
        let archive = Archive::read(cx, &parts).await?;
        let report = cx.progress("Importing Artifacts", "import.artifacts");
        archive.store_artifacts(cx, &parts).await?;
        if let Some(list) = archive.lists.get(ARTIFACTS) {
            check_listed(cx, &parts, list, &report).await?;
        }
        report.finish();
        self.start_repositories(cx, &parts, &archive).await
    }

    async fn open(&self, cx: &TaskContext) -> Result<Parts> {
        let (files, source) = (cx.pulp().import_files().clone(), self.source.clone());
        let report = match &source {
            Source::Path(_) => None,
            Source::Toc(_) => Some(cx.progress("Validating Chunks", "validate.chunks")),
        };
        let counted = report.clone();
        let parts = tokio::task::spawn_blocking(move || Parts::open(&files, &source, counted.as_ref())).await;
        let parts = parts.map_err(|error| Error::Internal(error.to_string()))??;
        if let Some(report) = report {
            report.finish();
        }
        Ok(parts)
    }

    /// Notes the import.
    async fn note(&self, cx: &TaskContext) -> Result<()> {
        let (id, now) = (new_id(), cx.pulp().now());
        // Under one name, as in Pulp.
        let (Source::Path(path) | Source::Toc(path)) = &self.source;
        let params = json!({"path": path});
        let tx = cx.pulp().db().begin().await?;
        let sql = Sql::new(
            "insert into core_import (pulp_id, pulp_created, pulp_last_updated, params, task_id, importer_id, pulp_domain_id) \
             values ($1, $2, $2, $3, $4, $5, $6)",
        );
        tx.execute(sql.bind(id).bind(now).bind(params).bind(cx.id()).bind(self.importer.id).bind(cx.domain().pulp_id)).await?;
        tx.execute(Sql::new("insert into core_pulpimport (import_ptr_id) values ($1)").bind(id)).await?;
        tx.commit().await?;
        let importer = cx.pulp().hrefs().object(&cx.domain().name, "importers/core/pulp", self.importer.id);
        cx.created(Created { prn: Prn::new("core.pulpimport", id), href: format!("{importer}imports/{id}/") });
        Ok(())
    }

    /// Has each repository of the archive imported.
    async fn start_repositories(&self, cx: &TaskContext, parts: &Arc<Parts>, archive: &Archive) -> Result<()> {
        let db = cx.pulp().db();
        let sql = Sql::new("select source_repo, repository_id from core_pulpimporterrepository where pulp_importer_id = $1");
        let mapping: HashMap<String, Uuid> = db.all::<(String, Uuid)>(sql.bind(self.importer.id)).await?.into_iter().collect();
        let total = i64::try_from(archive.repositories.len()).unwrap_or(i64::MAX);
        let progress = GroupProgress {
            message: "Importing repository versions".to_owned(),
            code: "import.repo.versions".to_owned(),
            total,
            suffix: None,
        };
        if let Some(group) = cx.group() {
            cx.pulp().tasks().add_group_progress(group, &progress).await?;
        }
        let workers = cx.pulp().settings().worker_slots.max(1);
        for (at, found) in archive.repositories.iter().enumerate() {
            let repository = match mapping.get(&found.name) {
                Some(id) => Some(<Repository as crate::model::Model>::find(db, *id).await?),
                None => named(cx, &found.name).await?,
            };
            let repository = match repository {
                Some(repository) if repository.pulp_type != found.exported.pulp_type => {
                    return Err(Error::BadRequest(format!(
                        "repository {} is of the type {}: what the archive has of the type {} cannot be imported into it",
                        repository.name, repository.pulp_type, found.exported.pulp_type
                    )));
                }
                Some(repository) => repository,
                None if self.create_repositories => make(cx, found).await?,
                None => {
                    cx.log(
                        LogLevel::Warning,
                        format!("Repository \"{}\" of the archive has no counterpart here, and is passed over.", found.name),
                    );
                    continue;
                }
            };
            let model = cx.pulp().registry().repository_type(&repository.pulp_type).map_or("core.repository", |rules| rules.model());
            let task = ImportRepositoryVersion {
                source: self.source.clone(),
                size: parts.size(),
                repository: Prn::new(model, repository.pulp_id),
                units: found.units.clone(),
                files: found.files.clone(),
                slot: at % workers,
            };
            let options = DispatchOptions { immediate: Some(false), ..cx.child_options() };
            cx.pulp().tasks().dispatch(task, options).await?;
        }
        Ok(())
    }
}

/// The repository of this name.
async fn named(cx: &TaskContext, name: &str) -> Result<Option<Repository>> {
    let sql = Sql::new("select * from core_repository where name = $1 and pulp_domain_id = $2");
    Ok(cx.pulp().db().optional(sql.bind(name).bind(cx.domain().pulp_id)).await?)
}

/// Makes a repository as the archive describes it.
async fn make(cx: &TaskContext, found: &Found) -> Result<Repository> {
    let now = cx.pulp().now();
    let number = |name: &str| -> Result<Option<i64>> {
        let text = text(&found.row, name)?;
        let read = if text.is_empty() { Ok(None) } else { text.parse().map(Some) };
        read.ok().filter(|number: &Option<i64>| number.is_none_or(|number| number > 0)).ok_or_else(|| bad(&format!("{name} is no number")))
    };
    let description = text(&found.row, "description")?;
    let tx = cx.pulp().db().begin().await?;
    cx.hold(&tx).await?;
    let repository = create_repository(&tx, found.exported.pulp_type, &found.name, cx.domain().pulp_id, now).await?;
    let sql =
        Sql::new("update core_repository set description = $2, retain_repo_versions = $3, retain_checkpoints = $4 where pulp_id = $1");
    let description = (!description.is_empty()).then(|| description.into_owned());
    let sql = sql.bind(repository.pulp_id).bind(description).bind(number("retain_repo_versions")?).bind(number("retain_checkpoints")?);
    tx.execute(sql).await?;
    let columns = found.exported.columns.iter().filter(|column| !found.exported.not_imported.contains(&column.name));
    let mut names = vec![found.exported.pointer];
    let mut values: Vec<Value> = vec![repository.pulp_id.into()];
    for column in columns {
        names.push(column.name);
        values.push(value(&found.row, column, false)?);
    }
    let mut sql = Sql::new(format!("insert into {} ({}) values ", found.exported.table, names.join(", ")));
    sql.push_list(values);
    tx.execute(sql).await?;
    tx.commit().await?;
    <Repository as crate::model::Model>::find(cx.pulp().db(), repository.pulp_id).await
}

/// A repository of an archive.
#[derive(Debug)]
struct Found {
    name: String,
    exported: &'static Exported,
    /// With what its type has.
    row: Row,
    units: BTreeMap<String, Member>,
    files: Option<Member>,
}

/// What an archive has.
#[derive(Debug)]
struct Archive {
    /// The lists that belong to no repository.
    lists: HashMap<String, Member>,
    repositories: Vec<Found>,
}

impl Archive {
    /// Goes through an archive once.
    async fn read(cx: &TaskContext, parts: &Arc<Parts>) -> Result<Self> {
        let scanned = Arc::clone(parts);
        let (lists, directories) = tokio::task::spawn_blocking(move || {
            let mut lists = HashMap::new();
            let mut directories: BTreeMap<String, HashMap<String, Member>> = BTreeMap::new();
            let mut count = 0;
            members(&scanned, |member| {
                if member.name.starts_with(DIRECTORY) {
                    return Ok(());
                }
                count += 1;
                if count > MOST_LISTS {
                    return Err(bad(&format!("it has more than {MOST_LISTS} lists")));
                }
                match member.name.rsplit_once('/') {
                    Some((directory, file)) => {
                        directories.entry(directory.to_owned()).or_default().insert(file.to_owned(), member);
                    }
                    None => {
                        lists.insert(member.name.clone(), member);
                    }
                }
                Ok(())
            })
            .map(|()| (lists, directories))
        })
        .await
        .map_err(|error| Error::Internal(error.to_string()))??;
        let mut archive = Self { lists, repositories: Vec::new() };
        archive.check_versions(cx, parts).await?;
        let Some(list) = archive.lists.get(REPOSITORIES).cloned() else { return Ok(archive) };
        let mut types: HashMap<String, &'static Exported> = HashMap::new();
        let mut rows = Rows::of(parts, &list);
        while let Some(rows) = rows.next().await? {
            for row in &rows {
                let (name, kind) = (text(row, "name")?, text(row, "pulp_type")?);
                let exported = cx.pulp().registry().exported_type(&kind);
                let exported =
                    exported.ok_or_else(|| bad(&format!("repositories of the type {} are not known here", kind.escape_debug())))?;
                types.insert(name.into_owned(), exported);
            }
        }
        for (directory, files) in directories {
            archive.repositories.extend(repository(parts, &types, &directory, files).await?);
        }
        Ok(archive)
    }

    /// Makes sure that the archive was written by what is here, too.
    async fn check_versions(&self, cx: &TaskContext, parts: &Arc<Parts>) -> Result<()> {
        let list = self.lists.get(VERSIONS).ok_or_else(|| bad("it has no versions.json: it is no export of a Pulp"))?;
        let mut wrong = Vec::new();
        let mut rows = Rows::of(parts, list);
        while let Some(rows) = rows.next().await? {
            for row in &rows {
                let (component, version) = (text(row, "component")?, text(row, "version")?);
                let plugins = cx.pulp().registry().plugins().iter();
                let here = plugins.chain([&CORE]).find(|plugin| plugin.label == component);
                match here {
                    None => wrong.push(format!("Export uses {} which is not installed.", component.escape_debug())),
                    Some(here) if series(here.version) != series(&version) => wrong.push(format!(
                        "Export version {} of {component} incompatible with installed version {}.",
                        version.escape_debug(),
                        here.version
                    )),
                    Some(_) => {}
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::BadRequest(wrong.join(" "))) }
    }

    /// Goes through the archive again, for its artifacts.
    async fn store_artifacts(&self, cx: &TaskContext, parts: &Arc<Parts>) -> Result<()> {
        let (sender, mut found) = mpsc::channel(64);
        let scanned = Arc::clone(parts);
        let scan = tokio::task::spawn_blocking(move || {
            members(&scanned, |member| match member.name.starts_with(DIRECTORY) {
                true => sender.blocking_send(member).map_err(|_| Error::Canceled),
                false => Ok(()),
            })
        });
        let mut intake = Intake::new(cx, Arc::clone(parts));
        while let Some(member) = found.recv().await {
            intake.take(member).await?;
        }
        scan.await.map_err(|error| Error::Internal(error.to_string()))??;
        intake.flush().await
    }
}

/// The first two numbers of a version: what is equal in them goes together.
fn series(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}

/// What a directory of an archive has of a repository; nothing if it is none of one.
async fn repository(
    parts: &Arc<Parts>,
    types: &HashMap<String, &'static Exported>,
    directory: &str,
    mut files: HashMap<String, Member>,
) -> Result<Option<Found>> {
    // `repository-<name>_<number>`; the name may hold anything.
    let named = directory.strip_prefix("repository-").and_then(|rest| rest.rsplit_once('_')).map(|(name, _)| name);
    let Some((name, exported)) = named.and_then(|name| Some((name, *types.get(name)?))) else { return Ok(None) };
    let list = files.remove(&exported.repository_file());
    let list = list.ok_or_else(|| bad(&format!("it does not describe the repository {}", name.escape_debug())))?;
    let row = Rows::of(parts, &list).next().await?.and_then(|rows| rows.into_iter().next());
    let row = row.ok_or_else(|| bad(&format!("it does not describe the repository {}", name.escape_debug())))?;
    let mut units = BTreeMap::new();
    for content in exported.contents {
        if let Some(list) = files.remove(&exported.content_file(content)) {
            units.insert(content.kind.pulp_type.to_owned(), list);
        }
    }
    Ok(Some(Found { name: name.to_owned(), exported, row, units, files: files.remove(UNIT_FILES) }))
}
