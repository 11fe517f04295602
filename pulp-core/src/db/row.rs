//! Rows of either database.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, FromRow, Postgres, Row as _, Sqlite, Type};

use super::DbError;

/// A row as the database gave it.
#[derive(Debug)]
pub enum Row {
    /// From PostgreSQL.
    Postgres(PgRow),
    /// From SQLite.
    Sqlite(SqliteRow),
}

/// What a column can be read as, from both databases.
pub trait Column: Sized + for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite> {}
impl<T> Column for T where T: Sized + for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite> {}

/// What a whole row can be read as, from both databases: derive [`sqlx::FromRow`], or use a tuple of [`Column`]s.
pub trait Record: Sized + Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> {}
impl<T> Record for T where T: Sized + Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> {}

impl Row {
    /// The value of a column by its name.
    ///
    /// # Errors
    /// If there is no such column, or it holds another type.
    pub fn get<T: Column>(&self, name: &str) -> Result<T, DbError> {
        Ok(match self {
            Self::Postgres(row) => row.try_get(name)?,
            Self::Sqlite(row) => row.try_get(name)?,
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
        })
    }
}
