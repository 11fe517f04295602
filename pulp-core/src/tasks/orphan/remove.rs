//! Removing orphans, if they still are: rows first, for a file without a row is only litter.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};
use uuid::Uuid;

use super::scan::Kind;
use crate::clock::Timestamp;
use crate::db::{DbError, ExecutorExt, Sql, Tx};
use crate::model::save::ContentKind;
use crate::storage::ArtifactPath;
use crate::{Pulp, Result};

/// Files that go while nobody in this process may adopt one; whoever waits for that has its turn in between.
const FILES: usize = 50;

/// Files that are removed at the same time.
const AT_ONCE: usize = 8;

/// Removes those units that are still unused, as part of a transaction; how many.
pub(super) async fn units(pulp: &Pulp, tx: &Tx, units: &[Uuid], until: Timestamp) -> Result<i64> {
    if units.is_empty() {
        return Ok(0);
    }
    // Asked again as part of the removal: a unit may have come into use, or been touched, meanwhile.
    let mut sql = Sql::new(format!("delete from core_content where {} and timestamp_of_interest < ", Kind::Unit.unused()));
    sql.push_bind(until).push(" and pulp_id in ").push_list(units).push(" returning pulp_id, pulp_type");
    let gone: Vec<(Uuid, String)> = tx.all(sql).await?;
    let ids: Vec<Uuid> = gone.iter().map(|(id, _)| *id).collect();
    if !ids.is_empty() {
        rows(tx, &ids, &gone, pulp.registry().contents()).await?;
    }
    Ok(i64::try_from(gone.len()).unwrap_or(i64::MAX))
}

async fn rows(tx: &Tx, ids: &[Uuid], gone: &[(Uuid, String)], kinds: &[&'static ContentKind]) -> Result<(), DbError> {
    let mut sources = Sql::new(
        "delete from core_remoteartifact where content_artifact_id in (select pulp_id from core_contentartifact where content_id in ",
    );
    sources.push_list(ids).push(")");
    tx.execute(sources).await?;
    let mut reports = Sql::new("delete from core_vulnerabilityreport where content_id in ");
    reports.push_list(ids);
    tx.execute(reports).await?;
    let mut files = Sql::new("delete from core_contentartifact where content_id in ");
    files.push_list(ids);
    tx.execute(files).await?;
    for kind in kinds {
        let of_kind: Vec<Uuid> = gone.iter().filter(|(_, pulp_type)| pulp_type == kind.pulp_type).map(|(id, _)| *id).collect();
        if !of_kind.is_empty() {
            let mut details = Sql::new(format!("delete from {} where content_ptr_id in ", kind.table));
            details.push_list(&of_kind);
            tx.execute(details).await?;
        }
    }
    Ok(())
}

/// Removes those artifacts that are still unused; how many.
pub(in super::super) async fn artifacts(pulp: &Pulp, domain: Uuid, artifacts: &[Uuid], until: Timestamp) -> Result<i64> {
    let mut gone = 0;
    for some in artifacts.chunks(FILES) {
        gone += few_artifacts(pulp, domain, some, until).await?;
    }
    Ok(gone)
}

async fn few_artifacts(pulp: &Pulp, domain: Uuid, artifacts: &[Uuid], until: Timestamp) -> Result<i64> {
    // Nobody in this process adopts a file and has not yet written its row while this is held.
    let _alone = pulp.storing().write().await;
    let mut sql = Sql::new(format!("delete from core_artifact where {} and timestamp_of_interest < ", Kind::File.unused()));
    sql.push_bind(until).push(" and pulp_id in ").push_list(artifacts).push(" returning file, sha256");
    let gone: Vec<(String, String)> = pulp.db().all(sql).await?;
    if gone.is_empty() {
        return Ok(0);
    }
    // Another process may have stored the same files again.
    let mut again = Sql::new("select sha256 from core_artifact where pulp_domain_id = ");
    again.push_bind(domain).push(" and sha256 in ").push_list(gone.iter().map(|(_, sha256)| sha256.as_str()));
    let again: HashSet<String> = pulp.db().column::<String>(again).await?.into_iter().collect();
    let count = i64::try_from(gone.len()).unwrap_or(i64::MAX);
    let files: Vec<String> = gone.into_iter().filter(|(_, sha256)| !again.contains(sha256)).map(|(file, _)| file).collect();
    stream::iter(files).map(|file| remove_file(pulp.clone(), file)).buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(count)
}

async fn remove_file(pulp: Pulp, file: String) {
    let Ok(path) = file.parse::<ArtifactPath>() else {
        tracing::warn!(file, "the path of an artifact is none of ours; the file stays");
        return;
    };
    if let Err(error) = pulp.storage().delete(&path).await {
        tracing::warn!(%error, "the file of an orphan could not be removed");
    }
}
