//! Inserts of many rows, in the form that each database takes fastest.

use sqlx::AssertSqlSafe;
use sqlx::sqlite::Sqlite;

use super::tx::{PREPARED_UP_TO, postgres_run, sqlite_arguments};
use super::{DbError, Sql, Value, array};

/// Rows of one statement of PostgreSQL, which gets each column as one array: neither database nor driver looks at a placeholder for each value.
const ROWS: usize = 5_000;

/// Values of one statement of SQLite, of the 32,766 that it takes: each statement is a hop to the thread that writes, and back.
const VALUES: usize = 32_000;

/// An insert of any number of rows.
///
/// ```
/// use pulp_core::db::Insert;
/// let mut insert = Insert::into("notes_note (content_ptr_id, text)").then("on conflict (text) do nothing");
/// insert.row([uuid::Uuid::nil().into(), "hello".into()]);
/// assert_eq!(insert.len(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Insert {
    into: String,
    then: String,
    width: usize,
    /// Row by row.
    values: Vec<Value>,
}

impl Insert {
    /// One of no rows yet, into `TABLE (COLUMN, …)`. Never text from outside.
    pub fn into(into: impl Into<String>) -> Self {
        Self { into: into.into(), then: String::new(), width: 0, values: Vec::new() }
    }

    /// What follows the rows: `on conflict …`, without placeholders.
    #[must_use]
    pub fn then(mut self, then: impl Into<String>) -> Self {
        self.then = then.into();
        self
    }

    /// Adds a row. Each has a value for each column, of the same kind in all rows.
    pub fn row(&mut self, row: impl IntoIterator<Item = Value>) {
        let before = self.values.len();
        self.values.extend(row);
        debug_assert!(self.width == 0 || self.values.len() - before == self.width, "a row of another width: {}", self.into);
        self.width = self.values.len() - before;
    }

    /// The same, of many.
    #[must_use]
    pub fn rows<R: IntoIterator<Item = Value>>(mut self, rows: impl IntoIterator<Item = R>) -> Self {
        for row in rows {
            self.row(row);
        }
        self
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many values SQLite gets at once: as many as whole rows have.
    fn at_once(&self) -> usize {
        let width = self.width.max(1);
        (VALUES / width).max(1) * width
    }
}

/// Inserts all rows; how many are new, or were changed.
pub(super) async fn postgres(connection: &mut sqlx::PgConnection, insert: Insert) -> Result<u64, DbError> {
    let Insert { into, then, width, values } = insert;
    let mut touched = 0;
    let mut values = values.into_iter();
    while values.len() > 0 {
        let mut sql = Sql::new(format!("insert into {into} select * from "));
        sql.push_unnested(array::columns(values.by_ref().take(ROWS * width), width)?).push(" ").push(&then);
        touched += postgres_run(&mut *connection, sql).await?;
    }
    Ok(touched)
}

/// The same. After a failure the transaction must be taken back: rows may be left.
pub(super) async fn sqlite(connection: &mut sqlx::SqliteConnection, insert: Insert) -> Result<u64, DbError> {
    let at_once = insert.at_once();
    let Insert { into, then, width, values } = insert;
    let row = format!("({})", vec!["?"; width].join(", "));
    let mut touched = 0;
    let mut values = values.into_iter();
    while values.len() > 0 {
        let some: Vec<Value> = values.by_ref().take(at_once).collect();
        // Or fail: what is taken back is the transaction. To take back a statement alone, SQLite would copy each page before it changes.
        let text = format!("insert or fail into {into} values {} {then}", vec![row.as_str(); some.len() / width].join(", "));
        let keep = some.len() <= PREPARED_UP_TO;
        let query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(text), sqlite_arguments(some)?).persistent(keep);
        touched += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(touched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_gets_at_once_are_whole_rows() {
        for width in [1, 6, 7, 500, 60_000] {
            let insert = Insert::into("").rows([vec![Value::from(1); width]]);
            assert!(insert.at_once() % width == 0 && insert.at_once() > 0, "{width}");
        }
        assert!(Insert::into("").is_empty());
    }
}
