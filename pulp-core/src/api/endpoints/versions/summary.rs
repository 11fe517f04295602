//! What a version shows beside its columns.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::Result;
use crate::db::{ExecutorExt, Sql};
use crate::resource::{Compute, Context, Record, Target};

/// The counts of units by type, each with the address of their list.
pub(super) struct ContentSummary;

#[async_trait]
impl Compute for ContentSummary {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select repository_version_id, count_type, content_type, count from core_repositoryversioncontentdetails where repository_version_id in ",
        );
        sql.push_list(rows.iter().map(Record::id)).push(" order by content_type");
        let mut found: HashMap<Uuid, Vec<(String, String, i64)>> = HashMap::new();
        for (version, part, kind, count) in cx.pulp().db().all::<(Uuid, String, String, i64)>(sql).await? {
            found.entry(version).or_default().push((part, kind, count));
        }
        let base = cx.pulp().hrefs().base(&cx.domain().name);
        Ok(rows
            .iter()
            .map(|row| {
                let own = own_href(cx, &base, row).unwrap_or_default();
                let counts = found.remove(&row.id()).unwrap_or_default();
                let part = |code: &str, filter: &str| -> Json {
                    let mut all = Map::new();
                    for (_, kind, count) in counts.iter().filter(|(part, _, count)| part == code && *count > 0) {
                        let path = cx.pulp().registry().resource_of_type(Target::CONTENT.table, kind).map(|resource| resource.path);
                        let mut entry = json!({"count": count});
                        if let Some(path) = path {
                            entry["href"] = json!(format!("{base}{path}/?{filter}={own}"));
                        }
                        all.insert(kind.clone(), entry);
                    }
                    Json::Object(all)
                };
                vec![json!({
                    "added": part("A", "repository_version_added"),
                    "removed": part("R", "repository_version_removed"),
                    "present": part("P", "repository_version"),
                })]
            })
            .collect())
    }
}

fn own_href(cx: &Context, base: &str, row: &Record) -> Option<String> {
    let repository = cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, row.text("own__type")?)?;
    Some(format!("{base}{}/{}/versions/{}/", repository.path, row.uuid("own__repository")?, row.integer("own__number")?))
}

pub(super) struct VulnerabilityReport;

#[async_trait]
impl Compute for VulnerabilityReport {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let base = cx.pulp().hrefs().base(&cx.domain().name);
        let href = |row: &Record| format!("{base}vuln_report/?repo_versions=prn:core.repositoryversion:{}", row.id());
        Ok(rows.iter().map(|row| vec![json!(href(row))]).collect())
    }
}
