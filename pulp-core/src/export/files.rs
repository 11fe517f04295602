//! Which files are exported, page by page.

use std::collections::HashSet;

use sqlx::FromRow;
use uuid::Uuid;

use crate::db::{Db, DbError, ExecutorExt, Sql};
use crate::model::RepositoryVersion;
use crate::version::Members;

/// Units in one go.
pub(super) const PAGE: i64 = 1_000;

/// A file of a unit: its row in `core_contentartifact`, and where the file is stored, if it is.
#[derive(Debug, Clone, FromRow)]
pub(super) struct UnitFile {
    /// Key.
    pub(super) pulp_id: Uuid,
    /// Where it lies.
    pub(super) relative_path: String,
    /// The path of the stored file in the storage.
    pub(super) file: Option<String>,
}

/// The units that a version has and another has not, in order.
#[derive(Debug)]
pub(super) struct Units {
    members: Members,
    without: Option<Members>,
    after: Option<Uuid>,
}

impl Units {
    /// Of a version, but not of `start`, which may be of another repository.
    pub(super) fn new(version: &RepositoryVersion, start: Option<&RepositoryVersion>) -> Self {
        Self { members: Members::of(version), without: start.map(Members::of), after: None }
    }

    /// Some more keys, which may be none though there are more to come; nothing at the end.
    pub(super) async fn next(&mut self, db: &Db) -> Result<Option<Vec<Uuid>>, DbError> {
        let mut page = self.members.page(db, self.after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = Some(*last);
        if let Some(without) = self.without {
            let mut sql = Sql::new("select rc.content_id from core_repositorycontent rc");
            without.push_where(&mut sql);
            sql.push(" and rc.content_id in ").push_list(&page);
            let there: HashSet<Uuid> = db.column(sql).await?.into_iter().collect();
            page.retain(|unit| !there.contains(unit));
        }
        Ok(Some(page))
    }
}

/// The files of units.
pub(super) async fn of_units(db: &Db, units: &[Uuid]) -> Result<Vec<UnitFile>, DbError> {
    let mut sql = Sql::new(
        "select ca.pulp_id, ca.relative_path, a.file from core_contentartifact ca \
         left join core_artifact a on a.pulp_id = ca.artifact_id where ca.content_id in ",
    );
    sql.push_list(units).push(" order by ca.content_id, ca.relative_path");
    db.all(sql).await
}
