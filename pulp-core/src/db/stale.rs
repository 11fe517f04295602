//! Statements that were prepared before a table got a column, by another release of the program on the same database.
//!
//! PostgreSQL refuses to run such a statement when its rows would have the new column: its text says `*`. Outside a transaction, and as
//! the first statement of one, it is prepared anew and nobody notices. Later in a transaction it could only fail, and the transaction
//! with it: therefore a statement with `*` is not kept prepared there. Where that costs, the statement names its columns.

use sqlx::postgres::{PgConnection, PgDatabaseError, Postgres};
use sqlx::{Connection as _, Executor as _};

use super::tx::postgres_rows;
use super::{DbError, Row, Sql};

/// Whether a text says `*` for columns, as opposed to `count(*)`.
fn has_star(text: &str) -> bool {
    memchr::memchr_iter(b'*', text.as_bytes()).any(|at| !text[..at].ends_with('('))
}

/// Whether this is the refusal. Its text depends on the language of the server.
fn is_stale(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery"))
}

/// Runs a statement outside a transaction.
pub(super) async fn rows(connection: &mut PgConnection, sql: Sql) -> Result<Vec<Row>, DbError> {
    if !has_star(sql.text()) {
        return Ok(postgres_rows(connection, sql, true).await?);
    }
    match postgres_rows(&mut *connection, sql.clone(), true).await {
        Err(error) if is_stale(&error) => {
            connection.clear_cached_statements().await?;
            Ok(postgres_rows(connection, sql, true).await?)
        }
        ran => Ok(ran?),
    }
}

/// Runs a statement in a transaction, in which others may have been run before.
pub(super) async fn rows_in(tx: &mut sqlx::Transaction<'static, Postgres>, used: bool, mut sql: Sql) -> Result<Vec<Row>, DbError> {
    let connection: &mut PgConnection = tx;
    if !has_star(sql.text()) {
        return Ok(postgres_rows(connection, sql, true).await?);
    }
    if used {
        // Another text than that which may be kept prepared, because it comes first elsewhere.
        sql.push(" ");
        return Ok(postgres_rows(connection, sql, false).await?);
    }
    match postgres_rows(&mut *connection, sql.clone(), true).await {
        Err(error) if is_stale(&error) => {
            connection.execute(sqlx::raw_sql("rollback; begin")).await?;
            connection.clear_cached_statements().await?;
            Ok(postgres_rows(connection, sql, true).await?)
        }
        ran => Ok(ran?),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn stars() {
        for (text, has) in [("select * from t", true), ("select a.* from a", true), ("select count(*) from t", false), ("select 1", false)]
        {
            assert_eq!(super::has_star(text), has, "{text}");
        }
    }
}
