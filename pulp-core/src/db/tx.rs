//! Transactions, and how a statement is run on each driver.

use std::fmt;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::types::Json;
use sqlx::{Arguments, AssertSqlSafe, Executor as _};
use tokio::sync::Mutex;

use super::{DbError, Dialect, Executor, Row, Sql, Value};
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
    Postgres(sqlx::Transaction<'static, Postgres>),
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

impl Tx {
    pub(super) fn postgres(tx: sqlx::Transaction<'static, Postgres>) -> Self {
        Self { dialect: Dialect::Postgres, open: Open(Mutex::new(Connection::Postgres(tx))) }
    }

    pub(super) fn sqlite(tx: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self { dialect: Dialect::Sqlite, open: Open(Mutex::new(Connection::Sqlite(tx))) }
    }

    /// Makes all that was done visible, at once.
    ///
    /// # Errors
    /// If the database cannot be reached, or a check at the end fails; nothing is visible then.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.open.0.into_inner() {
            Connection::Postgres(tx) => tx.commit().await?,
            Connection::Sqlite(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Takes all that was done back.
    ///
    /// # Errors
    /// If the database cannot be reached; it takes the work back by itself then.
    pub async fn rollback(self) -> Result<(), DbError> {
        match self.open.0.into_inner() {
            Connection::Postgres(tx) => tx.rollback().await?,
            Connection::Sqlite(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    pub(super) async fn script(&self, text: &str) -> Result<(), DbError> {
        match &mut *self.open.lock().await {
            Connection::Postgres(tx) => {
                tx.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await?;
            }
            Connection::Sqlite(tx) => {
                tx.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await?;
            }
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
            Connection::Postgres(tx) => postgres_rows(&mut **tx, sql).await,
            Connection::Sqlite(tx) => sqlite_rows(&mut **tx, sql).await,
        }
    }

    async fn run(&self, sql: Sql) -> Result<u64, DbError> {
        match &mut *self.open.lock().await {
            Connection::Postgres(tx) => postgres_run(&mut **tx, sql).await,
            Connection::Sqlite(tx) => sqlite_run(&mut **tx, sql).await,
        }
    }
}

/// Whether a statement that gives rows also writes.
pub(super) fn writes(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    let is = |word: &[u8]| start.len() >= word.len() && start[..word.len()].eq_ignore_ascii_case(word);
    is(b"insert") || is(b"update") || is(b"delete")
}

/// A statement of this many values is one of a kind: keeping it prepared would push out those that come again.
const PREPARED_UP_TO: usize = 64;

pub(super) async fn postgres_rows<'c>(executor: impl sqlx::Executor<'c, Database = Postgres>, sql: Sql) -> Result<Vec<Row>, DbError> {
    let (text, values) = sql.into_parts();
    let keep = values.len() <= PREPARED_UP_TO;
    let rows = sqlx::query_with(AssertSqlSafe(text), postgres_arguments(values)?).persistent(keep).fetch_all(executor).await?;
    Ok(rows.into_iter().map(Row::Postgres).collect())
}

pub(super) async fn postgres_run<'c>(executor: impl sqlx::Executor<'c, Database = Postgres>, sql: Sql) -> Result<u64, DbError> {
    let (text, values) = sql.into_parts();
    let keep = values.len() <= PREPARED_UP_TO;
    Ok(sqlx::query_with(AssertSqlSafe(text), postgres_arguments(values)?).persistent(keep).execute(executor).await?.rows_affected())
}

pub(super) async fn sqlite_rows<'c>(executor: impl sqlx::Executor<'c, Database = Sqlite>, sql: Sql) -> Result<Vec<Row>, DbError> {
    let (text, values) = sql.into_parts();
    let keep = values.len() <= PREPARED_UP_TO;
    let rows = sqlx::query_with(AssertSqlSafe(text), sqlite_arguments(values)?).persistent(keep).fetch_all(executor).await?;
    Ok(rows.into_iter().map(Row::Sqlite).collect())
}

pub(super) async fn sqlite_run<'c>(executor: impl sqlx::Executor<'c, Database = Sqlite>, sql: Sql) -> Result<u64, DbError> {
    let (text, values) = sql.into_parts();
    let keep = values.len() <= PREPARED_UP_TO;
    Ok(sqlx::query_with(AssertSqlSafe(text), sqlite_arguments(values)?).persistent(keep).execute(executor).await?.rows_affected())
}

macro_rules! bind_all {
    ($arguments:ident, $values:ident) => {{
        for value in $values {
            match value {
                Value::Bool(v) => $arguments.add(v),
                Value::Int(v) => $arguments.add(v),
                Value::Float(v) => $arguments.add(v),
                Value::Text(v) => $arguments.add(v),
                Value::Uuid(v) => $arguments.add(v),
                Value::Time(v) => $arguments.add(v),
                Value::Json(v) => $arguments.add(v.map(Json)),
            }
            .map_err(|error| DbError::Other(sqlx::Error::Encode(error)))?;
        }
        Ok($arguments)
    }};
}

fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments, DbError> {
    let mut arguments = PgArguments::default();
    bind_all!(arguments, values)
}

fn sqlite_arguments(values: Vec<Value>) -> Result<SqliteArguments, DbError> {
    let mut arguments = SqliteArguments::default();
    bind_all!(arguments, values)
}
