//! The only place that knows there are two databases.
//!
//! [`Db`] is a pool of connections to SQLite or PostgreSQL; [`Tx`] a transaction on either. Both run [`Sql`], one text for
//! both databases, and give rows that are read through [`sqlx::FromRow`]. What truly differs is in [`dialect`].

mod array;
mod at_hand;
pub mod dialect;
mod error;
mod in_thread;
mod insert;
mod migrate;
mod notify;
mod pool;
mod row;
mod stale;
mod tx;
mod value;

use async_trait::async_trait;

pub use array::Array;
pub use dialect::Dialect;
pub use error::DbError;
pub(crate) use in_thread::replaceable;
pub use in_thread::{InThread, InThreadRow};
pub use insert::Insert;
pub use migrate::{applied, migrate};
pub use notify::Notification;
pub use pool::{Db, DbOptions, PoolUse};
pub use row::{Column, Record, Row};
pub use tx::Tx;
pub use value::{Sql, Value, rows_per_statement};

/// Runs statements: a pool ([`Db`]) or a transaction ([`Tx`]).
#[async_trait]
pub trait Executor: Send + Sync {
    /// Which database answers.
    fn dialect(&self) -> Dialect;

    /// All rows that a statement gives.
    async fn rows(&self, sql: Sql) -> Result<Vec<Row>, DbError>;

    /// Runs a statement for its effect; the number of rows it touched.
    async fn run(&self, sql: Sql) -> Result<u64, DbError>;

    /// Inserts rows, all or none; the number of those that are new, or were changed. A transaction in which it fails is to be taken back.
    async fn insert(&self, insert: Insert) -> Result<u64, DbError>;
}

/// Typed reads on top of [`Executor`].
#[async_trait]
pub trait ExecutorExt: Executor {
    /// All rows as records.
    async fn all<T: Record>(&self, sql: impl Into<Sql> + Send) -> Result<Vec<T>, DbError> {
        self.rows(sql.into()).await?.iter().map(Row::read).collect()
    }

    /// The first row, if there is one.
    async fn optional<T: Record>(&self, sql: impl Into<Sql> + Send) -> Result<Option<T>, DbError> {
        self.rows(sql.into()).await?.first().map(Row::read).transpose()
    }

    /// The first row.
    ///
    /// # Errors
    /// [`DbError::NoRow`] if there is none.
    async fn one<T: Record>(&self, sql: impl Into<Sql> + Send) -> Result<T, DbError> {
        self.optional(sql).await?.ok_or(DbError::NoRow)
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// [`DbError::NoRow`] if there is no row.
    async fn scalar<T: Column>(&self, sql: impl Into<Sql> + Send) -> Result<T, DbError> {
        self.rows(sql.into()).await?.first().ok_or(DbError::NoRow)?.at(0)
    }

    /// The first column of every row.
    async fn column<T: Column + Send>(&self, sql: impl Into<Sql> + Send) -> Result<Vec<T>, DbError> {
        self.rows(sql.into()).await?.iter().map(|row| row.at(0)).collect()
    }

    /// Runs a statement for its effect; the number of rows it touched.
    async fn execute(&self, sql: impl Into<Sql> + Send) -> Result<u64, DbError> {
        self.run(sql.into()).await
    }
}

impl<E: Executor + ?Sized> ExecutorExt for E {}
