//! Rows of either database.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, FromRow, Postgres, Row as _, Sqlite, Type};

use super::DbError;
use super::in_thread::{InThread, InThreadRow};

/// A row as the database gave it.
#[derive(Debug)]
pub enum Row {
    /// From PostgreSQL.
    Postgres(PgRow),
    /// From SQLite, by a connection of whoever implements [`Executor`](super::Executor) with one of sqlx.
    Sqlite(SqliteRow),
    /// From SQLite, in the thread that asked.
    InThread(InThreadRow),
}

/// What a value of one database can be read as.
pub trait ColumnOf<D: sqlx::Database>: for<'r> Decode<'r, D> + Type<D> {}
impl<D: sqlx::Database, T> ColumnOf<D> for T where T: for<'r> Decode<'r, D> + Type<D> {}

/// What a column can be read as, from both databases.
pub trait Column: Sized + ColumnOf<Postgres> + ColumnOf<Sqlite> + ColumnOf<InThread> {}
impl<T> Column for T where T: Sized + ColumnOf<Postgres> + ColumnOf<Sqlite> + ColumnOf<InThread> {}

/// What a whole row can be read as, from both databases: derive [`sqlx::FromRow`], or use a tuple of [`Column`]s.
pub trait Record:
    Sized + Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, InThreadRow>
{
}
impl<T> Record for T where
    T: Sized + Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, InThreadRow>
{
}

impl Row {
    /// The value of a column by its name.
    ///
    /// # Errors
    /// If there is no such column, or it holds another type.
    pub fn get<T: Column>(&self, name: &str) -> Result<T, DbError> {
        Ok(match self {
            Self::Postgres(row) => row.try_get(name)?,
            Self::Sqlite(row) => row.try_get(name)?,
            Self::InThread(row) => row.try_get(name)?,
        })
    }

    /// The value of a column by its place, from 0.
    ///
    /// # Errors
    /// If there is no such column, or it holds another type.
    pub fn at<T: Column>(&self, index: usize) -> Result<T, DbError> {
        Ok(match self {
            Self::Postgres(row) => row.try_get(index)?,
            Self::Sqlite(row) => row.try_get(index)?,
            Self::InThread(row) => row.try_get(index)?,
        })
    }

    /// The row as a record.
    ///
    /// # Errors
    /// If a column is missing or holds another type.
    pub fn read<T: Record>(&self) -> Result<T, DbError> {
        Ok(match self {
            Self::Postgres(row) => T::from_row(row)?,
            Self::Sqlite(row) => T::from_row(row)?,
            Self::InThread(row) => T::from_row(row)?,
        })
    }
}
