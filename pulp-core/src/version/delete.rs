//! Deleting a version: what it said about the units passes to the one after it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::commit::count_changes;
use super::protected_versions;
use super::sweep::sweep_incomplete;
use crate::content::Change;
use crate::db::{Db, Executor, ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Model, RepositoryVersion};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// Deletes a version. Every other version of the repository keeps its content; what the deleted one added or removed counts
/// as added or removed by the one after it. Its publications go with it.
///
/// Costs what the version and the one after it have changed. Only for who holds the repository exclusively.
///
/// # Errors
/// [`Error::Coded`] with `PLP0011` if it is the only one: a repository has a version at all times.
pub async fn delete_version(db: &Db, version: &RepositoryVersion) -> Result<()> {
    let tx = db.begin().await?;
    sweep_incomplete(&tx, version.repository_id).await?;
    let others = Sql::new("select 1 as one from core_repositoryversion where repository_id = $1 and pulp_id <> $2 and complete limit 1");
    if tx.optional::<(i32,)>(others.bind(version.repository_id).bind(version.pulp_id)).await?.is_none() {
        return Err(Error::Coded {
            code: "PLP0011",
            message: "Cannot delete repository version. Repositories must have at least one repository version.".to_owned(),
        });
    }
    let next = Sql::new(
        "select pulp_id from core_repositoryversion where repository_id = $1 and number > $2 and complete order by number limit 1",
    );
    match tx.column::<Uuid>(next.bind(version.repository_id).bind(version.number)).await?.first() {
        Some(next) => pass_on(&tx, version.pulp_id, *next).await?,
        None => take_back(&tx, version.pulp_id).await?,
    }
    for text in [
        "update core_repositoryversion set base_version_id = null where base_version_id = $1",
        "delete from core_repositoryversion where pulp_id = $1",
    ] {
        tx.execute(Sql::new(text).bind(version.pulp_id)).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Refuses to delete what somebody is served from.
///
/// # Errors
/// [`Error::Refused`] if [the version is in use](protected_versions).
pub(crate) async fn refuse_in_use(db: &Db, version: &RepositoryVersion) -> Result<()> {
    if protected_versions(db, version.repository_id).await?.contains(&version.pulp_id) {
        return Err(Error::Refused(json!([
            "The repository version cannot be deleted because it (or its publications) are currently being used to distribute content. \
             Please update the necessary distributions first."
        ])));
    }
    Ok(())
}

/// The last version goes: the one before it is the repository’s content again.
async fn take_back<E: Executor + ?Sized>(executor: &E, version: Uuid) -> Result<()> {
    for text in [
        "delete from core_repositorycontent where version_added_id = $1",
        "update core_repositorycontent set version_removed_id = null where version_removed_id = $1",
    ] {
        executor.execute(Sql::new(text).bind(version)).await?;
    }
    Ok(())
}

/// A version in the midst goes.
async fn pass_on<E: Executor + ?Sized>(executor: &E, version: Uuid, next: Uuid) -> Result<()> {
    for text in [
        // Stays that were as short as the version.
        "delete from core_repositorycontent where version_added_id = $1 and version_removed_id = $2",
        "update core_repositorycontent set version_added_id = $2 where version_added_id = $1",
        "update core_repositorycontent set version_removed_id = $2 where version_removed_id = $1",
    ] {
        executor.execute(Sql::new(text).bind(version).bind(next)).await?;
    }
    // Units that this version removed and the next one added again never left: two stays become one…
    let later = "from core_repositorycontent later where later.repository_id = core_repositorycontent.repository_id \
                 and later.content_id = core_repositorycontent.content_id and later.version_added_id = $1";
    let prolong = format!(
        "update core_repositorycontent set version_removed_id = (select later.version_removed_id {later}) \
         where version_removed_id = $1 and exists (select 1 {later})"
    );
    executor.execute(Sql::new(prolong).bind(next)).await?;
    // …which ends when the second ended: no two stays of a unit do so otherwise.
    let absorb = Sql::new(
        "delete from core_repositorycontent where version_added_id = $1 and exists (\
            select 1 from core_repositorycontent earlier \
            where earlier.repository_id = core_repositorycontent.repository_id and earlier.content_id = core_repositorycontent.content_id \
            and earlier.version_added_id <> $1 \
            and (earlier.version_removed_id = core_repositorycontent.version_removed_id \
                 or (earlier.version_removed_id is null and core_repositorycontent.version_removed_id is null)))",
    );
    executor.execute(absorb.bind(next)).await?;
    let forget = Sql::new("delete from core_repositoryversioncontentdetails where repository_version_id = $1 and count_type in ('A', 'R')");
    executor.execute(forget.bind(next)).await?;
    count_changes(executor, next, "version_added_id", "A").await?;
    count_changes(executor, next, "version_removed_id", "R").await?;
    Ok(())
}

/// Deletes a version of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteVersion {
    /// The repository.
    pub repository: Prn,
    /// The version.
    pub version: Uuid,
}

#[async_trait]
impl Task for DeleteVersion {
    const NAME: &'static str = "pulpcore.app.tasks.repository.delete_version";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.repository)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        match RepositoryVersion::find(cx.pulp().db(), self.version).await {
            Ok(version) => {
                refuse_in_use(cx.pulp().db(), &version).await?;
                delete_version(cx.pulp().db(), &version).await?;
            }
            // One that is gone already has been deleted as wished.
            Err(Error::NotFound { .. }) => {}
            Err(other) => return Err(other),
        }
        Change::Repository(self.repository.id).announce(cx.pulp()).await;
        Ok(().into())
    }
}
