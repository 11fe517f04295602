//! The task that removes what nobody needs any more: units that no version has, and files that no unit has.

mod remove;
mod scan;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::litter::remove_litter;
use super::{ProgressReport, ReclaimSpace, Resources, Scrub, Task, TaskContext, TaskOutput};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::model::Remote;

pub(super) use remove::artifacts as remove_artifacts;
use scan::{BATCH, Kind, Scan};

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

        if let Some(only) = &self.content {
            let theirs = self.remove_named(&cx, only, until).await?;
            let report = cx.progress("Clean up orphan Artifacts", "clean-up.artifacts").total(0);
            for some in theirs.chunks(BATCH as usize) {
                count(&report, remove_artifacts(pulp, self.domain, some, until).await?);
            }
            report.finish();
        } else {
            let scan = Scan::begin(pulp.db(), self.domain, until, pulp.now()).await?;
            tracing::debug!(domain = %self.domain, complete = scan.is_complete(), "looking for orphans");
            remove_units(&cx, &scan).await?;
            self.remove_files(&cx, &scan).await?;
            if let Some(until) = scan.litter_until() {
                remove_litter(pulp, self.domain, until).await?;
            }
            let tx = pulp.db().begin().await?;
            cx.hold(&tx).await?;
            scan.note(&tx).await?;
            tx.commit().await?;
        }
        Remote::sweep_retired(pulp.db(), self.domain).await?;
        Ok(().into())
    }
}

impl OrphanCleanup {
    /// All orphans of a domain that are old enough by the settings.
    pub fn of(domain: Uuid) -> Self {
        Self { domain, content: None, orphan_protection_time: None }
    }

    /// Has the next cleanups look for what a process has left that was found dead.
    pub(super) async fn note_death<E: Executor + ?Sized>(executor: &E, now: Timestamp) -> Result<(), DbError> {
        Scan::note_death(executor, now).await
    }

    /// The moment before which nobody may have touched an orphan.
    async fn until(&self, cx: &TaskContext) -> Result<Timestamp> {
        let minutes = self.orphan_protection_time.unwrap_or(cx.pulp().settings().orphan_protection_time);
        let span = chrono::TimeDelta::try_minutes(minutes.max(0)).unwrap_or(chrono::TimeDelta::MAX);
        let until = cx.pulp().now().checked_sub_signed(span).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(untouched_since(cx, until).await?)
    }

    /// Removes those of the named units that are orphans; the files that they and the others had.
    async fn remove_named(&self, cx: &TaskContext, only: &[Uuid], until: Timestamp) -> Result<Vec<Uuid>> {
        let report = cx.progress("Clean up orphan Content", "clean-up.content").total(0);
        let db = cx.pulp().db();
        let mut theirs = Vec::new();
        for some in only.chunks(BATCH as usize) {
            let mut unused =
                Sql::new(format!("select pulp_id from core_content where {} and timestamp_of_interest < ", Kind::Unit.unused()));
            unused.push_bind(until).push(" and pulp_domain_id = ").push_bind(self.domain).push(" and pulp_id in ").push_list(some);
            let units: Vec<Uuid> = db.column(unused).await?;
            if units.is_empty() {
                continue;
            }
            let mut files =
                Sql::new("select distinct artifact_id from core_contentartifact where artifact_id is not null and content_id in ");
            files.push_list(&units);
            theirs.extend(db.column::<Uuid>(files).await?);
            let tx = db.begin().await?;
            let gone = remove::units(cx.pulp(), &tx, &units, until).await?;
            tx.commit().await?;
            count(&report, gone);
        }
        report.finish();
        Ok(theirs)
    }

    /// Removes the orphans among the artifacts.
    async fn remove_files(&self, cx: &TaskContext, scan: &Scan) -> Result<()> {
        let report = cx.progress("Clean up orphan Artifacts", "clean-up.artifacts").total(0);
        let (pulp, db) = (cx.pulp(), cx.pulp().db());
        let (mut at, end) = (0, scan.end(db, Kind::File).await?);
        while let Some(released) = scan.released(db, Kind::File, &mut at, end).await? {
            count(&report, remove_artifacts(pulp, self.domain, &released.ids, scan.until).await?);
            scan.strike(db, Kind::File, &released).await?;
        }
        let mut after = None;
        loop {
            let page = scan.touched(db, Kind::File, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            let artifacts: Vec<Uuid> = page.into_iter().map(|(_, id)| id).collect();
            count(&report, remove_artifacts(pulp, self.domain, &artifacts, scan.until).await?);
        }
        report.finish();
        Ok(())
    }
}

/// Removes the orphans among the units.
async fn remove_units(cx: &TaskContext, scan: &Scan) -> Result<()> {
    let report = cx.progress("Clean up orphan Content", "clean-up.content").total(0);
    let (pulp, db) = (cx.pulp(), cx.pulp().db());
    let (mut at, end) = (0, scan.end(db, Kind::Unit).await?);
    while let Some(released) = scan.released(db, Kind::Unit, &mut at, end).await? {
        let tx = db.begin().await?;
        let gone = remove::units(pulp, &tx, &released.ids, scan.until).await?;
        scan.strike(&tx, Kind::Unit, &released).await?;
        tx.commit().await?;
        count(&report, gone);
    }
    let mut after = None;
    loop {
        let page = scan.touched(db, Kind::Unit, after).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        let units: Vec<Uuid> = page.into_iter().map(|(_, id)| id).collect();
        let tx = db.begin().await?;
        let gone = remove::units(pulp, &tx, &units, scan.until).await?;
        tx.commit().await?;
        count(&report, gone);
    }
    report.finish();
    Ok(())
}

fn count(report: &ProgressReport, gone: i64) {
    report.increase_total(gone);
    report.increase(gone);
}

/// `until`, but never later than the start of another task that runs: what that has touched it is about to use.
pub(super) async fn untouched_since(cx: &TaskContext, until: Timestamp) -> Result<Timestamp, DbError> {
    let running = Sql::new(
        "select min(started_at) from core_task where state in ('running', 'canceling') and pulp_id <> $1 and name not in ($2, $3, $4)",
    );
    let running = running.bind(cx.id()).bind(OrphanCleanup::NAME).bind(ReclaimSpace::NAME).bind(Scrub::NAME);
    let running: Option<Timestamp> = cx.pulp().db().scalar(running).await?;
    Ok(running.map_or(until, |running| running.min(until)))
}
