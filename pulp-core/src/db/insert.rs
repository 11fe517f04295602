//! Inserts of many rows, in the form that each database takes fastest.

use super::tx::postgres_run;
use super::{DbError, Sql, Value, array};

/// Rows of one statement of PostgreSQL, which gets each column as one array: neither database nor driver looks at a placeholder for each value.
const ROWS: usize = 5_000;

/// Values of one statement of SQLite, of the 32,766 that it takes.
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

    /// The statements that SQLite gets. Each of them fails, and leaves the rows before: what is taken back is the transaction. To take back a statement alone, SQLite would
    /// copy each page before it changes.
    pub(super) fn for_sqlite(self) -> ForSqlite {
        let at_once = self.at_once();
        let Self { into, then, width, values } = self;
        ForSqlite {
            before: format!("insert or fail into {into} values "),
            row: format!("({})", vec!["?"; width].join(", ")),
            then,
            width,
            at_once,
            values: values.into_iter(),
        }
    }

    /// How many values SQLite gets at once: as many as whole rows have.
    fn at_once(&self) -> usize {
        let width = self.width.max(1);
        (VALUES / width).max(1) * width
    }
}

/// See [`Insert::for_sqlite`].
#[derive(Debug)]
pub(super) struct ForSqlite {
    before: String,
    row: String,
    then: String,
    width: usize,
    at_once: usize,
    values: std::vec::IntoIter<Value>,
}

impl Iterator for ForSqlite {
    type Item = (String, Vec<Value>);

    fn next(&mut self) -> Option<Self::Item> {
        let some: Vec<Value> = self.values.by_ref().take(self.at_once).collect();
        let rows = some.len().checked_div(self.width).filter(|rows| *rows > 0)?;
        Some((format!("{}{} {}", self.before, vec![self.row.as_str(); rows].join(", "), self.then), some))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.values.len().div_ceil(self.at_once);
        (left, Some(left))
    }
}

impl ExactSizeIterator for ForSqlite {}

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
