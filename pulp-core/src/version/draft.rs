//! The version in the making.

use std::collections::HashSet;

use uuid::Uuid;

use super::sweep::{discard, sweep_incomplete};
use super::{Members, UnitRule};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{Db, DbError, Executor, ExecutorExt, Insert, Sql};
use crate::ids::new_id;
use crate::model::save::SavedUnit;
use crate::model::{Model, Repository, RepositoryVersion};
use crate::tasks::TaskContext;

/// Keys in one `in (…)` list.
pub(super) const KEYS: usize = 2_000;

/// The next version of a repository, not yet visible to anybody.
///
/// Whoever makes one holds the repository exclusively (a task’s resources see to that).
///
/// ```
/// # use pulp_core::{Pulp, Result, model::{Repository, RepositoryVersion}, version::{RepositoryType, VersionDraft}};
/// # async fn add(pulp: &Pulp, repository: &Repository, kind: &dyn RepositoryType, unit: uuid::Uuid)
/// #     -> Result<Option<RepositoryVersion>> {
/// let mut draft = VersionDraft::begin(pulp.db(), repository.pulp_id, None, pulp.now()).await?;
/// draft.add(&[unit]).await?;
/// draft.commit(kind).await
/// # }
/// ```
#[derive(Debug)]
pub struct VersionDraft {
    pub(super) db: Db,
    pub(super) repository: Repository,
    pub(super) id: Uuid,
    pub(super) number: i64,
    pub(super) previous: Uuid,
    pub(super) now: Timestamp,
    /// Whether a unit can be there already: false spares a first sync the question.
    inhabited: bool,
    /// Whether a unit can have been removed by this draft: false spares the question.
    removed: bool,
    /// In a mirror, the units of the version before that are to stay.
    kept: Option<HashSet<Uuid>>,
    /// The task that makes it: must still be in charge when the version appears.
    pub(super) holder: Option<TaskContext>,
}

impl VersionDraft {
    /// Starts from the latest version of a repository, or from `base`, another version of any repository.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if the repository is gone.
    pub async fn begin(db: &Db, repository: Uuid, base: Option<&RepositoryVersion>, now: Timestamp) -> Result<Self> {
        let tx = db.begin().await?;
        sweep_incomplete(&tx, repository).await?;
        let repository = Repository::find(&tx, repository).await?;
        let previous = RepositoryVersion::latest(&tx, repository.pulp_id).await?;
        let number = repository.next_version.max(previous.number + 1);
        let id = new_id();
        let insert = Sql::new(
            "insert into core_repositoryversion (pulp_id, pulp_created, pulp_last_updated, repository_id, number, complete, base_version_id) \
             values ($1, $2, $2, $3, $4, false, $5)",
        );
        let insert = insert.bind(id).bind(now).bind(repository.pulp_id).bind(number).bind(base.map(|base| base.pulp_id));
        tx.execute(insert).await?;
        let inhabited =
            Sql::new("select 1 as one from core_repositorycontent where repository_id = $1 and version_removed_id is null limit 1");
        let inhabited = tx.optional::<(i32,)>(inhabited.bind(repository.pulp_id)).await?.is_some();
        tx.commit().await?;
        let mut draft = Self {
            db: db.clone(),
            repository,
            id,
            number,
            previous: previous.pulp_id,
            now,
            inhabited,
            removed: false,
            kept: None,
            holder: None,
        };
        if let Some(base) = base.filter(|base| base.pulp_id != previous.pulp_id) {
            draft.start_from(base).await?;
        }
        Ok(draft)
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The key that the version will have.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The number that the version will have.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The database, for rules of the content type.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The units that are in the draft now.
    pub fn members(&self) -> Members {
        Members::Of { repository: self.repository.pulp_id, number: self.number }
    }

    /// Names the task that makes the draft. If the task is no longer in charge when the draft is committed, no version is made.
    pub fn held_by(&mut self, task: &TaskContext) {
        self.holder = Some(task.clone());
    }

    /// Turns the draft into a mirror: at its commit, what was there before and was not [added](Self::add) (again) is removed.
    ///
    /// Holds sixteen bytes of memory for each unit that is both in the version before and added again.
    pub fn mirror(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// The repository, if it has units.
    pub(crate) fn inhabited(&self) -> Option<Uuid> {
        self.inhabited.then_some(self.repository.pulp_id)
    }

    /// Whether what is not added again is removed.
    pub(crate) fn is_mirror(&self) -> bool {
        self.kept.is_some()
    }

    /// As [`VersionDraft::add`], of units that are known to be there.
    pub(crate) fn keep(&mut self, units: HashSet<Uuid>) {
        match &mut self.kept {
            // Of a million units a copy would count.
            Some(kept) if kept.is_empty() => *kept = units,
            Some(kept) => kept.extend(units),
            None => {}
        }
    }

    /// Adds units; those that are there already stay. The number of units that are new.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn add(&mut self, units: &[Uuid]) -> Result<u64> {
        let db = self.db.clone();
        self.add_in(&db, units).await
    }

    /// As [`VersionDraft::add`], as part of a transaction.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn add_in<E: Executor + ?Sized>(&mut self, executor: &E, units: &[Uuid]) -> Result<u64> {
        let mut seen = HashSet::with_capacity(units.len());
        let units: Vec<Uuid> = units.iter().copied().filter(|unit| seen.insert(*unit)).collect();
        let mut new = 0;
        for some in units.chunks(KEYS) {
            new += self.add_some(executor, some).await?;
        }
        Ok(new)
    }

    /// The same of units that were just saved: what is new is in no version yet.
    pub(crate) async fn add_saved<E: Executor + ?Sized>(&mut self, executor: &E, units: &[SavedUnit]) -> Result<u64> {
        let mut seen = HashSet::with_capacity(units.len());
        let (new, known): (Vec<SavedUnit>, Vec<SavedUnit>) = units.iter().filter(|unit| seen.insert(unit.id)).partition(|unit| unit.new);
        let ids = |units: Vec<SavedUnit>| units.into_iter().map(|unit| unit.id).collect::<Vec<_>>();
        let mut added = new.len() as u64;
        self.put(executor, &ids(new), true).await?;
        for some in ids(known).chunks(KEYS) {
            added += self.add_some(executor, some).await?;
        }
        Ok(added)
    }

    async fn add_some<E: Executor + ?Sized>(&mut self, executor: &E, units: &[Uuid]) -> Result<u64> {
        let repository = self.repository.pulp_id;
        let mut back = 0;
        if self.removed {
            let mut sql = Sql::new("update core_repositorycontent set version_removed_id = null where repository_id = ");
            sql.push_bind(repository).push(" and version_removed_id = ").push_bind(self.id).push(" and content_id in ").push_list(units);
            back = executor.execute(sql).await?;
        }
        let mut missing = units.to_vec();
        if self.inhabited {
            let mut sql = Sql::new("select content_id from core_repositorycontent where repository_id = ");
            sql.push_bind(repository).push(" and version_removed_id is null and content_id in ").push_list(units);
            let present: HashSet<Uuid> = executor.column(sql).await?.into_iter().collect();
            missing.retain(|unit| !present.contains(unit));
            if let Some(kept) = &mut self.kept {
                kept.extend(present);
            }
        }
        self.put(executor, &missing, false).await?;
        Ok(missing.len() as u64 + back)
    }

    /// Adds units that are not there. If they are in no version at all, the database need not look for them.
    async fn put<E: Executor + ?Sized>(&mut self, executor: &E, units: &[Uuid], new: bool) -> Result<(), DbError> {
        let (now, repository, version) = (self.now, self.repository.pulp_id, self.id);
        let insert = Insert::into("core_repositorycontent (pulp_id, pulp_created, content_id, repository_id, version_added_id)")
            .then(if new { "" } else { "on conflict (repository_id, content_id, version_added_id) do nothing" })
            .rows(units.iter().map(|unit| [new_id().into(), now.into(), unit.into(), repository.into(), version.into()]));
        executor.insert(insert).await?;
        // From now on the same unit can be added twice.
        self.inhabited |= !units.is_empty();
        Ok(())
    }

    /// Removes units; those that are not there are passed over. The number of units that were there.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn remove(&mut self, units: &[Uuid]) -> Result<u64> {
        let mut gone = 0;
        for some in units.chunks(KEYS) {
            gone += self
                .remove_where(|sql| {
                    sql.push(" and content_id in ").push_list(some);
                })
                .await?;
        }
        Ok(gone)
    }

    /// Removes all units. The number of units that were there.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn remove_all(&mut self) -> Result<u64> {
        self.remove_where(|_| {}).await
    }

    /// Removes the units that a condition over `core_repositorycontent` picks.
    async fn remove_where(&mut self, condition: impl Fn(&mut Sql) + Send) -> Result<u64> {
        // What this draft has added leaves no trace.
        let mut sql = Sql::new("delete from core_repositorycontent where version_added_id = ");
        sql.push_bind(self.id);
        condition(&mut sql);
        let undone = self.db.execute(sql).await?;
        let mut sql = Sql::new("update core_repositorycontent set version_removed_id = ");
        sql.push_bind(self.id).push(" where repository_id = ").push_bind(self.repository.pulp_id).push(" and version_removed_id is null");
        condition(&mut sql);
        let removed = self.db.execute(sql).await?;
        self.removed |= removed > 0;
        Ok(undone + removed)
    }

    /// Removes what the version before has and nobody [added](Self::add) again, if this is a [mirror](Self::mirror). The number of units.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn remove_unseen(&mut self) -> Result<u64> {
        let Some(kept) = self.kept.take() else {
            return Ok(0);
        };
        let mut removed = 0;
        let mut after: Option<Uuid> = None;
        loop {
            let mut sql = Sql::new("select content_id from core_repositorycontent where repository_id = ");
            sql.push_bind(self.repository.pulp_id).push(" and version_removed_id is null and version_added_id <> ").push_bind(self.id);
            if let Some(after) = after {
                sql.push(" and content_id > ").push_bind(after);
            }
            sql.push(" order by content_id limit ").push_bind(KEYS as i64);
            let page: Vec<Uuid> = self.db.column(sql).await?;
            let Some(last) = page.last() else {
                return Ok(removed);
            };
            after = Some(*last);
            let unseen: Vec<Uuid> = page.iter().copied().filter(|unit| !kept.contains(unit)).collect();
            if !unseen.is_empty() {
                removed += self.remove(&unseen).await?;
            }
        }
    }

    /// Of units that agree in some columns of their type’s table, keeps those that this draft has added and removes the older
    /// ones: “a newer file at the same path replaces the older”. The number of units that were replaced.
    ///
    /// # Errors
    /// [`Error::Coded`](crate::Error::Coded) with `PLP0022` if several of the added units agree: none of them is the newest.
    pub async fn keep_newest(&mut self, rule: &UnitRule) -> Result<u64> {
        let UnitRule { table, columns, .. } = rule;
        let same = |a: &str, b: &str| {
            let pairs: Vec<String> = columns.iter().map(|column| format!("{a}.{column} = {b}.{column}")).collect();
            pairs.join(" and ")
        };
        let added = self.id;
        self.refuse_doubles(rule, |sql| {
            sql.push("rc.version_added_id = ").push_bind(added);
        })
        .await?;
        if !self.inhabited {
            return Ok(0);
        }
        let older = format!(
            "select older.content_ptr_id from core_repositorycontent rc \
             join {table} newer on newer.content_ptr_id = rc.content_id \
             join {table} older on {} and older.content_ptr_id <> newer.content_ptr_id where rc.version_added_id = ",
            same("older", "newer")
        );
        let id = self.id;
        let mut sql = Sql::new("update core_repositorycontent set version_removed_id = ");
        sql.push_bind(id).push(" where repository_id = ").push_bind(self.repository.pulp_id);
        sql.push(" and version_removed_id is null and version_added_id <> ").push_bind(id);
        sql.push(" and content_id in (").push(older).push_bind(id).push(")");
        let replaced = self.db.execute(sql).await?;
        self.removed |= replaced > 0;
        Ok(replaced)
    }

    /// Refuses to go on if several units of the draft agree in the columns of a rule, whichever of them came first.
    ///
    /// # Errors
    /// [`Error::Coded`](crate::Error::Coded) with `PLP0022`.
    pub async fn check_single(&self, rule: &UnitRule) -> Result<()> {
        let repository = self.repository.pulp_id;
        self.refuse_doubles(rule, |sql| {
            sql.push("rc.version_removed_id is null and rc.repository_id = ").push_bind(repository);
        })
        .await
    }

    /// `condition`, over `rc`, says which units of the draft are looked at.
    async fn refuse_doubles(&self, rule: &UnitRule, condition: impl Fn(&mut Sql) + Send) -> Result<()> {
        let UnitRule { table, columns, .. } = rule;
        let list = columns.iter().map(|column| format!("unit.{column}")).collect::<Vec<_>>().join(", ");
        let shown = columns.iter().map(|column| format!("cast(unit.{column} as text)")).collect::<Vec<_>>().join(" || ', ' || ");
        let mut sql = Sql::new(format!(
            "select count(*), min(example) from (select min({shown}) as example from core_repositorycontent rc \
             join {table} unit on unit.content_ptr_id = rc.content_id where "
        ));
        condition(&mut sql);
        sql.push(format!(" group by {list} having count(*) > 1) as doubled"));
        let (doubled, example): (i64, Option<String>) = self.db.one(sql).await?;
        if doubled == 0 {
            return Ok(());
        }
        let (named, example) = (columns.join(", "), example.unwrap_or_default());
        Err(crate::Error::Coded {
            code: "PLP0022",
            message: format!(
                "Found {doubled} duplicate contents in repository version: several of the added units have the same {named} ({example}); add only one of them."
            ),
        })
    }

    /// Of units that agree in some columns of their type’s table, keeps as many of those that were made last, and removes the others,
    /// whichever versions they come from. The number of units that were removed.
    ///
    /// Holds sixteen bytes of memory for each of them.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn keep_newest_of(&mut self, rule: &UnitRule, count: u32) -> Result<u64> {
        let UnitRule { table, columns, .. } = rule;
        let group = columns.iter().map(|column| format!("unit.{column}")).collect::<Vec<_>>().join(", ");
        // Keys are made in the order of time.
        let mut sql = Sql::new(format!(
            "select ranked.id from (select unit.content_ptr_id as id, \
             row_number() over (partition by {group} order by unit.content_ptr_id desc) as rank from core_repositorycontent rc \
             join {table} unit on unit.content_ptr_id = rc.content_id where rc.version_removed_id is null and rc.repository_id = ",
        ));
        sql.push_bind(self.repository.pulp_id).push(") ranked where ranked.rank > ").push_bind(i64::from(count));
        let older: Vec<Uuid> = self.db.column(sql).await?;
        self.remove(&older).await
    }

    /// Gives the draft up: nothing of it stays. Dropping it does too, but the rows stay until the next draft of this repository.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn discard(self) -> Result<(), DbError> {
        let tx = self.db.begin().await?;
        discard(&tx, self.id).await?;
        tx.commit().await
    }

    /// Makes the content that of another version.
    async fn start_from(&mut self, base: &RepositoryVersion) -> Result<()> {
        let base = Members::of(base);
        let mut sql = Sql::new("update core_repositorycontent set version_removed_id = ");
        sql.push_bind(self.id).push(" where repository_id = ").push_bind(self.repository.pulp_id);
        sql.push(" and version_removed_id is null and not ");
        base.push_holds(&mut sql, "core_repositorycontent.content_id");
        self.removed |= self.db.execute(sql).await? > 0;
        let mut after = None;
        loop {
            let page = base.page(&self.db, after, KEYS as i64).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            let db = self.db.clone();
            self.add_some(&db, &page).await?;
        }
    }
}
