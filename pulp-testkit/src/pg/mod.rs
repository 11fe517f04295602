//! A PostgreSQL server of the tests' own: no container, no set-up, gone with the process.
//!
//! The first database that is asked for starts the server: a copy of a cluster that was initialised once on this machine,
//! on a Unix socket in a private directory, with all durability off. A guard process holds a pipe to this one; whatever way
//! this one ends, the guard stops the server and removes its directory.
//!
//! Where PostgreSQL is missing, [`Postgres::get`] says so once and gives nothing, and tests skip. With
//! `PULP_TEST_REQUIRE_POSTGRES=1` it panics instead: a gate must not pass by skipping.

mod account;
mod binaries;
mod cluster;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use binaries::Binaries;
use cluster::Cluster;

/// The variable that makes a missing PostgreSQL a failure.
const REQUIRE: &str = "PULP_TEST_REQUIRE_POSTGRES";

/// Databases that nobody uses any more are dropped together: each drop is a checkpoint.
const DROP_AT: usize = 16;

/// The server that all tests of this process share.
#[derive(Debug)]
pub struct Postgres {
    cluster: Cluster,
    next: AtomicU64,
    /// Templates by name; the guard of each is held while it is built.
    templates: tokio::sync::Mutex<HashMap<String, String>>,
    unused: Mutex<Vec<String>>,
}

/// A database that is dropped after its handle, connections or not.
#[derive(Debug)]
pub struct PostgresDatabase {
    server: &'static Postgres,
    name: String,
}

impl Postgres {
    /// The server, started now if it was not. `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    /// When PostgreSQL is there and does not start, or is missing and `PULP_TEST_REQUIRE_POSTGRES=1` demands it.
    pub async fn get() -> Option<&'static Self> {
        static SERVER: OnceCell<Option<Postgres>> = OnceCell::const_new();
        SERVER.get_or_init(Self::start).await.as_ref()
    }

    /// A server for one test alone, which may [stop](Self::stop) it. It too ends with this process.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    pub async fn alone() -> Option<&'static Self> {
        Some(Box::leak(Box::new(Self::start().await?)))
    }

    async fn start() -> Option<Self> {
        let started = tokio::task::spawn_blocking(|| Binaries::find().map(|binaries| Cluster::start(&binaries)));
        match started.await.expect("starting PostgreSQL does not panic") {
            Some(Ok(cluster)) => Some(Self::on(cluster)),
            Some(Err(error)) => panic!("PostgreSQL does not start: {error}"),
            None if std::env::var_os(REQUIRE).is_some_and(|value| value == "1") => {
                panic!("{REQUIRE}=1, and PostgreSQL is not installed: initdb is neither on PATH nor under /usr/lib/postgresql")
            }
            None => {
                // Not by eprintln!, which the harness hides when a test passes.
                let _ = std::io::stderr().write_all(b"PostgreSQL is not installed: its tests are skipped\n");
                None
            }
        }
    }

    /// Ends the server as a crash would; its data stay. Only for who has it [alone](Self::alone).
    ///
    /// # Panics
    /// When it does not end. So does [`start_again`](Self::start_again), when it does not start.
    pub async fn stop(&'static self) {
        tokio::task::spawn_blocking(|| self.cluster.stop()).await.expect("no panic").expect("PostgreSQL ends");
    }

    /// Starts the server again.
    pub async fn start_again(&'static self) {
        tokio::task::spawn_blocking(|| self.cluster.start_again()).await.expect("no panic").expect("PostgreSQL starts");
    }

    fn on(cluster: Cluster) -> Self {
        Self { cluster, next: AtomicU64::new(0), templates: tokio::sync::Mutex::default(), unused: Mutex::default() }
    }

    /// A new empty database.
    ///
    /// # Panics
    /// When the server does not do as it is told. So do the other methods.
    pub async fn database(&'static self) -> PostgresDatabase {
        self.clone_of("template0").await
    }

    /// A new database that is a copy of the template called `name`, which `build` made the first time that this process
    /// asked for it, given its address. `build` must leave no connection open.
    pub async fn database_like<F: Future<Output = ()>>(&'static self, name: &str, build: impl FnOnce(String) -> F) -> PostgresDatabase {
        let template = {
            // One at a time: the second to ask for a template waits until it is whole.
            let mut templates = self.templates.lock().await;
            if let Some(template) = templates.get(name) {
                template.clone()
            } else {
                let template = format!("template_{}", templates.len() + 1);
                self.tell(&format!("create database {template} template template0")).await;
                build(self.url(&template)).await;
                templates.insert(name.to_owned(), template.clone());
                template
            }
        };
        self.clone_of(&template).await
    }

    async fn clone_of(&'static self, template: &str) -> PostgresDatabase {
        let unused = {
            let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
            if unused.len() < DROP_AT { Vec::new() } else { std::mem::take(&mut *unused) }
        };
        for name in unused {
            self.tell(&format!("drop database if exists {name} with (force)")).await;
        }
        let name = format!("test_{}", self.next.fetch_add(1, Ordering::Relaxed));
        // Up to 14 this was the only way. It suits a template of hundreds of small files better than the log does.
        let strategy = if self.cluster.major() >= 15 { " strategy file_copy" } else { "" };
        self.tell(&format!("create database {name} template {template}{strategy}")).await;
        PostgresDatabase { server: self, name }
    }

    /// Runs one statement as the administrator. Each has its own connection, because each test has its own runtime.
    async fn tell(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("a connection to the test server");
        // The names in it are all made here.
        if let Err(error) = connection.execute(AssertSqlSafe(statement.to_owned())).await {
            panic!("{statement}: {error}");
        }
        // The server notices in any case.
        let _ = connection.close().await;
    }

    fn url(&self, database: &str) -> String {
        let socket: String = url::form_urlencoded::byte_serialize(self.directory().as_os_str().as_encoded_bytes()).collect();
        format!("postgres://{}@localhost/{database}?host={socket}", cluster::SUPERUSER)
    }

    /// The directory of the server: its data, its socket, its log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.cluster.directory()
    }
}

impl PostgresDatabase {
    /// What is committed from now on is there after a crash of the server.
    pub(crate) async fn survives_crashes(&self) {
        self.server.tell(&format!("alter database {} set synchronous_commit = on", self.name)).await;
    }

    /// The server that it is on.
    #[must_use]
    pub fn server(&self) -> &'static Postgres {
        self.server
    }

    /// Its address, as sqlx reads it.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }
}

impl PostgresDatabase {
    /// A way to it that can be blocked.
    ///
    /// # Panics
    /// When the system gives no port.
    pub async fn gate(&self) -> crate::Gate {
        crate::Gate::to(self.server.directory().join(".s.PGSQL.5432")).await
    }

    /// Its address by a port of the loopback interface: a [`gate`](Self::gate)'s.
    #[must_use]
    pub fn url_by(&self, port: u16) -> String {
        format!("postgres://{}@127.0.0.1:{port}/{}?sslmode=disable", cluster::SUPERUSER, self.name)
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let mut unused = self.server.unused.lock().unwrap_or_else(PoisonError::into_inner);
        unused.push(std::mem::take(&mut self.name));
    }
}
