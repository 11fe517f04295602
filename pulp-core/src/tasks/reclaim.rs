//! The task that frees space: files that can be fetched again leave the storage; the units that have them stay.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::orphan::{remove_artifacts, untouched_since};
use super::{Resources, Task, TaskContext, TaskOutput};
use crate::clock::Timestamp;
use crate::content::Change;
use crate::db::{Executor, ExecutorExt, Sql};
use crate::ids::Prn;
use crate::{Pulp, Result};

/// Units that are looked at in one go.
const BATCH: i64 = 500;

/// How long it is waited for files that come in, and for tasks that may be about to use a file again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Files that are waited for; what is beyond is left to orphan cleanup.
const REMEMBERED: usize = 100_000;

/// Takes the files of repositories from the storage that a remote can give again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReclaimSpace {
    /// The PRNs of the repositories.
    pub repositories: Vec<String>,
    /// Versions whose units keep their files.
    pub keep: Vec<Uuid>,
    /// The PRNs of the repositories that have those versions.
    pub keepers: Vec<String>,
}

#[async_trait]
impl Task for ReclaimSpace {
    const NAME: &'static str = "pulpcore.app.tasks.reclaim_space.reclaim_space";

    fn resources(&self) -> Resources {
        self.repositories.iter().chain(&self.keepers).fold(Resources::none(), |all, repository| all.shared(repository))
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let pulp = cx.pulp();
        // What clients have just been given is there to be reclaimed, too.
        pulp.fetcher().settle(PATIENCE).await;
        let began = pulp.now();
        let report = cx.progress("Reclaim disk space", "reclaim-space.artifact").total(0);
        let mut kept_by_others: Vec<Uuid> = Vec::new();
        for repository in self.repositories.iter().filter_map(|prn| prn.parse::<Prn>().ok()) {
            let mut after = Uuid::nil();
            loop {
                let mut page = Sql::new("select distinct content_id from core_repositorycontent where repository_id = ");
                page.push_bind(repository.id).push(" and content_id > ").push_bind(after);
                page.push(" order by content_id limit ").push_bind(BATCH);
                let units: Vec<Uuid> = pulp.db().column(page).await?;
                let Some(last) = units.last() else { break };
                after = *last;
                let files = self.let_go(pulp, &units, began).await?;
                if files.is_empty() {
                    continue;
                }
                let count = i64::try_from(files.len()).unwrap_or(i64::MAX);
                report.increase_total(count);
                report.increase(count);
                // Before the files go: whoever asks from now on is served from the remote.
                Change::Everything.announce(pulp).await;
                let left = remove(&cx, &files, began).await?;
                kept_by_others.extend(left.into_iter().take(REMEMBERED.saturating_sub(kept_by_others.len())));
            }
        }
        report.finish();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !kept_by_others.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(250)).await;
            kept_by_others = remove(&cx, &kept_by_others, began).await?;
        }
        Ok(().into())
    }
}

impl ReclaimSpace {
    /// Takes their stored files from those units that have a source for them and are in no version to be kept; the artifacts.
    async fn let_go(&self, pulp: &Pulp, units: &[Uuid], now: Timestamp) -> Result<Vec<Uuid>> {
        let tx = pulp.db().begin().await?;
        let mut find = Sql::new(
            "select file.pulp_id, file.artifact_id from core_contentartifact file where file.artifact_id is not null \
             and exists (select 1 from core_remoteartifact source where source.content_artifact_id = file.pulp_id)",
        );
        if !self.keep.is_empty() {
            find.push(
                " and not exists (select 1 from core_repositoryversion kept \
                 join core_repositorycontent held on held.repository_id = kept.repository_id \
                 join core_repositoryversion added on added.pulp_id = held.version_added_id \
                 left join core_repositoryversion removed on removed.pulp_id = held.version_removed_id \
                 where held.content_id = file.content_id and added.number <= kept.number \
                 and (removed.number is null or removed.number > kept.number) and kept.pulp_id in ",
            );
            find.push_list(&self.keep).push(")");
        }
        find.push(" and file.content_id in ").push_list(units);
        find.push(tx.dialect().for_update());
        let found: Vec<(Uuid, Uuid)> = tx.all(find).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut empty = Sql::new("update core_contentartifact set artifact_id = null, pulp_last_updated = ");
        empty.push_bind(now).push(" where pulp_id in ").push_list(found.iter().map(|(file, _)| *file));
        tx.execute(empty).await?;
        tx.commit().await?;
        Ok(found.into_iter().map(|(_, artifact)| artifact).collect())
    }
}

/// Removes those artifacts that nothing has any more. What is left: those that a task which runs may be about to use.
async fn remove(cx: &TaskContext, artifacts: &[Uuid], began: Timestamp) -> Result<Vec<Uuid>> {
    let until = untouched_since(cx, began).await?;
    let mut left = Vec::new();
    for some in artifacts.chunks(200) {
        remove_artifacts(cx.pulp(), cx.domain().pulp_id, some, until).await?;
        let mut unused = Sql::new(
            "select artifact.pulp_id from core_artifact artifact where not exists \
             (select 1 from core_contentartifact file where file.artifact_id = artifact.pulp_id) and artifact.timestamp_of_interest < ",
        );
        unused.push_bind(began).push(" and artifact.pulp_id in ").push_list(some);
        left.extend(cx.pulp().db().column::<Uuid>(unused).await?);
    }
    Ok(left)
}
