//! Making a draft visible.

use super::sweep::discard;
use super::{RepositoryType, VersionDraft, retain_versions};
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::model::{Model, RepositoryVersion};
use crate::webhooks::{Event, emit};
use crate::{Error, Result};
use uuid::Uuid;

impl VersionDraft {
    /// Applies the rules of the repository’s type and makes the version visible, at once; or makes none, if its content equals
    /// that of the version before. Then versions beyond `retain_repo_versions` go.
    ///
    /// # Errors
    /// What the rules say, and trouble with the database; no version is made then, and what the draft has written is removed.
    pub async fn commit(mut self, rules: &dyn RepositoryType) -> Result<Option<RepositoryVersion>> {
        match self.finish(rules).await {
            Ok(version) => Ok(version),
            Err(error) => {
                if let Err(left) = self.discard().await {
                    tracing::warn!(error = %left, "the rows of a refused version stay until the next draft");
                }
                Err(error)
            }
        }
    }

    async fn finish(&mut self, rules: &dyn RepositoryType) -> Result<Option<RepositoryVersion>> {
        self.remove_unseen().await?;
        if self.is_unchanged().await? {
            return self.vanish().await;
        }
        rules.finalize(self).await?;
        if self.is_unchanged().await? {
            return self.vanish().await;
        }
        let tx = self.db.begin().await?;
        if let Some(task) = &self.holder {
            task.hold(&tx).await?;
        }
        count_changes(&tx, self.id, "version_added_id", "A").await?;
        check_types(&tx, self.id, rules.unit_types()).await?;
        count_changes(&tx, self.id, "version_removed_id", "R").await?;
        count_present(&tx, self.id, self.previous).await?;
        let complete = Sql::new("update core_repositoryversion set complete = true, pulp_last_updated = $2 where pulp_id = $1");
        tx.execute(complete.bind(self.id).bind(self.now)).await?;
        let next = Sql::new("update core_repository set next_version = $2, pulp_last_updated = $3 where pulp_id = $1");
        tx.execute(next.bind(self.repository.pulp_id).bind(self.number + 1).bind(self.now)).await?;
        let version = RepositoryVersion::find(&tx, self.id).await?;
        if let Some(task) = &self.holder {
            emit(task.pulp(), &tx, Event::VersionCreated { repository: &self.repository, version: &version }).await?;
        }
        tx.commit().await?;
        if let Some(keep) = self.repository.retain_repo_versions {
            retain_versions(&self.db, self.repository.pulp_id, keep).await?;
        }
        Ok(Some(version))
    }

    async fn is_unchanged(&self) -> Result<bool, DbError> {
        for column in ["version_added_id", "version_removed_id"] {
            let sql = Sql::new(format!("select 1 as one from core_repositorycontent where {column} = $1 limit 1"));
            if self.db.optional::<(i32,)>(sql.bind(self.id)).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn vanish(&self) -> Result<Option<RepositoryVersion>> {
        let tx = self.db.begin().await?;
        discard(&tx, self.id).await?;
        tx.commit().await?;
        Ok(None)
    }
}

/// Notes how many units of each type a version has added or removed.
pub(super) async fn count_changes<E: Executor + ?Sized>(executor: &E, version: Uuid, column: &str, code: &str) -> Result<(), DbError> {
    let sql = Sql::new(format!(
        "insert into core_repositoryversioncontentdetails (repository_version_id, count_type, content_type, count) \
         select $1, $2, content.pulp_type, count(*) from core_repositorycontent rc \
         join core_content content on content.pulp_id = rc.content_id where rc.{column} = $1 group by content.pulp_type"
    ));
    executor.execute(sql.bind(version).bind(code)).await?;
    Ok(())
}

/// Refuses a version to which units of other types were added, worded as Pulp does. Their counts tell.
async fn check_types<E: Executor + ?Sized>(executor: &E, version: Uuid, supported: &[&str]) -> Result<()> {
    let added = "select content_type from core_repositoryversioncontentdetails where repository_version_id = $1 and count_type = 'A'";
    let added: Vec<String> = executor.column(Sql::new(added).bind(version)).await?;
    let others: Vec<String> = added.iter().filter(|added| !supported.contains(&added.as_str())).map(|other| format!("'{other}'")).collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::BadRequest(format!("Saw unsupported content types {{{}}}", others.join(", "))))
}

/// Notes how many units of each type a version has: those of the one before, and what changed.
async fn count_present<E: Executor + ?Sized>(executor: &E, version: Uuid, previous: Uuid) -> Result<(), DbError> {
    let sql = Sql::new(
        "insert into core_repositoryversioncontentdetails (repository_version_id, count_type, content_type, count) \
         select $1, 'P', content_type, cast(sum(case when count_type = 'R' then -count else count end) as bigint) \
         from core_repositoryversioncontentdetails \
         where (repository_version_id = $2 and count_type = 'P') or (repository_version_id = $1 and count_type in ('A', 'R')) \
         group by content_type having sum(case when count_type = 'R' then -count else count end) > 0",
    );
    executor.execute(sql.bind(version).bind(previous)).await?;
    Ok(())
}
