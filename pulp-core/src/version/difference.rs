//! What differs between two versions, counted and page by page.

use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;
use uuid::Uuid;

use super::{ContentCount, Members};
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::model::RepositoryVersion;

/// Two versions, of one repository or of two, and what the second has and the first has not, or the other way round.
///
/// Of one repository it costs what has changed on the way from one to the other, however much they have in common; of two, what
/// they have.
///
/// ```
/// # use pulp_core::{Pulp, Result, model::RepositoryVersion, version::Difference};
/// # async fn show(pulp: &Pulp, yesterday: &RepositoryVersion, today: &RepositoryVersion) -> Result<()> {
/// let difference = Difference::between(yesterday, today);
/// for changed in difference.page(pulp.db(), None, 100).await? {
///     println!("{:?} {}", changed.change, changed.files[0].relative_path);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    added: Members,
    removed: Option<Members>,
}

/// What has become of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitChange {
    /// The first version has it, the second has not.
    Removed,
    /// The second version has it, the first has not.
    Added,
}

/// A unit that one of the versions has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedUnit {
    /// What has become of it.
    pub change: UnitChange,
    /// Its key.
    pub content: Uuid,
    /// Its type: `file.file`.
    pub pulp_type: String,
    /// Its files, by path.
    pub files: Vec<ChangedFile>,
}

/// A file of such a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedFile {
    /// Its path below the root of the repository.
    pub relative_path: String,
    /// Its digest, if it is stored or a source announces it.
    pub sha256: Option<String>,
}

impl Difference {
    /// From the first version to the second.
    pub fn between(first: &RepositoryVersion, second: &RepositoryVersion) -> Self {
        Self { added: Members::difference(second, first), removed: Some(Members::difference(first, second)) }
    }

    /// From nothing to a version: all of its units are added.
    pub fn from_nothing(version: &RepositoryVersion) -> Self {
        Self { added: Members::of(version), removed: None }
    }

    /// The units that are added, or removed.
    pub fn units(&self, change: UnitChange) -> Option<Members> {
        match change {
            UnitChange::Added => Some(self.added),
            UnitChange::Removed => self.removed,
        }
    }

    /// How many units of each type are added, or removed.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn count<E: Executor + ?Sized>(&self, executor: &E, change: UnitChange) -> Result<Vec<ContentCount>, DbError> {
        let Some(units) = self.units(change) else { return Ok(Vec::new()) };
        let mut sql = Sql::new(
            "select c.pulp_type as content_type, count(*) as count from core_content c \
             join core_repositorycontent rc on rc.content_id = c.pulp_id",
        );
        units.push_where(&mut sql);
        sql.push(" group by c.pulp_type order by c.pulp_type");
        executor.all(sql).await
    }

    /// Up to `limit` units, those that are removed first, each kind in the order of keys, that come after the given one.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn page<E: Executor + ?Sized>(
        &self,
        executor: &E,
        after: Option<(UnitChange, Uuid)>,
        limit: usize,
    ) -> Result<Vec<ChangedUnit>, DbError> {
        let mut changes: Vec<(UnitChange, Uuid)> = Vec::new();
        for change in [UnitChange::Removed, UnitChange::Added] {
            let after = match after {
                Some((done, _)) if done > change => continue,
                Some((last, unit)) if last == change => Some(unit),
                _ => None,
            };
            let left = i64::try_from(limit - changes.len()).unwrap_or(i64::MAX);
            if let Some(units) = self.units(change).filter(|_| left > 0) {
                changes.extend(units.page(executor, after, left).await?.into_iter().map(|unit| (change, unit)));
            }
        }
        described(executor, &changes).await
    }
}

#[derive(FromRow)]
struct File {
    content_id: Uuid,
    relative_path: String,
    sha256: Option<String>,
}

/// Tells of units what people know them by.
async fn described<E: Executor + ?Sized>(executor: &E, changes: &[(UnitChange, Uuid)]) -> Result<Vec<ChangedUnit>, DbError> {
    let mut types: HashMap<Uuid, String> = HashMap::with_capacity(changes.len());
    let mut files: HashMap<Uuid, BTreeMap<String, Option<String>>> = HashMap::with_capacity(changes.len());
    for some in changes.chunks(super::draft::KEYS) {
        let keys = || some.iter().map(|(_, unit)| *unit);
        let mut sql = Sql::new("select pulp_id, pulp_type from core_content where pulp_id in ");
        sql.push_list(keys());
        types.extend(executor.all::<(Uuid, String)>(sql).await?);
        let mut sql = Sql::new(
            "select file.content_id, file.relative_path, coalesce(stored.sha256, \
             (select min(source.sha256) from core_remoteartifact source where source.content_artifact_id = file.pulp_id)) as sha256 \
             from core_contentartifact file left join core_artifact stored on stored.pulp_id = file.artifact_id where file.content_id in ",
        );
        sql.push_list(keys());
        for file in executor.all::<File>(sql).await? {
            files.entry(file.content_id).or_default().insert(file.relative_path, file.sha256);
        }
    }
    let unit = |&(change, content): &(UnitChange, Uuid)| ChangedUnit {
        change,
        content,
        pulp_type: types.get(&content).cloned().unwrap_or_default(),
        files: files
            .remove(&content)
            .unwrap_or_default()
            .into_iter()
            .map(|(relative_path, sha256)| ChangedFile { relative_path, sha256 })
            .collect(),
    };
    Ok(changes.iter().map(unit).collect())
}
