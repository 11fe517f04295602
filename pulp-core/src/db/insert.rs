//! Inserts of many rows, in the form that each database takes fastest.

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::Sqlite;
use sqlx::types::Json;
use sqlx::{Arguments as _, AssertSqlSafe};

use super::tx::{PREPARED_UP_TO, sqlite_arguments};
use super::{DbError, Value};

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
        let some = values.by_ref().take(ROWS * width);
        let columns = columns(some, width)?;
        let types: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("${}::{}[]", at + 1, column.kind())).collect();
        let text = format!("insert into {into} select * from unnest({}) {then}", types.join(", "));
        let mut arguments = PgArguments::default();
        for column in columns {
            column.add_to(&mut arguments).map_err(sqlx::Error::Encode)?;
        }
        touched += sqlx::query_with::<Postgres, _>(AssertSqlSafe(text), arguments).execute(&mut *connection).await?.rows_affected();
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

/// The values of one column.
enum Column {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    Uuid(Vec<Option<uuid::Uuid>>),
    Time(Vec<Option<crate::clock::Timestamp>>),
    Json(Vec<Option<Json<serde_json::Value>>>),
}

impl Column {
    /// An empty one for values of this kind.
    fn like(value: &Value, rows: usize) -> Self {
        match value {
            Value::Bool(_) => Self::Bool(Vec::with_capacity(rows)),
            Value::Int(_) => Self::Int(Vec::with_capacity(rows)),
            Value::Float(_) => Self::Float(Vec::with_capacity(rows)),
            Value::Text(_) => Self::Text(Vec::with_capacity(rows)),
            Value::Uuid(_) => Self::Uuid(Vec::with_capacity(rows)),
            Value::Time(_) => Self::Time(Vec::with_capacity(rows)),
            Value::Json(_) => Self::Json(Vec::with_capacity(rows)),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), DbError> {
        match (self, value) {
            (Self::Bool(column), Value::Bool(value)) => column.push(value),
            (Self::Int(column), Value::Int(value)) => column.push(value),
            (Self::Float(column), Value::Float(value)) => column.push(value),
            (Self::Text(column), Value::Text(value)) => column.push(value),
            (Self::Uuid(column), Value::Uuid(value)) => column.push(value),
            (Self::Time(column), Value::Time(value)) => column.push(value),
            (Self::Json(column), Value::Json(value)) => column.push(value.map(Json)),
            (column, value) => {
                // Of which kind it is, and not what: it may be a secret.
                let reason = format!("a column of {} cannot hold a value of {}", column.kind(), Self::like(&value, 0).kind());
                return Err(sqlx::Error::Encode(reason.into()).into());
            }
        }
        Ok(())
    }

    /// PostgreSQL’s name of the type.
    fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "boolean",
            Self::Int(_) => "bigint",
            Self::Float(_) => "double precision",
            Self::Text(_) => "text",
            Self::Uuid(_) => "uuid",
            Self::Time(_) => "timestamptz",
            Self::Json(_) => "jsonb",
        }
    }

    fn add_to(self, arguments: &mut PgArguments) -> Result<(), sqlx::error::BoxDynError> {
        match self {
            Self::Bool(column) => arguments.add(column),
            Self::Int(column) => arguments.add(column),
            Self::Float(column) => arguments.add(column),
            Self::Text(column) => arguments.add(column),
            Self::Uuid(column) => arguments.add(column),
            Self::Time(column) => arguments.add(column),
            Self::Json(column) => arguments.add(column),
        }
    }
}

/// Rows as columns.
fn columns(values: impl Iterator<Item = Value>, width: usize) -> Result<Vec<Column>, DbError> {
    let rows = values.size_hint().0.checked_div(width).unwrap_or(0);
    let mut columns: Vec<Column> = Vec::with_capacity(width);
    for (at, value) in values.enumerate() {
        if at < width {
            columns.push(Column::like(&value, rows));
        }
        columns[at % width].push(value)?;
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows = [1, 2, 3].map(|number| [Value::from(number), Value::from((number != 2).then_some("text"))]);
        let insert = Insert::into("t (a, b)").rows(rows);
        assert_eq!((insert.len(), insert.is_empty()), (3, false));
        let columns = columns(insert.values.into_iter(), insert.width).unwrap();
        assert_eq!(columns.iter().map(Column::kind).collect::<Vec<_>>(), ["bigint", "text"]);
        assert!(matches!(&columns[0], Column::Int(values) if *values == [Some(1), Some(2), Some(3)]));
        let text = Some("text".to_owned());
        assert!(matches!(&columns[1], Column::Text(values) if *values == [text.clone(), None, text]));
    }

    #[test]
    fn a_column_holds_one_kind() {
        let mixed = [Value::from(1), Value::from("secret")];
        let error = columns(mixed.into_iter(), 1).err().unwrap();
        let error = error.to_string();
        assert!(error.contains("a column of bigint cannot hold a value of text") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn what_sqlite_gets_at_once_are_whole_rows() {
        for width in [1, 6, 7, 500, 60_000] {
            let insert = Insert::into("").rows([vec![Value::from(1); width]]);
            assert!(insert.at_once() % width == 0 && insert.at_once() > 0, "{width}");
        }
        assert!(Insert::into("").is_empty());
    }
}
