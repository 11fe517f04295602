//! What a repository has, and what a version changed, for programs that tell somebody.

use std::sync::Arc;

use super::library::Repo;
use crate::prelude::*;

/// What a version changed, in files. One that has other content under the same path counts once, as replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Paths that the version before did not have.
    pub added: i64,
    /// Paths that only the version before had.
    pub removed: i64,
    /// Paths with other content.
    pub replaced: i64,
    /// Paths with the same content.
    pub unchanged: i64,
}

impl Repo {
    /// Counts what syncs of this repository do in this process, for as long as it is held.
    pub fn meter(&self) -> Arc<Meter> {
        self.pulp.meter(self.repository.pulp_id)
    }

    /// What a version of this repository changed.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn changes(&self, version: &RepositoryVersion) -> Result<Changes> {
        let db = self.pulp.db();
        let came = Members::AddedBy { version: version.pulp_id }.count(db).await?;
        let went = Members::RemovedBy { version: version.pulp_id }.count(db).await?;
        let replaced: i64 = if came == 0 || went == 0 {
            0
        } else {
            let both = Sql::new(
                "select count(*) from core_repositorycontent came join file_filecontent unit on unit.content_ptr_id = came.content_id \
                 where came.version_added_id = $1 and unit.relative_path in (\
                    select other.relative_path from core_repositorycontent went \
                    join file_filecontent other on other.content_ptr_id = went.content_id where went.version_removed_id = $1)",
            );
            db.scalar(both.bind(version.pulp_id)).await?
        };
        let all = Members::of(version).count(db).await?;
        Ok(Changes { added: came - replaced, removed: went - replaced, replaced, unchanged: all - came })
    }

    /// The newest publication of the latest version, if that was published.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn publication(&self) -> Result<Option<Publication>> {
        let newest = Sql::new(
            "select * from core_publication where repository_version_id = $1 and complete order by pulp_created desc, pulp_id desc limit 1",
        );
        Ok(self.pulp.db().optional(newest.bind(self.latest().await?.pulp_id)).await?)
    }

    /// Up to `limit` paths of the latest version.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn some_paths(&self, limit: i64) -> Result<Vec<String>> {
        let mut sql = Sql::new(
            "select unit.relative_path from core_repositorycontent rc join file_filecontent unit on unit.content_ptr_id = rc.content_id",
        );
        Members::of(&self.latest().await?).push_where(&mut sql);
        sql.push(" order by rc.content_id limit ").push_bind(limit);
        Ok(self.pulp.db().column(sql).await?)
    }
}
