//! The metadata of an archive, written to the spool: one list per kind of row.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use sqlx::FromRow;
use uuid::Uuid;

use super::files::{PAGE, Units};
use super::json::{ListFile, column, or_empty};
use crate::db::{Executor, ExecutorExt, Sql};
use crate::model::{Artifact, Repository, RepositoryVersion};
use crate::plugin::{Exported, ExportedContent};
use crate::storage::Spooled;
use crate::tasks::ProgressReport;
use crate::{CORE, Error, Pulp, Result};

/// A version that is exported, with what its type says.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) repository: Repository,
    pub(super) version: RepositoryVersion,
    /// What the recipient has already.
    pub(super) start: Option<RepositoryVersion>,
    pub(super) exported: &'static Exported,
}

impl Item {
    /// The directory of its metadata in the archive.
    pub(super) fn directory(&self) -> String {
        format!("repository-{}_{}", self.repository.name, self.version.number)
    }
}

/// `[{"component": …, "version": …}]` of all that the archive needs.
pub(super) async fn versions(pulp: &Pulp, items: &[Item]) -> Result<Spooled> {
    let mut all: BTreeMap<&str, &str> = BTreeMap::from([(CORE.label, CORE.version)]);
    for item in items {
        let component = item.exported.component();
        let plugin = pulp.registry().plugins().iter().find(|plugin| plugin.label == component);
        let plugin = plugin.ok_or_else(|| Error::Internal(format!("there is no component {component}")))?;
        all.insert(plugin.label, plugin.version);
    }
    let mut list = ListFile::new(pulp);
    for (component, version) in all {
        list.row(&row([("component", component.into()), ("version", version.into())])).await?;
    }
    list.finish().await?.ok_or_else(|| Error::Internal("a list of versions is empty".to_owned()))
}

fn row<const N: usize>(values: [(&str, Json); N]) -> Map<String, Json> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The artifacts of an archive, in the order of their keys.
pub(super) async fn artifact_rows(list: &mut ListFile, artifacts: &[Artifact]) -> Result<()> {
    for artifact in artifacts {
        let digest = |value: &Option<String>| or_empty(value.clone());
        let row = row([
            ("file", artifact.file.as_str().into()),
            ("size", artifact.size.to_string().into()),
            ("md5", digest(&artifact.md5)),
            ("sha1", digest(&artifact.sha1)),
            ("sha224", digest(&artifact.sha224)),
            ("sha256", artifact.sha256.as_str().into()),
            ("sha384", digest(&artifact.sha384)),
            ("sha512", digest(&artifact.sha512)),
            ("pulp_domain", json!(artifact.pulp_domain_id)),
        ]);
        list.row(&row).await?;
    }
    Ok(())
}

fn repository_row(repository: &Repository) -> Map<String, Json> {
    let number = |value: Option<i64>| or_empty(value.map(|value| value.to_string()));
    row([
        ("pulp_type", repository.pulp_type.as_str().into()),
        ("name", repository.name.as_str().into()),
        ("description", or_empty(repository.description.clone())),
        ("retain_repo_versions", number(repository.retain_repo_versions)),
        ("retain_checkpoints", number(repository.retain_checkpoints)),
        ("user_hidden", if repository.user_hidden { "1" } else { "0" }.into()),
        ("pulp_domain", json!(repository.pulp_domain_id)),
    ])
}

/// All repositories of an archive.
pub(super) async fn repositories(pulp: &Pulp, items: &[Item]) -> Result<Option<Spooled>> {
    let mut list = ListFile::new(pulp);
    for item in items {
        list.row(&repository_row(&item.repository)).await?;
    }
    list.finish().await
}

/// One repository, with what its type has.
pub(super) async fn repository(pulp: &Pulp, item: &Item) -> Result<Option<Spooled>> {
    let mut row = repository_row(&item.repository);
    let names: Vec<&str> = item.exported.columns.iter().map(|column| column.name).collect();
    if !names.is_empty() {
        let text = format!("select {} from {} where {} = $1", names.join(", "), item.exported.table, item.exported.pointer);
        let found = pulp.db().rows(Sql::new(text).bind(item.repository.pulp_id)).await?;
        let found = found.first().ok_or_else(|| Error::not_found(format!("repository {}", item.repository.name)))?;
        for (place, of) in item.exported.columns.iter().enumerate() {
            row.insert(of.name.to_owned(), column(found, place, of)?);
        }
    }
    let mut list = ListFile::new(pulp);
    list.row(&row).await?;
    list.finish().await
}

/// The units of one type in a version.
pub(super) async fn units(pulp: &Pulp, item: &Item, content: &ExportedContent, report: &ProgressReport) -> Result<Option<Spooled>> {
    let names: Vec<String> = content.columns.iter().map(|column| format!(", d.{}", column.name)).collect();
    let text = format!("select d.content_ptr_id{} from {} d where d.content_ptr_id in ", names.concat(), content.kind.table);
    let domain = json!(item.repository.pulp_domain_id);
    let mut list = ListFile::new(pulp);
    let mut page = Units::new(&item.version, None);
    while let Some(keys) = page.next(pulp.db()).await? {
        let mut sql = Sql::new(text.as_str());
        sql.push_list(&keys).push(" order by d.content_ptr_id");
        let rows = pulp.db().rows(sql).await?;
        for found in &rows {
            let id: Uuid = found.at(0)?;
            let mut row = row([("pulp_type", content.kind.pulp_type.into()), ("upstream_id", json!(id)), ("pulp_domain", domain.clone())]);
            for (place, of) in content.columns.iter().enumerate() {
                row.insert(of.name.to_owned(), column(found, place + 1, of)?);
            }
            row.insert("_pulp_domain".to_owned(), domain.clone());
            list.row(&row).await?;
        }
        report.increase(i64::try_from(rows.len()).unwrap_or_default());
    }
    list.finish().await
}

#[derive(FromRow)]
struct File {
    sha256: Option<String>,
    content_id: Uuid,
    relative_path: String,
}

/// Which files the units of a version have.
pub(super) async fn unit_files(pulp: &Pulp, item: &Item) -> Result<Option<Spooled>> {
    let mut list = ListFile::new(pulp);
    let mut page = Units::new(&item.version, None);
    while let Some(keys) = page.next(pulp.db()).await? {
        let mut sql = Sql::new(
            "select a.sha256, ca.content_id, ca.relative_path from core_contentartifact ca \
             left join core_artifact a on a.pulp_id = ca.artifact_id where ca.content_id in ",
        );
        sql.push_list(&keys).push(" order by ca.content_id, ca.relative_path");
        for file in pulp.db().all::<File>(sql).await? {
            let sha256 = file.sha256.ok_or_else(super::pulp::remote)?;
            list.row(&row([
                ("artifact", sha256.into()),
                ("content", json!(file.content_id)),
                ("relative_path", file.relative_path.into()),
            ]))
            .await?;
        }
    }
    list.finish().await
}

/// Units in a version.
pub(super) async fn count(pulp: &Pulp, version: &RepositoryVersion) -> Result<i64> {
    Ok(crate::version::Members::of(version).count(pulp.db()).await?)
}

/// How many artifacts are read in one go.
pub(super) const ARTIFACTS: i64 = PAGE;
