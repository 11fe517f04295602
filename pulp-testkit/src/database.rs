//! A database for one test, on either engine, and the macro that runs a test on both.

use std::path::Path;
use std::str::FromStr;

use async_trait::async_trait;
use pulp_core::db::{Db, DbOptions, migrate};
use pulp_migrations::MigrationSet;
use tempfile::TempDir;

use crate::{Postgres, PostgresDatabase};

/// The two kinds of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file in the test's own directory.
    Sqlite,
    /// A database of the process's own server; see [`pg`](crate::pg).
    Postgres,
}

impl FromStr for Engine {
    type Err = String;

    /// By the names that the command lines of the examples have: `sqlite` and `postgres`.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            other => Err(format!("{other} is neither sqlite nor postgres")),
        }
    }
}

/// An empty database and a directory, both gone with their handle.
#[derive(Debug)]
pub struct TestDatabase {
    engine: Engine,
    dir: TempDir,
    postgres: Option<PostgresDatabase>,
}

impl TestDatabase {
    /// An empty database. `None` where the engine is not installed, and need not be.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn empty(engine: Engine) -> Option<Self> {
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Postgres::get().await?.database().await),
        };
        Some(Self { engine, dir: directory(), postgres })
    }

    /// A database that is migrated already. On PostgreSQL it is a copy of one that was migrated once per process.
    ///
    /// # Panics
    /// When it cannot be made, or a migration fails.
    pub async fn migrated(engine: Engine, sets: &[MigrationSet]) -> Option<Self> {
        let database = match engine {
            Engine::Sqlite => {
                let database = Self::empty(engine).await?;
                run_migrations(database.url(), sets).await;
                database
            }
            Engine::Postgres => {
                let server = Postgres::get().await?;
                let name: String = sets.iter().map(|set| format!("{} ", set.component)).collect();
                let postgres = server.database_like(&name, |url| run_migrations(url, sets)).await;
                Self { engine, dir: directory(), postgres: Some(postgres) }
            }
        };
        Some(database)
    }

    /// A migrated database on a PostgreSQL of its own, which the test may [stop](Postgres::stop). `None` where it is not installed, and
    /// need not be.
    ///
    /// # Panics
    /// As [`migrated`](Self::migrated).
    pub async fn alone(sets: &[MigrationSet]) -> Option<Self> {
        let postgres = Postgres::alone().await?.database().await;
        postgres.survives_crashes().await;
        run_migrations(postgres.url(), sets).await;
        Some(Self { engine: Engine::Postgres, dir: directory(), postgres: Some(postgres) })
    }

    /// The PostgreSQL that it is on, if it is on one.
    #[must_use]
    pub fn server(&self) -> Option<&'static Postgres> {
        self.postgres.as_ref().map(PostgresDatabase::server)
    }

    /// The database on PostgreSQL, if it is there.
    #[must_use]
    pub fn postgres(&self) -> Option<&PostgresDatabase> {
        self.postgres.as_ref()
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.postgres {
            None => format!("sqlite://{}", self.dir().join("pulp.sqlite3").display()),
            Some(database) => database.url(),
        }
    }

    /// A directory of the test's own: of the SQLite file, and for whatever else.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What kind of database it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Opens it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self) -> Db {
        Db::open(&self.url(), &DbOptions::default()).await.expect("the test's own database")
    }
}

fn directory() -> TempDir {
    tempfile::Builder::new().prefix("pulp-test-").tempdir().expect("a temporary directory")
}

async fn run_migrations(url: String, sets: &[MigrationSet]) {
    let db = Db::open(&url, &DbOptions::default()).await.expect("the test's own database");
    migrate(&db, sets).await.expect("migrations apply");
    db.close().await;
}

/// What [`both_databases!`](crate::both_databases) can hand to a test.
#[async_trait]
pub trait Prepare: Sized {
    /// Makes one. `None` where the engine is not installed, and need not be.
    async fn prepare(engine: Engine) -> Option<Self>;
}

#[async_trait]
impl Prepare for TestDatabase {
    async fn prepare(engine: Engine) -> Option<Self> {
        Self::empty(engine).await
    }
}

/// Runs one test body: what the macro stamps.
#[doc(hidden)]
pub fn run<T: Prepare, R: Default, F: Future<Output = R>>(engine: Engine, test: impl FnOnce(T) -> F) -> R {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a tokio runtime").block_on(async {
        match T::prepare(engine).await {
            Some(given) => test(given).await,
            None => R::default(),
        }
    })
}

/// Stamps each test into a module with two tests, `sqlite` and `postgres`.
///
/// The argument is anything that is [`Prepare`](crate::Prepare): a [`Kit`](crate::Kit), or a bare
/// [`TestDatabase`](crate::TestDatabase). Tests run on a multi-threaded tokio runtime of their own. Where PostgreSQL is not
/// installed, its tests do nothing.
///
/// ```
/// pulp_testkit::both_databases! {
///     /// A database is there.
///     async fn answers(database: pulp_testkit::TestDatabase) {
///         assert!(database.open().await.is_alive().await);
///     }
/// }
/// ```
#[macro_export]
macro_rules! both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($given:ident : $type:ty) $body:block)*) => {$(
        $(#[$meta])*
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn check($given: $type) $body

            #[test]
            fn sqlite() {
                $crate::database::run($crate::Engine::Sqlite, check);
            }

            #[test]
            fn postgres() {
                $crate::database::run($crate::Engine::Postgres, check);
            }
        }
    )*};
}
