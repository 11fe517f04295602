//! Transactions, and how a statement is run on each driver.

use std::fmt;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::types::Json;
use sqlx::{Arguments, AssertSqlSafe, Executor as _};
use tokio::sync::Mutex;

use super::{DbError, Dialect, Executor, Insert, Row, Sql, Value, in_thread, insert, stale};
use crate::shareable::shareable;

/// A transaction. Dropped without [`Tx::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Tx {
    dialect: Dialect,
    open: Open,
}

shareable!(Open(Mutex<Connection>));

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug)]
enum Connection {
    /// And whether a statement has been run in it.
    Postgres(sqlx::Transaction<'static, Postgres>, bool),
    /// None while a statement is at work elsewhere, or was left there.
    Sqlite(Option<in_thread::Turn>),
}

impl Tx {
    pub(super) fn postgres(tx: sqlx::Transaction<'static, Postgres>) -> Self {
        Self { dialect: Dialect::Postgres, open: Open(Mutex::new(Connection::Postgres(tx, false))) }
    }

    pub(super) fn sqlite(turn: in_thread::Turn) -> Self {
        Self { dialect: Dialect::Sqlite, open: Open(Mutex::new(Connection::Sqlite(Some(turn)))) }
    }

    /// Makes all that was done visible, at once.
    ///
    /// # Errors
    /// If the database cannot be reached, or a check at the end fails; nothing is visible then.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.open.0.into_inner() {
            Connection::Postgres(tx, _) => tx.commit().await?,
            Connection::Sqlite(turn) => in_thread::commit(turn).await?,
        }
        Ok(())
    }

    /// Takes all that was done back.
    ///
    /// # Errors
    /// If the database cannot be reached; it takes the work back by itself then.
    pub async fn rollback(self) -> Result<(), DbError> {
        match self.open.0.into_inner() {
            Connection::Postgres(tx, _) => tx.rollback().await?,
            Connection::Sqlite(turn) => in_thread::roll_back(turn)?,
        }
        Ok(())
    }

    pub(super) async fn script(&self, text: &str) -> Result<(), DbError> {
        match &mut *self.open.lock().await {
            Connection::Postgres(tx, used) => {
                *used = true;
                tx.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await?;
            }
            Connection::Sqlite(turn) => in_thread::script(turn, text).await?,
        }
        Ok(())
    }
}

#[async_trait]
impl Executor for Tx {
    fn dialect(&self) -> Dialect {
        self.dialect
    }

    async fn rows(&self, sql: Sql) -> Result<Vec<Row>, DbError> {
        match &mut *self.open.lock().await {
            Connection::Postgres(tx, used) => stale::rows_in(tx, std::mem::replace(used, true), sql).await,
            Connection::Sqlite(turn) => in_thread::rows(turn, sql).await,
        }
    }

    async fn run(&self, sql: Sql) -> Result<u64, DbError> {
        match &mut *self.open.lock().await {
            Connection::Postgres(tx, used) => {
                *used = true;
                postgres_run(&mut **tx, sql).await
            }
            Connection::Sqlite(turn) => in_thread::run(turn, sql).await,
        }
    }

    async fn insert(&self, rows: Insert) -> Result<u64, DbError> {
        match &mut *self.open.lock().await {
            Connection::Postgres(tx, used) => {
                *used = true;
                insert::postgres(tx, rows).await
            }
            Connection::Sqlite(turn) => in_thread::insert(turn, rows).await,
        }
    }
}

/// Whether a statement that gives rows also writes.
pub(super) fn writes(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    let is = |word: &[u8]| start.len() >= word.len() && start[..word.len()].eq_ignore_ascii_case(word);
    is(b"insert") || is(b"update") || is(b"delete")
}

/// A statement of more values is one of a kind: keeping it prepared would push out those that come again. What belongs to the hundred rows of
/// a page comes again.
pub(super) const PREPARED_UP_TO: usize = 128;

/// Up to so many values, their placeholders keep their numbers.
const NUMBERED_UP_TO: usize = 64;

/// Runs a statement of PostgreSQL; `keep` it prepared unless it is long.
pub(super) async fn postgres_rows<'c>(
    executor: impl sqlx::Executor<'c, Database = Postgres>,
    sql: Sql,
    keep: bool,
) -> Result<Vec<Row>, sqlx::Error> {
    let (text, values) = sql.into_parts();
    let keep = keep && values.len() <= PREPARED_UP_TO;
    let rows = sqlx::query_with(AssertSqlSafe(text), postgres_arguments(values)?).persistent(keep).fetch_all(executor).await?;
    Ok(rows.into_iter().map(Row::Postgres).collect())
}

pub(super) async fn postgres_run<'c>(executor: impl sqlx::Executor<'c, Database = Postgres>, sql: Sql) -> Result<u64, DbError> {
    let (text, values) = sql.into_parts();
    let keep = values.len() <= PREPARED_UP_TO;
    Ok(sqlx::query_with(AssertSqlSafe(text), postgres_arguments(values)?).persistent(keep).execute(executor).await?.rows_affected())
}

/// The text with `?` for each placeholder, where they stand in the order of their numbers, each once. SQLite looks a placeholder that
/// has a name up in a list of all others, when it reads it and when its value is bound: the square of their number. A list of one row
/// is not worth the copy.
pub(super) fn unnumbered(text: String, values: usize) -> String {
    if values <= NUMBERED_UP_TO {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut seen = 0;
    while let Some(at) = memchr::memchr(b'$', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        plain.push('?');
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        seen += 1;
        if rest[at + 1..at + 1 + digits].parse() != Ok(seen) {
            return text;
        }
        rest = &rest[at + 1 + digits..];
    }
    if seen != values {
        return text;
    }
    plain.push_str(rest);
    plain
}

/// Why SQLite refuses a value.
pub(super) const NO_ARRAYS: &str = "SQLite has no arrays: a statement with many rows is made by `Sql::push_table`";

fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Bool(v) => arguments.add(v),
            Value::Int(v) => arguments.add(v),
            Value::Float(v) => arguments.add(v),
            Value::Text(v) => arguments.add(v),
            Value::Uuid(v) => arguments.add(v),
            Value::Time(v) => arguments.add(v),
            Value::Json(v) => arguments.add(v.map(Json)),
            Value::Array(v) => v.add_to(&mut arguments),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_in_order_lose_their_numbers() {
        let mut list = Sql::new("select * from t where a in ");
        list.push_list((0..100_i64).collect::<Vec<_>>()).push(" limit ").push_bind(7);
        let (text, values) = list.into_parts();
        let plain = unnumbered(text, values.len());
        assert!(plain.starts_with("select * from t where a in (?, ?, ") && plain.ends_with("?) limit ?"), "{plain}");
        assert_eq!(plain.matches('?').count(), 101);
        assert!(!plain.contains('$'));
    }

    #[test]
    fn a_placeholder_that_stands_twice_keeps_its_number() {
        let mut list = Sql::new("select * from t where b = $1 and c = $1 and a in ").bind(1);
        list.push_list((0..100_i64).collect::<Vec<_>>());
        let (text, values) = list.into_parts();
        assert_eq!(unnumbered(text.clone(), values.len()), text);
        // Nor is one lost that the text does not name.
        assert_eq!(unnumbered("a = $1".to_owned(), 100), "a = $1");
    }
}
