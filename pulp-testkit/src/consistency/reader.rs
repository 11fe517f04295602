//! Reading a database that a server has open: SQLite's is locked against a second one that would write.

use std::str::FromStr;

use async_trait::async_trait;
use pulp_core::db::{Db, DbError, DbOptions, Dialect, Executor, Insert, Row, Sql, Value};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

#[derive(Debug)]
pub(super) enum Reader {
    Sqlite(SqlitePool),
    Postgres(Db),
}

impl Reader {
    pub(super) async fn open(url: &str) -> Self {
        if !url.starts_with("sqlite:") {
            return Self::Postgres(Db::open(url, &DbOptions::default()).await.expect("the database that is checked"));
        }
        let options = SqliteConnectOptions::from_str(url).expect("the address of a SQLite database").read_only(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        Self::Sqlite(pool.expect("the database that is checked"))
    }
}

#[async_trait]
impl Executor for Reader {
    fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    async fn rows(&self, sql: Sql) -> Result<Vec<Row>, DbError> {
        let pool = match self {
            Self::Sqlite(pool) => pool,
            Self::Postgres(db) => return db.rows(sql).await,
        };
        let (text, values) = sql.into_parts();
        let query = values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), |query, value| match value {
            Value::Bool(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Float(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Uuid(value) => query.bind(value),
            Value::Time(value) => query.bind(value),
            Value::Json(value) => query.bind(value.map(|value| value.to_string())),
            Value::Array(_) => unreachable!("arrays are for PostgreSQL"),
        });
        Ok(query.fetch_all(pool).await?.into_iter().map(Row::Sqlite).collect())
    }

    async fn run(&self, _: Sql) -> Result<u64, DbError> {
        unreachable!("the checker changes nothing")
    }

    async fn insert(&self, _: Insert) -> Result<u64, DbError> {
        unreachable!("the checker changes nothing")
    }
}
