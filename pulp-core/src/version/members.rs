//! What is in a version, and what lies between two.

use std::collections::BTreeMap;

use sqlx::FromRow;
use uuid::Uuid;

use crate::db::{DbError, Dialect, Executor, ExecutorExt, Sql};
use crate::model::RepositoryVersion;

/// A set of content units, told by versions. It becomes SQL where it is used: nothing is fetched to build it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// The units in the version with this number of this repository.
    Of {
        /// The repository.
        repository: Uuid,
        /// The version’s number.
        number: i64,
    },
    /// The units in the version of this repository that none follows, not even one that is in the making.
    Last {
        /// The repository.
        repository: Uuid,
    },
    /// The units that the version has and the one before it has not.
    AddedBy {
        /// The version.
        version: Uuid,
    },
    /// The units that the version before it has and it has not.
    RemovedBy {
        /// The version.
        version: Uuid,
    },
    /// The units that `to` has and `from` has not. With `from` and `to` swapped: what was removed.
    Between {
        /// The repository of both.
        repository: Uuid,
        /// The number to start from.
        from: i64,
        /// The number to arrive at.
        to: i64,
    },
    /// The units that a version has and a version of another repository has not.
    Except {
        /// Repository and number of the version that has them.
        has: (Uuid, i64),
        /// Repository and number of the version that has them not.
        lacks: (Uuid, i64),
    },
}

impl Members {
    /// The units in a version.
    pub fn of(version: &RepositoryVersion) -> Self {
        Self::Of { repository: version.repository_id, number: version.number }
    }

    /// The same, for whoever holds the repository, shared at least, so that no version is begun meanwhile. Where none follows, what is there now
    /// is what the version has: PostgreSQL need not guess how much of it numbers leave.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn held<E: Executor + ?Sized>(executor: &E, version: &RepositoryVersion) -> Result<Self, DbError> {
        let later = Sql::new("select 1 as one from core_repositoryversion where repository_id = $1 and number > $2 limit 1");
        let later = executor.optional::<(i32,)>(later.bind(version.repository_id).bind(version.number)).await?;
        Ok(if later.is_some() { Self::of(version) } else { Self::Last { repository: version.repository_id } })
    }

    /// The units that one version has and another has not, be they of one repository or of two.
    pub fn difference(has: &RepositoryVersion, lacks: &RepositoryVersion) -> Self {
        if has.repository_id != lacks.repository_id {
            return Self::Except { has: (has.repository_id, has.number), lacks: (lacks.repository_id, lacks.number) };
        }
        // Of neighbours, the later one names the rows. PostgreSQL then sees which version is meant: where it does not, and most units were added by one
        // version, it takes any other for as large, and reads the whole table.
        if has.number == lacks.number + 1 {
            Self::AddedBy { version: has.pulp_id }
        } else if has.number + 1 == lacks.number {
            Self::RemovedBy { version: lacks.pulp_id }
        } else {
            Self::Between { repository: has.repository_id, from: lacks.number, to: has.number }
        }
    }

    /// Appends a query in parentheses that gives their keys: `… content_id in (select …)`.
    pub fn push_select(self, sql: &mut Sql) {
        sql.push("(select rc.content_id from core_repositorycontent rc");
        self.push_where(sql);
        sql.push(")");
    }

    /// Appends a condition: whether the unit whose key is in `column` is one of them. `column` is SQL, never input.
    pub fn push_holds(self, sql: &mut Sql, column: &str) {
        sql.push("exists (select 1 from core_repositorycontent rc");
        self.push_where(sql);
        sql.push(" and rc.content_id = ").push(column).push(")");
    }

    /// Appends the condition to a query over `core_repositorycontent rc`; further conditions begin with `and`.
    pub fn push_where(self, sql: &mut Sql) {
        self.push_led(sql, |column| (format!("{column} = "), ""));
    }

    /// The column by which an index has them in the order of their keys, where one has.
    fn leader(self) -> Option<&'static str> {
        match self {
            Self::Of { .. } | Self::Last { .. } | Self::Except { .. } => Some("rc.repository_id"),
            Self::AddedBy { .. } => Some("rc.version_added_id"),
            Self::RemovedBy { .. } => Some("rc.version_removed_id"),
            Self::Between { .. } => None,
        }
    }

    /// The condition; `is` gives what stands before and after the value that a column has.
    fn push_led(self, sql: &mut Sql, is: impl Fn(&str) -> (String, &'static str)) {
        let mut lead = |key: Uuid| {
            let (before, after) = is(self.leader().unwrap_or_default());
            sql.push(" where ").push(before).push_bind(key).push(after);
        };
        match self {
            Self::AddedBy { version } | Self::RemovedBy { version } => lead(version),
            Self::Of { repository, number } => {
                lead(repository);
                push_held(sql, repository, number);
            }
            Self::Last { repository } => {
                lead(repository);
                sql.push(" and rc.version_removed_id is null");
            }
            Self::Between { repository, from, to } => {
                // A stay that covers `to` and neither begins nor ends on the way covers `from` as well: only the deltas count, so
                // the versions in between lead to the rows.
                if to >= from {
                    sql.push(" where rc.version_added_id in ");
                    push_versions(sql, repository, |sql| {
                        sql.push("number > ").push_bind(from).push(" and number <= ").push_bind(to);
                    });
                    sql.push(" and (rc.version_removed_id is null or rc.version_removed_id in ");
                    push_versions(sql, repository, |sql| {
                        sql.push("number > ").push_bind(to);
                    });
                    sql.push(")");
                } else {
                    sql.push(" where rc.version_removed_id in ");
                    push_versions(sql, repository, |sql| {
                        sql.push("number > ").push_bind(to).push(" and number <= ").push_bind(from);
                    });
                    sql.push(" and rc.version_added_id in ");
                    push_versions(sql, repository, |sql| {
                        sql.push("number <= ").push_bind(to);
                    });
                }
                // A unit that left and came back on the way was there all the same.
                sql.push(" and not ");
                push_has(sql, repository, from);
            }
            Self::Except { has: (repository, number), lacks } => {
                lead(repository);
                push_held(sql, repository, number);
                sql.push(" and not ");
                push_has(sql, lacks.0, lacks.1);
            }
        }
    }

    /// Whether a unit is among them.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn contains<E: Executor + ?Sized>(self, executor: &E, content: Uuid) -> Result<bool, DbError> {
        let mut sql = Sql::new("select 1 as one from core_repositorycontent rc");
        self.push_where(&mut sql);
        sql.push(" and rc.content_id = ").push_bind(content).push(" limit 1");
        Ok(executor.optional::<(i32,)>(sql).await?.is_some())
    }

    /// How many they are.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn count<E: Executor + ?Sized>(self, executor: &E) -> Result<i64, DbError> {
        let mut sql = Sql::new("select count(*) from core_repositorycontent rc");
        self.push_where(&mut sql);
        executor.scalar(sql).await
    }

    /// Up to `limit` of their keys in order, after the given one: the way to walk through all of them in bounded memory.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn page<E: Executor + ?Sized>(self, executor: &E, after: Option<Uuid>, limit: i64) -> Result<Vec<Uuid>, DbError> {
        let mut sql = Sql::default();
        self.push_page(&mut sql, executor.dialect(), after, limit);
        executor.column(sql).await
    }

    /// The last key of such a page; none if nothing follows.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn end_of_page<E: Executor + ?Sized>(self, executor: &E, after: Option<Uuid>, limit: i64) -> Result<Option<Uuid>, DbError> {
        let mut sql = Sql::new("select content_id from (");
        self.push_page(&mut sql, executor.dialect(), after, limit);
        sql.push(") page order by content_id desc limit 1");
        Ok(executor.optional::<(Uuid,)>(sql).await?.map(|(last,)| last))
    }

    fn push_page(self, sql: &mut Sql, dialect: Dialect, after: Option<Uuid>, limit: i64) {
        sql.push("select rc.content_id from core_repositorycontent rc");
        self.push_led(sql, |column| dialect.leads(column));
        if let Some(after) = after {
            sql.push(" and rc.content_id > ").push_bind(after);
        }
        sql.push(" order by ");
        if let Some(leader) = self.leader() {
            sql.push(leader).push(", ");
        }
        sql.push(format!("rc.content_id limit {limit}"));
    }
}

/// That the version of this number has the unit of a row `rc` of the repository. Both parts ask for the versions that come later: of the last one there
/// are none. Those that come earlier PostgreSQL would join, and as it knows next to nothing of a small table of versions, it would take what comes of it
/// for so little that it sorts all of it for a page.
fn push_held(sql: &mut Sql, repository: Uuid, number: i64) {
    let later = |sql: &mut Sql| {
        push_versions(sql, repository, |sql| {
            sql.push("number > ").push_bind(number);
        });
    };
    sql.push(" and rc.version_added_id not in ");
    later(sql);
    sql.push(" and (rc.version_removed_id is null or rc.version_removed_id in ");
    later(sql);
    sql.push(")");
}

/// The keys of versions of a repository that meet a condition, in parentheses.
fn push_versions(sql: &mut Sql, repository: Uuid, condition: impl FnOnce(&mut Sql)) {
    sql.push("(select pulp_id from core_repositoryversion where repository_id = ").push_bind(repository).push(" and ");
    condition(sql);
    sql.push(")");
}

/// Whether the unit of the row `rc` is in a version, too, by an index that begins with repository and unit.
pub(super) fn push_has(sql: &mut Sql, repository: Uuid, number: i64) {
    sql.push(
        "exists (select 1 from core_repositorycontent held join core_repositoryversion came on came.pulp_id = held.version_added_id \
         left join core_repositoryversion went on went.pulp_id = held.version_removed_id \
         where held.content_id = rc.content_id and held.repository_id = ",
    );
    sql.push_bind(repository).push(" and came.number <= ").push_bind(number);
    sql.push(" and (went.number is null or went.number > ").push_bind(number).push("))");
}

/// Which units of a version a count is about, as in `core_repositoryversioncontentdetails.count_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CountType {
    /// Added since the version before.
    Added,
    /// Removed since the version before.
    Removed,
    /// All.
    Present,
}

impl CountType {
    /// As in the database.
    pub fn code(self) -> &'static str {
        match self {
            Self::Added => "A",
            Self::Removed => "R",
            Self::Present => "P",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Self> {
        [Self::Added, Self::Removed, Self::Present].into_iter().find(|count| count.code() == code)
    }
}

/// How many units of one type.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ContentCount {
    /// The type: `file.file`.
    pub content_type: String,
    /// Units.
    pub count: i64,
}

/// The counts that were noted when a version was committed: what the API shows as `content_summary`.
///
/// # Errors
/// If the database cannot be reached.
pub async fn content_summary<E: Executor + ?Sized>(executor: &E, version: Uuid) -> Result<BTreeMap<CountType, Vec<ContentCount>>, DbError> {
    let sql = Sql::new(
        "select count_type, content_type, count from core_repositoryversioncontentdetails \
         where repository_version_id = $1 order by content_type",
    );
    let mut summary: BTreeMap<CountType, Vec<ContentCount>> = BTreeMap::new();
    for (code, content_type, count) in executor.all::<(String, String, i64)>(sql.bind(version)).await? {
        if let Some(count_type) = CountType::from_code(&code) {
            summary.entry(count_type).or_default().push(ContentCount { content_type, count });
        }
    }
    Ok(summary)
}
