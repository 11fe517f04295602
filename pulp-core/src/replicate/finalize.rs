//! The task that runs when all others of a replication have ended.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::types::Json as Column;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::content::{Change, grace};
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// Failures that are told one by one.
const TOLD: usize = 20;

/// The distributions of one type that were replicated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicated {
    /// Their type.
    pub distribution_type: String,
    /// The type of the repositories of the same names.
    pub repository_type: String,
    /// Their names.
    pub names: Vec<String>,
}

/// Lets distributions serve the latest versions of the repositories that have their names: all of them at once, or, if a task of
/// the group has failed, none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalizeReplication {
    /// The upstream; held exclusively, and shared by all tasks of the replication: this one comes after them.
    pub upstream: Prn,
    /// What was replicated.
    pub replicated: Vec<Replicated>,
    /// When the replication began, if the next one may start from it.
    pub started: Option<Timestamp>,
}

#[async_trait]
impl Task for FinalizeReplication {
    const NAME: &'static str = "pulpcore.app.tasks.replica.finalize_replication";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.upstream)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        check_others(&cx).await?;
        let now = cx.pulp().now();
        let tx = cx.pulp().db().begin().await?;
        cx.hold(&tx).await?;
        for of in &self.replicated {
            for names in of.names.chunks(500) {
                // The latest version of the repository of the same name.
                let latest = "(select v.pulp_id from core_repositoryversion v join core_repository r on r.pulp_id = v.repository_id \
                              where r.name = core_distribution.name and r.pulp_domain_id = core_distribution.pulp_domain_id \
                              and r.pulp_type = $1 and v.complete order by v.number desc limit 1)";
                let mut sql = Sql::new(format!(
                    "update core_distribution set repository_version_id = {latest}, repository_id = null, publication_id = null, \
                     pulp_last_updated = $2 where pulp_domain_id = $3 and pulp_type = $4 and (repository_version_id is distinct from {latest} \
                     or repository_id is not null or publication_id is not null) and name in "
                ))
                .bind(of.repository_type.as_str())
                .bind(now)
                .bind(cx.domain().pulp_id)
                .bind(of.distribution_type.as_str());
                sql.push_list(names).push(" returning pulp_id");
                for id in tx.column::<Uuid>(sql).await? {
                    grace::note_distribution(&tx, id, now, cx.pulp().settings().distributed_publication_retention_period).await?;
                }
            }
        }
        if let Some(started) = self.started {
            let sql = Sql::new("update core_upstreampulp set last_replication = $2 where pulp_id = $1");
            tx.execute(sql.bind(self.upstream.id).bind(started)).await?;
        }
        tx.commit().await?;
        Change::Distributions.announce(cx.pulp()).await;
        Ok(TaskOutput::default())
    }
}

/// Makes sure that all other tasks of the group have done what they had to.
async fn check_others(cx: &TaskContext) -> Result<()> {
    let Some(group) = cx.group() else { return Ok(()) };
    let sql = Sql::new(
        "select name, error from core_task where task_group_id = $1 and pulp_id <> $2 and state not in ('completed', 'skipped') order by sequence",
    );
    let failed: Vec<(String, Option<Column<Json>>)> = cx.pulp().db().all(sql.bind(group).bind(cx.id())).await?;
    if failed.is_empty() {
        return Ok(());
    }
    let told = failed.iter().take(TOLD).map(|(name, error)| {
        let reason = error.as_ref().and_then(|error| error.get("description").or_else(|| error.get("reason")));
        format!("\n  {name}: {}", reason.and_then(Json::as_str).unwrap_or("it was canceled"))
    });
    Err(Error::Coded {
        code: "PLP0018",
        message: format!("Replication failed: {} subtask(s) did not complete successfully:{}", failed.len(), told.collect::<String>()),
    })
}
