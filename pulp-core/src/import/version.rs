//! Importing one repository of an archive: its units, their files, and the version that has them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::list::{Row, Rows, text};
use super::source::{Parts, Source};
use super::tape::{Member, bad};
use super::units::unit;
use crate::db::{DbError, ExecutorExt, Sql, Value, rows_per_statement};
use crate::digest::{Algorithm, Expected};
use crate::ids::Prn;
use crate::model::save::{SavedUnit, Unit, UnitFile, find_artifacts, save_files, save_units};
use crate::model::{Model, Repository};
use crate::plugin::ExportedContent;
use crate::tasks::{ProgressReport, Resources, Task, TaskContext, TaskOutput};
use crate::version::{VersionDraft, announce};
use crate::{Error, Result};

/// Tries of a batch that lost against another writer.
const TRIES: usize = 5;

/// Units that are put into the version in one go.
const PAGE: i64 = 2_000;

/// The longest path of a file, in bytes.
const MOST_PATH: usize = 4_096;

/// Imports one repository of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRepositoryVersion {
    /// The archive.
    pub source: Source,
    /// Its bytes: another file in its place is refused.
    pub(super) size: u64,
    /// Where its units go.
    pub repository: Prn,
    /// Its lists of units, by the type of the units.
    pub(super) units: BTreeMap<String, Member>,
    /// Its list of files.
    pub(super) files: Option<Member>,
    /// Imports of one slot run one after the other.
    pub(super) slot: usize,
}

#[async_trait]
impl Task for ImportRepositoryVersion {
    const NAME: &'static str = "pulpcore.app.tasks.importer.import_repository_version";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.repository).exclusive(format!("import-worker-{}", self.slot))
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let done = self.import(&cx).await;
        let left = Sql::new("delete from pulp_importedunit where task_id = $1").bind(cx.id());
        if let Err(error) = cx.pulp().db().execute(left).await {
            tracing::warn!(%error, "the list of an import's units stays until its task is deleted");
        }
        done.map(|()| TaskOutput::default())
    }
}

impl ImportRepositoryVersion {
    async fn import(&self, cx: &TaskContext) -> Result<()> {
        let repository = Repository::find(cx.pulp().db(), self.repository.id).await?;
        let registry = cx.pulp().registry();
        let exported = registry.exported_type(&repository.pulp_type);
        let exported = exported.ok_or_else(|| Error::Internal(format!("{} cannot be imported", repository.pulp_type)))?;
        let parts = self.open(cx).await?;
        let report = cx.progress(format!("Importing content for {}", repository.name), "import.repo.version.content").total(0);
        for content in exported.contents {
            if let Some(list) = self.units.get(content.kind.pulp_type) {
                save_list(cx, &parts, list, content, &report).await?;
            }
        }
        if let Some(list) = &self.files {
            save_unit_files(cx, &parts, list).await?;
        }
        self.make_version(cx, &repository).await?;
        report.finish();
        cx.group_progress(cx.pulp().db(), "import.repo.versions", 1).await
    }

    async fn open(&self, cx: &TaskContext) -> Result<Arc<Parts>> {
        let (files, source) = (cx.pulp().import_files().clone(), self.source.clone());
        let parts = tokio::task::spawn_blocking(move || Parts::open(&files, &source, None)).await;
        let parts = parts.map_err(|error| Error::Internal(error.to_string()))??;
        if parts.size() != self.size {
            return Err(bad("it has changed since the import began"));
        }
        Ok(Arc::new(parts))
    }

    /// The version that has the imported units, and no others.
    async fn make_version(&self, cx: &TaskContext, repository: &Repository) -> Result<()> {
        let rules = cx.pulp().registry().repository_type(&repository.pulp_type).cloned();
        let rules = rules.ok_or_else(|| Error::Internal(format!("the repository type {} is not registered", repository.pulp_type)))?;
        let mut draft = VersionDraft::begin(cx.pulp().db(), repository.pulp_id, None, cx.pulp().now()).await?;
        draft.held_by(cx);
        draft.mirror();
        if let Err(error) = fill(cx, &mut draft).await {
            draft.discard().await?;
            return Err(error);
        }
        match draft.commit(rules.as_ref()).await? {
            Some(version) => announce(cx, rules.as_ref(), &version).await,
            None => Ok(()),
        }
    }
}

async fn fill(cx: &TaskContext, draft: &mut VersionDraft) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let sql = Sql::new(
            "select upstream_id, content_id from pulp_importedunit where task_id = $1 and upstream_id > $2 order by upstream_id limit $3",
        );
        let page: Vec<(Uuid, Uuid)> = cx.pulp().db().all(sql.bind(cx.id()).bind(after).bind(PAGE)).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        let units: Vec<Uuid> = page.into_iter().map(|(_, unit)| unit).collect();
        draft.add(&units).await?;
    }
}

fn key(row: &Row, name: &str) -> Result<Uuid> {
    let text = text(row, name)?;
    text.parse().map_err(|_| bad(&format!("a row's {name} is no UUID")))
}

/// Saves the units of a list, and notes which is which.
async fn save_list(cx: &TaskContext, parts: &Arc<Parts>, list: &Member, content: &ExportedContent, report: &ProgressReport) -> Result<()> {
    let since = cx.pulp().now();
    let mut rows = Rows::of(parts, list);
    while let Some(rows) = rows.next().await? {
        let mut units = Vec::with_capacity(rows.len());
        for row in &rows {
            units.push((key(row, "upstream_id")?, unit(row, content)?));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match save_some(cx, content, &units, since).await {
                Err(Error::Db(DbError::Retry(reason))) if tries < TRIES => tracing::debug!(reason, "a batch is written again"),
                other => break other?,
            }
        }
        let some = i64::try_from(units.len()).unwrap_or_default();
        report.increase_total(some);
        report.increase(some);
    }
    Ok(())
}

async fn save_some(cx: &TaskContext, content: &ExportedContent, units: &[(Uuid, Unit)], since: crate::clock::Timestamp) -> Result<()> {
    let (domain, now) = (cx.domain().pulp_id, cx.pulp().now());
    let tx = cx.pulp().db().begin().await?;
    let all: Vec<&Unit> = units.iter().map(|(_, unit)| unit).collect();
    let saved = save_units(&tx, content.kind, &all, domain, since, now).await?;
    let mut rows: Vec<[Value; 3]> = Vec::with_capacity(units.len());
    for (upstream, unit) in units {
        let saved = saved.get(&unit.key()).ok_or_else(|| Error::Internal("a content unit vanished while it was saved".to_owned()))?;
        rows.push([cx.id().into(), upstream.into(), saved.id.into()]);
    }
    for some in rows.chunks(rows_per_statement(3)) {
        let mut sql = Sql::new("insert into pulp_importedunit (task_id, upstream_id, content_id) values ");
        sql.push_rows(some.iter().cloned());
        sql.push(" on conflict (task_id, upstream_id) do nothing");
        tx.execute(sql).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// A row of the list of files.
struct File<'r> {
    unit: Uuid,
    sha256: Cow<'r, str>,
    path: Cow<'r, str>,
}

/// Notes which files the units have.
async fn save_unit_files(cx: &TaskContext, parts: &Arc<Parts>, list: &Member) -> Result<()> {
    let (domain, db) = (cx.domain().pulp_id, cx.pulp().db());
    let expected = Expected::default();
    let mut rows = Rows::of(parts, list);
    while let Some(rows) = rows.next().await? {
        let mut named = Vec::with_capacity(rows.len());
        for row in &rows {
            let path = text(row, "relative_path")?;
            if path.is_empty() || path.len() > MOST_PATH || path.split('/').any(|part| part == "..") {
                return Err(bad(&format!("\"{}\" is no path of a file", path.chars().take(100).collect::<String>().escape_debug())));
            }
            named.push(File { unit: key(row, "content")?, sha256: text(row, "artifact")?, path });
        }
        let mut sql = Sql::new("select upstream_id, content_id from pulp_importedunit where task_id = ");
        sql.push_bind(cx.id()).push(" and upstream_id in ").push_list(named.iter().map(|file| file.unit));
        let units: HashMap<Uuid, Uuid> = db.all::<(Uuid, Uuid)>(sql).await?.into_iter().collect();
        let digests: Vec<&str> = named.iter().map(|file| file.sha256.as_ref()).collect();
        let artifacts = find_artifacts(db, Algorithm::Sha256, &digests, domain).await?;
        let artifacts: HashMap<String, Uuid> = artifacts.into_iter().map(|artifact| (artifact.sha256, artifact.pulp_id)).collect();
        let mut files = Vec::with_capacity(named.len());
        for file in &named {
            let unit = units.get(&file.unit).ok_or_else(|| bad(&format!("it names a file of the unit {}, which it has not", file.unit)))?;
            let artifact = artifacts.get(file.sha256.as_ref());
            let artifact =
                artifact.ok_or_else(|| bad(&format!("it names the artifact {}, which it has not", file.sha256.escape_debug())))?;
            files.push(UnitFile {
                unit: SavedUnit { id: *unit, new: false },
                relative_path: &file.path,
                artifact: Some(*artifact),
                source: None,
                expected: &expected,
            });
        }
        let tx = db.begin().await?;
        save_files(&tx, &files, domain, cx.pulp().now()).await?;
        tx.commit().await?;
    }
    Ok(())
}
