//! Which repository here gets what an archive has of which.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::db::{Executor, ExecutorExt, Sql, Tx, Value, rows_per_statement};
use crate::ids::new_id;
use crate::resource::{Compute, Context, Hooks, Input, Record};
use crate::{Error, Result};

/// Whether an importer maps any repository.
pub(super) async fn is_mapped(cx: &Context, importer: Uuid) -> Result<bool> {
    let sql = Sql::new("select 1 as one from core_pulpimporterrepository where pulp_importer_id = $1 limit 1").bind(importer);
    Ok(cx.pulp().db().optional::<(i32,)>(sql).await?.is_some())
}

/// The mapping as it was given: by name.
pub(super) struct Mapping;

#[async_trait]
impl Compute for Mapping {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select m.pulp_importer_id, m.source_repo, r.name from core_pulpimporterrepository m \
             join core_repository r on r.pulp_id = m.repository_id where m.pulp_importer_id in ",
        );
        sql.push_list(rows.iter().map(Record::id)).push(" order by m.pulp_id");
        let mut found: HashMap<Uuid, Map<String, Json>> = HashMap::new();
        for (importer, source, name) in cx.pulp().db().all::<(Uuid, String, String)>(sql).await? {
            found.entry(importer).or_default().insert(source, name.into());
        }
        Ok(rows.iter().map(|row| vec![Json::Object(found.remove(&row.id()).unwrap_or_default())]).collect())
    }
}

/// Keeps the mapping of an importer.
pub(super) struct KeepMapping;

/// The names that a mapping gives; a number counts as its digits.
fn pairs(mapping: &Json) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (source, name) in mapping.as_object().into_iter().flatten() {
        let name = match name {
            Json::String(name) if !name.is_empty() => name.clone(),
            Json::Number(number) => number.to_string(),
            Json::String(_) => return Err(Error::Refused(json!({"repo_mapping": {source: ["This field may not be blank."]}}))),
            _ => return Err(Error::Refused(json!({"repo_mapping": {source: ["Not a valid string."]}}))),
        };
        pairs.push((source.clone(), name));
    }
    Ok(pairs)
}

/// The keys of the repositories with these names.
async fn find<E: Executor + ?Sized>(executor: &E, domain: Uuid, pairs: &[(String, String)]) -> Result<HashMap<String, Uuid>> {
    let mut found = HashMap::new();
    for some in pairs.chunks(1_000) {
        let mut sql = Sql::new("select name, pulp_id from core_repository where pulp_domain_id = ");
        sql.push_bind(domain).push(" and name in ").push_list(some.iter().map(|(_, name)| name));
        found.extend(executor.all::<(String, Uuid)>(sql).await?);
    }
    let missing: Vec<String> =
        pairs.iter().filter(|(_, name)| !found.contains_key(name)).map(|(_, name)| format!("'{}'", name.escape_debug())).collect();
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(Error::Refused(json!([format!("Failed to find repositories from repo_mapping: names: [{}]", missing.join(", "))])))
    }
}

impl KeepMapping {
    async fn write(cx: &Context, tx: &Tx, importer: Uuid, input: &Input) -> Result<()> {
        let Some(mapping) = input.get("repo_mapping") else { return Ok(()) };
        let pairs = pairs(mapping)?;
        let found = find(tx, cx.domain().pulp_id, &pairs).await?;
        tx.execute(Sql::new("delete from core_pulpimporterrepository where pulp_importer_id = $1").bind(importer)).await?;
        let now = cx.pulp().now();
        let rows: Vec<[Value; 6]> = pairs
            .iter()
            .filter_map(|(source, name)| {
                let repository = found.get(name)?;
                Some([new_id().into(), now.into(), now.into(), source.into(), repository.into(), importer.into()])
            })
            .collect();
        for some in rows.chunks(rows_per_statement(6)) {
            let mut sql = Sql::new(
                "insert into core_pulpimporterrepository \
                 (pulp_id, pulp_created, pulp_last_updated, source_repo, repository_id, pulp_importer_id) values ",
            );
            sql.push_rows(some.iter().cloned());
            tx.execute(sql).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Hooks for KeepMapping {
    async fn validate(&self, cx: &Context, input: &mut Input, _: Option<&Record>) -> Result<()> {
        if let Some(mapping) = input.get("repo_mapping") {
            find(cx.pulp().db(), cx.domain().pulp_id, &pairs(mapping)?).await?;
        }
        Ok(())
    }

    async fn created(&self, cx: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        Self::write(cx, tx, id, input).await
    }

    async fn updated(&self, cx: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        Self::write(cx, tx, before.id(), input).await
    }
}
