//! Checking what versions say about how many units they have, added and removed, and mending it.
//!
//! Pulp’s `datarepair/7272/` mends lists of units that it keeps beside the membership itself. Here there are none, membership is the one
//! truth; what is kept beside it are the counts, and these are checked.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Members;
use crate::Result;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::model::RepositoryVersion;
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};

/// Repositories that are looked at in one go.
const BATCH: i64 = 100;

/// Counts by kind (`A`, `R`, `P`) and type of units.
type Counts = BTreeMap<(String, String), i64>;

/// Recounts the units of all versions of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recount {
    /// The domain.
    pub domain: Uuid,
    /// Only tells what would be mended.
    pub dry_run: bool,
}

#[async_trait]
impl Task for Recount {
    const NAME: &'static str = "pulpcore.app.tasks.datarepair.repair_7272";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(format!("pdrn:{}:datarepair-7272", self.domain))
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let repositories = cx.progress("Repositories checked", "repair.7272.repos_checked").total(0);
        let versions = cx.progress("Repository versions checked", "repair.7272.versions_checked").total(0);
        let fixed = cx.progress("Repository versions fixed", "repair.7272.versions_fixed").total(0);
        let db = cx.pulp().db();
        let mut after = Uuid::nil();
        loop {
            let page = Sql::new(format!(
                "select pulp_id from core_repository where pulp_domain_id = $1 and pulp_id > $2 order by pulp_id limit {BATCH}"
            ));
            let page: Vec<Uuid> = db.column(page.bind(self.domain).bind(after)).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            for repository in page {
                repositories.increase_total(1);
                let all = Sql::new("select * from core_repositoryversion where repository_id = $1 and complete order by number");
                for version in db.all::<RepositoryVersion>(all.bind(repository)).await? {
                    versions.increase_total(1);
                    let right = counted(db, &version).await?;
                    if stored(db, version.pulp_id).await? != right {
                        fixed.increase_total(1);
                        tracing::warn!(version = %version.pulp_id, "the counts of a repository version are wrong");
                        if !self.dry_run {
                            mend(&cx, &version).await?;
                            fixed.increment();
                        }
                    }
                    versions.increment();
                }
                repositories.increment();
            }
        }
        for report in [repositories, versions, fixed] {
            report.finish();
        }
        Ok(().into())
    }
}

async fn stored<E: Executor + ?Sized>(executor: &E, version: Uuid) -> Result<Counts, DbError> {
    let sql = Sql::new(
        "select count_type, content_type, count from core_repositoryversioncontentdetails where repository_version_id = $1 and count > 0",
    );
    let rows: Vec<(String, String, i64)> = executor.all(sql.bind(version)).await?;
    Ok(rows.into_iter().map(|(kind, of, count)| ((kind, of), count)).collect())
}

async fn counted<E: Executor + ?Sized>(executor: &E, version: &RepositoryVersion) -> Result<Counts, DbError> {
    let mut counts = Counts::new();
    let (added, removed) = (Members::AddedBy { version: version.pulp_id }, Members::RemovedBy { version: version.pulp_id });
    for (kind, members) in [("A", added), ("R", removed), ("P", Members::of(version))] {
        let mut sql = Sql::new("select content.pulp_type, count(*) from core_content content where content.pulp_id in ");
        members.push_select(&mut sql);
        sql.push(" group by content.pulp_type");
        let rows: Vec<(String, i64)> = executor.all(sql).await?;
        counts.extend(rows.into_iter().map(|(of, count)| ((kind.to_owned(), of), count)));
    }
    Ok(counts)
}

async fn mend(cx: &TaskContext, version: &RepositoryVersion) -> Result<()> {
    let tx = cx.pulp().db().begin().await?;
    cx.hold(&tx).await?;
    let wrong = Sql::new("delete from core_repositoryversioncontentdetails where repository_version_id = $1");
    tx.execute(wrong.bind(version.pulp_id)).await?;
    // Counted anew, now that nobody else changes them.
    for ((kind, of), count) in counted(&tx, version).await? {
        let insert = Sql::new(
            "insert into core_repositoryversioncontentdetails (repository_version_id, count_type, content_type, count) values ($1, $2, $3, $4)",
        );
        tx.execute(insert.bind(version.pulp_id).bind(kind).bind(of).bind(count)).await?;
    }
    tx.commit().await?;
    Ok(())
}
