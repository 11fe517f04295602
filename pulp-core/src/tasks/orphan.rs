//! The task that removes what nobody needs any more: units that no version has, and files that no unit has.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::litter::remove_litter;
use super::{ReclaimSpace, Resources, Task, TaskContext, TaskOutput};
use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt, Sql, Tx};
use crate::model::Remote;
use crate::model::save::ContentKind;
use crate::storage::ArtifactPath;
use crate::{Pulp, Result};

/// How many rows go in one transaction: other writers get their turn in between, and file systems recover slowly from many
/// removals at once.
const BATCH: i64 = 200;

/// A unit that neither a version nor a publication has; the row is of `core_content`.
const UNUSED: &str = "not exists (select 1 from core_repositorycontent rc where rc.content_id = core_content.pulp_id) \
     and not exists (select 1 from core_publishedmetadata metadata where metadata.content_ptr_id = core_content.pulp_id)";

/// Removes the orphans of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanCleanup {
    /// The domain.
    pub domain: Uuid,
    /// Only these units; all if unset.
    #[serde(default)]
    pub content: Option<Vec<Uuid>>,
    /// Minutes for which nobody may have touched what is removed; `ORPHAN_PROTECTION_TIME` if unset.
    #[serde(default)]
    pub orphan_protection_time: Option<i64>,
}

#[async_trait]
impl Task for OrphanCleanup {
    const NAME: &'static str = "pulpcore.app.tasks.orphan.orphan_cleanup";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(format!("pdrn:{}:orphans", self.domain))
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let pulp = cx.pulp();
        let until = self.until(&cx).await?;
        // What publishing tasks that died have left; what those that run write is younger.
        let unfinished = Sql::new("delete from core_publication where not complete and pulp_created < $1 and pulp_domain_id = $2");
        pulp.db().execute(unfinished.bind(until).bind(self.domain)).await?;

        let report = cx.progress("Clean up orphan Content", "clean-up.content").total(0);
        // Where single units are named, their files alone may go with them.
        let mut theirs: Option<Vec<Uuid>> = self.content.as_ref().map(|_| Vec::new());
        let mut after = Uuid::nil();
        loop {
            let units = self.units(pulp.db(), until, after).await?;
            let Some(last) = units.last() else { break };
            after = *last;
            if let Some(theirs) = &mut theirs {
                let mut files =
                    Sql::new("select distinct artifact_id from core_contentartifact where artifact_id is not null and content_id in ");
                files.push_list(&units);
                theirs.extend(pulp.db().column::<Uuid>(files).await?);
            }
            let gone = remove_units(pulp, &units, until).await?;
            report.increase_total(gone);
            report.increase(gone);
        }
        report.finish();

        let report = cx.progress("Clean up orphan Artifacts", "clean-up.artifacts").total(0);
        let removed = |gone: i64| {
            report.increase_total(gone);
            report.increase(gone);
        };
        if let Some(theirs) = theirs {
            for some in theirs.chunks(200) {
                removed(remove_artifacts(pulp, self.domain, some, until).await?);
            }
        } else {
            let mut after = Uuid::nil();
            loop {
                let artifacts = self.artifacts(pulp.db(), until, after).await?;
                let Some(last) = artifacts.last() else { break };
                after = *last;
                removed(remove_artifacts(pulp, self.domain, &artifacts, until).await?);
            }
            remove_litter(pulp, self.domain, until).await?;
        }
        report.finish();
        Remote::sweep_retired(pulp.db(), self.domain).await?;
        Ok(().into())
    }
}

impl OrphanCleanup {
    /// All orphans of a domain that are old enough by the settings.
    pub fn of(domain: Uuid) -> Self {
        Self { domain, content: None, orphan_protection_time: None }
    }

    /// The moment before which nobody may have touched an orphan.
    async fn until(&self, cx: &TaskContext) -> Result<Timestamp> {
        let minutes = self.orphan_protection_time.unwrap_or(cx.pulp().settings().orphan_protection_time);
        let span = chrono::TimeDelta::try_minutes(minutes.max(0)).unwrap_or(chrono::TimeDelta::MAX);
        let until = cx.pulp().now().checked_sub_signed(span).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(untouched_since(cx, until).await?)
    }

    async fn units(&self, db: &Db, until: Timestamp, after: Uuid) -> Result<Vec<Uuid>, DbError> {
        let mut sql = Sql::new(format!("select pulp_id from core_content where {UNUSED} and timestamp_of_interest < "));
        sql.push_bind(until).push(" and pulp_domain_id = ").push_bind(self.domain);
        sql.push(" and pulp_id > ").push_bind(after);
        if let Some(only) = &self.content {
            sql.push(" and pulp_id in ").push_list(only.iter().take(20_000));
        }
        sql.push(" order by pulp_id limit ").push_bind(BATCH);
        db.column(sql).await
    }

    async fn artifacts(&self, db: &Db, until: Timestamp, after: Uuid) -> Result<Vec<Uuid>, DbError> {
        let sql = Sql::new(
            "select artifact.pulp_id from core_artifact artifact where artifact.timestamp_of_interest < $1 and artifact.pulp_domain_id = $2 \
             and artifact.pulp_id > $3 and not exists (select 1 from core_contentartifact file where file.artifact_id = artifact.pulp_id) \
             order by artifact.pulp_id limit $4",
        );
        db.column(sql.bind(until).bind(self.domain).bind(after).bind(BATCH)).await
    }
}

/// `until`, but never later than the start of another task that runs: what that has touched it is about to use.
pub(super) async fn untouched_since(cx: &TaskContext, until: Timestamp) -> Result<Timestamp, DbError> {
    let running = Sql::new(
        "select min(started_at) from core_task where state in ('running', 'canceling') and pulp_id <> $1 and name not in ($2, $3)",
    );
    let running = running.bind(cx.id()).bind(OrphanCleanup::NAME).bind(ReclaimSpace::NAME);
    let running: Option<Timestamp> = cx.pulp().db().scalar(running).await?;
    Ok(running.map_or(until, |running| running.min(until)))
}

/// Removes those units that are still unused; how many.
async fn remove_units(pulp: &Pulp, units: &[Uuid], until: Timestamp) -> Result<i64> {
    let tx = pulp.db().begin().await?;
    // Asked again as part of the removal: a unit may have come into use, or been touched, meanwhile.
    let mut sql = Sql::new(format!("delete from core_content where {UNUSED} and timestamp_of_interest < "));
    sql.push_bind(until).push(" and pulp_id in ").push_list(units).push(" returning pulp_id, pulp_type");
    let gone: Vec<(Uuid, String)> = tx.all(sql).await?;
    let ids: Vec<Uuid> = gone.iter().map(|(id, _)| *id).collect();
    if !ids.is_empty() {
        remove_rows(&tx, &ids, &gone, pulp.registry().contents()).await?;
    }
    tx.commit().await?;
    Ok(i64::try_from(gone.len()).unwrap_or(i64::MAX))
}

async fn remove_rows(tx: &Tx, ids: &[Uuid], gone: &[(Uuid, String)], kinds: &[&'static ContentKind]) -> Result<(), DbError> {
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

/// Removes those artifacts that are still unused, rows first: a file without a row is only litter. How many.
pub(super) async fn remove_artifacts(pulp: &Pulp, domain: Uuid, artifacts: &[Uuid], until: Timestamp) -> Result<i64> {
    // Nobody in this process adopts a file and has not yet written its row while this is held.
    let _alone = pulp.storing().write().await;
    let mut sql = Sql::new("delete from core_artifact where timestamp_of_interest < ");
    sql.push_bind(until).push(" and not exists (select 1 from core_contentartifact file where file.artifact_id = core_artifact.pulp_id)");
    sql.push(" and pulp_id in ").push_list(artifacts).push(" returning file");
    let files: Vec<String> = pulp.db().column(sql).await?;
    for file in &files {
        // Another process may have stored the same file again.
        let again = Sql::new("select 1 as one from core_artifact where file = $1 and pulp_domain_id = $2 limit 1").bind(file).bind(domain);
        if pulp.db().optional::<(i32,)>(again).await?.is_some() {
            continue;
        }
        let Ok(path) = file.parse::<ArtifactPath>() else {
            tracing::warn!(file, "the path of an artifact is none of ours; the file stays");
            continue;
        };
        if let Err(error) = pulp.storage().delete(&path).await {
            tracing::warn!(%error, "the file of an orphan could not be removed");
        }
    }
    Ok(i64::try_from(files.len()).unwrap_or(i64::MAX))
}
