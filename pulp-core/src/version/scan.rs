//! Looking up known vulnerabilities of what is in a version.

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::RepositoryType;
use crate::db::{ExecutorExt, Sql, Value, rows_per_statement};
use crate::download::Questions;
use crate::ids::{Prn, new_id};
use crate::model::{Model, Repository, RepositoryVersion};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Pulp, Result};

/// Packages that are asked about at the same time.
const AT_ONCE: usize = 10;
/// Packages whose reports are written together.
const BATCH: i64 = 200;
/// Pages of one answer: nothing has so many vulnerabilities.
const PAGES: usize = 100;

/// A package, in the words of the [OSV](https://ossf.github.io/osv-schema/) database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The unit that it is.
    pub content: Uuid,
    /// Where packages of its kind come from: `PyPI`.
    pub ecosystem: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Asks for the known vulnerabilities of all packages of a version, and notes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanVersion {
    /// The repository.
    pub repository: Prn,
    /// The version.
    pub version: Uuid,
}

#[async_trait]
impl Task for ScanVersion {
    const NAME: &'static str = "pulpcore.app.tasks.vulnerability_report.check_content";

    fn resources(&self) -> Resources {
        Resources::none().shared(&self.repository)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let pulp = cx.pulp();
        let repository = Repository::find(pulp.db(), self.repository.id).await?;
        let version = RepositoryVersion::find(pulp.db(), self.version).await?;
        let rules = rules(pulp, &repository)?;
        let source = &pulp.settings().vulnerability_source_url;
        let url = source
            .parse()
            .map_err(|_| Error::Setting { name: "vulnerability_source_url".to_owned(), reason: "it is not a URL".to_owned() })?;
        let questions = Questions::new(url)?;
        let scanned = cx.progress("Scanning packages", "vulnerability_report.scanned").total(0);
        let mut after = Uuid::nil();
        loop {
            let packages = rules.packages(pulp.db(), &version, after, BATCH).await?;
            let Some(last) = packages.iter().map(|package| package.content).max() else { break };
            after = last;
            scanned.increase_total(i64::try_from(packages.len()).unwrap_or(i64::MAX));
            let found: Vec<(Uuid, Vec<Json>)> = stream::iter(packages)
                .map(|package| {
                    let questions = &questions;
                    async move { Ok::<_, Error>((package.content, vulnerabilities(questions, &package).await?)) }
                })
                .buffer_unordered(AT_ONCE)
                .inspect_ok(|_| scanned.increment())
                .try_collect()
                .await?;
            note(&cx, &version, found).await?;
        }
        scanned.finish();
        Ok(().into())
    }
}

/// The rules of a repository whose packages are known to the database.
fn rules(pulp: &Pulp, repository: &Repository) -> Result<std::sync::Arc<dyn RepositoryType>> {
    let rules = pulp.registry().repository_type(&repository.pulp_type).cloned();
    let rules = rules.ok_or_else(|| Error::Internal(format!("the repository type {} is not registered", repository.pulp_type)))?;
    if rules.has_packages() {
        Ok(rules)
    } else {
        Err(Error::BadRequest(format!("Vulnerabilities of {} cannot be looked up.", repository.pulp_type)))
    }
}

async fn vulnerabilities(questions: &Questions, package: &Package) -> Result<Vec<Json>> {
    let mut question = json!({"package": {"name": package.name, "ecosystem": package.ecosystem}, "version": package.version});
    let mut all = Vec::new();
    for _ in 0..PAGES {
        let mut answer = questions.ask(&question).await?;
        if let Some(Json::Array(some)) = answer.get_mut("vulns").map(Json::take) {
            all.extend(some);
        }
        match answer.get("next_page_token").and_then(Json::as_str).filter(|token| !token.is_empty()) {
            Some(token) => question["page_token"] = token.into(),
            None => break,
        }
    }
    Ok(all)
}

/// One report per unit; a unit of which nothing is known any more keeps an empty one.
async fn note(cx: &TaskContext, version: &RepositoryVersion, found: Vec<(Uuid, Vec<Json>)>) -> Result<()> {
    let (domain, now) = (cx.domain().pulp_id, cx.pulp().now());
    let (mut known, healthy): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, vulnerabilities)| !vulnerabilities.is_empty());
    // Ordered, so that two scans that write the same rows do not wait for each other in a circle.
    known.sort_by_key(|(content, _)| *content);
    let tx = cx.pulp().db().begin().await?;
    for some in known.chunks(rows_per_statement(5)) {
        let mut sql = Sql::new(
            "insert into core_vulnerabilityreport (pulp_id, pulp_created, pulp_last_updated, vulns, content_id, pulp_domain_id) values ",
        );
        sql.push_rows(some.iter().map(|(content, vulnerabilities)| -> [Value; 6] {
            [new_id().into(), now.into(), now.into(), Json::Array(vulnerabilities.clone()).into(), content.into(), domain.into()]
        }));
        sql.push(
            " on conflict (content_id) do update set vulns = excluded.vulns, pulp_last_updated = excluded.pulp_last_updated \
             returning pulp_id",
        );
        let reports: Vec<Uuid> = tx.column(sql).await?;
        let mut sql = Sql::new("insert into core_vulnerabilityreport_repo_versions (vulnerabilityreport_id, repositoryversion_id) values ");
        sql.push_rows(reports.iter().map(|report| -> [Value; 2] { [report.into(), version.pulp_id.into()] }));
        sql.push(" on conflict (vulnerabilityreport_id, repositoryversion_id) do nothing");
        tx.execute(sql).await?;
    }
    if !healthy.is_empty() {
        let mut sql = Sql::new("update core_vulnerabilityreport set vulns = ");
        sql.push_bind(json!([])).push(", pulp_last_updated = ").push_bind(now).push(" where content_id in ");
        sql.push_list(healthy.iter().map(|(content, _)| *content));
        tx.execute(sql).await?;
    }
    tx.commit().await?;
    Ok(())
}
