//! The pool of connections, and who may open it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Postgres};

use super::at_hand::AtHand;
use super::in_thread::{Readers, Writer};
use super::notify::Notifier;
use super::tx::{self, Tx};
use super::{DbError, Dialect, Executor, Insert, Notification, Row, Sql, stale};
use crate::shareable::shareable;

/// What suits statements that look thousands of different rows up: compiling them takes PostgreSQL longer than the look-ups, and remembering what was found, which it can since
/// release 14, as long as finding it.
const LOOK_UPS: &str =
    "set jit = off; select set_config('enable_memoize', 'off', false) from pg_catalog.pg_settings where name = 'enable_memoize'";

/// A connection that has not been used for so long is asked whether it still is one.
const RESTED: Duration = Duration::from_secs(1);

/// How long a database may take to say that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// How often SQLite gives back the memory of pages that a bulk of writes left in its cache.
const RELAX: Duration = Duration::from_secs(20);

/// How to open a database.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DbOptions {
    /// Connections at most: of PostgreSQL, or reading ones of SQLite (which has one more, that writes).
    pub max_connections: u32,
    /// How long to wait for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// Whether SQLite waits for the disk at every commit (`synchronous = FULL`). Without it, a loss of power can take back
    /// the last commits; the database stays consistent, and the death of the process loses nothing.
    pub sqlite_full_sync: bool,
    /// How long a transaction of PostgreSQL may be open with nobody at work in it: then the server ends it, and gives its locks back.
    /// A process that was stopped in the middle of one, or whose host is gone, holds up nobody for longer.
    pub idle_transaction: Duration,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(30),
            sqlite_full_sync: false,
            idle_transaction: Duration::from_secs(30),
        }
    }
}

/// A pool of connections to SQLite or PostgreSQL; cheap to clone.
#[derive(Debug, Clone)]
pub struct Db(Arc<Inner>);

shareable!(Inner(Parts));

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug)]
struct Parts {
    pools: Pools,
    notifier: Notifier,
    /// Held until the pool is closed: one process to a SQLite directory.
    lock: Mutex<Option<DirectoryLock>>,
}

/// The lock of a SQLite directory. A program that this process has just begun to start shares the file until it has become another
/// one: unlocking, unlike closing, ends the lock for both.
#[derive(Debug)]
struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the data directory is unlocked when its lock is closed");
        }
    }
}

#[derive(Debug)]
enum Pools {
    Postgres(PgPool, AtHand<Postgres>),
    Sqlite { read: Readers, write: Writer },
}

/// A pool of connections at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// `postgres`; or of SQLite, `read` and `write`.
    pub name: &'static str,
    /// Connections that are open.
    pub size: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// Connections that may be open at most.
    pub max: u32,
}

impl PoolUse {
    fn of<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>, at_hand: usize) -> Self {
        let idle = u32::try_from(pool.num_idle() + at_hand).unwrap_or(u32::MAX);
        Self { name, size: pool.size(), idle, max: pool.options().get_max_connections() }
    }
}

impl Db {
    /// Opens the database at `url`: `sqlite:///path/to/file` (made if it is not there) or `postgres://…`.
    ///
    /// # Errors
    /// [`DbError::Address`] for a URL of another kind, [`DbError::Locked`] if another process has the SQLite file’s
    /// directory open, [`DbError::Unavailable`] if nothing answers.
    pub async fn open(url: &str, options: &DbOptions) -> Result<Self, DbError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('?') {
                return Err(bad_address(url, "it names no file"));
            }
            Self::open_sqlite(Path::new(path), options).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url, options).await
        } else {
            Err(bad_address(url, "only the schemes sqlite and postgres are known"))
        }
    }

    async fn open_postgres(url: &str, options: &DbOptions) -> Result<Self, DbError> {
        let connect = PgConnectOptions::from_str(url).map_err(|error| bad_address(url, &error.to_string()))?.application_name("pulp");
        // By a statement, not as a parameter of the connection: poolers refuse those that they do not know.
        let set: Arc<str> =
            format!("set idle_in_transaction_session_timeout = {}; {LOOK_UPS}", options.idle_transaction.as_millis()).into();
        let pool = PgPoolOptions::new()
            .after_connect(move |connection, _| {
                let set = set.clone();
                Box::pin(async move { connection.execute(sqlx::raw_sql(AssertSqlSafe(set.to_string()))).await.map(drop) })
            })
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            // Asking before each use costs a round trip; one that has rested may have died with its server meanwhile.
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > RESTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(connect)
            .await?;
        let notifier = Notifier::postgres(pool.clone());
        Ok(Self(Arc::new(Inner(Parts { pools: Pools::Postgres(pool, AtHand::default()), notifier, lock: Mutex::default() }))))
    }

    async fn open_sqlite(path: &Path, options: &DbOptions) -> Result<Self, DbError> {
        let lock = lock_directory(path)?;
        let wait = options.acquire_timeout.max(Duration::from_secs(120));
        let write = Writer::open(path.to_path_buf(), options.sqlite_full_sync, wait).await?;
        let read = Readers::new(path.to_path_buf(), options.max_connections.max(1), options.acquire_timeout);
        let pools = Pools::Sqlite { read, write };
        let inner = Arc::new(Inner(Parts { pools, notifier: Notifier::local(), lock: Mutex::new(Some(lock)) }));
        tokio::spawn(relax(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    /// Starts a transaction. On SQLite it is the only one that writes until it ends.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.begin_as("BEGIN").await
    }

    /// The same, of a transaction whose commit does not wait for the disk: for what a crash may take back, or what is of no use before a
    /// later transaction has committed, which makes the disk have both.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn begin_relaxed(&self) -> Result<Tx, DbError> {
        self.begin_as("BEGIN; SET LOCAL synchronous_commit TO off").await
    }

    async fn begin_as(&self, postgres: &'static str) -> Result<Tx, DbError> {
        let pool = match &self.0.pools {
            Pools::Postgres(pool, _) => pool.clone(),
            Pools::Sqlite { write, .. } => return Ok(Tx::sqlite(write.begin().await?)),
        };
        // In a task of its own: a caller that is dropped while BEGIN is on its way would otherwise give the connection back
        // with the transaction open, and whoever gets it next would work inside it, never to be committed.
        let begun = tokio::spawn(async move { Ok(Tx::postgres(pool.begin_with(postgres).await?)) });
        begun.await.map_err(|error| DbError::Unavailable(format!("the runtime is ending: {error}")))?
    }

    /// Tells every process on this database, this one included, that something happened on a channel.
    ///
    /// Delivery is best effort: whoever waits for a notification also looks for itself now and then.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn notify(&self, channel: &'static str, payload: &str) -> Result<(), DbError> {
        self.0.notifier.send(channel, payload).await
    }

    /// Notifications from now on, of all channels. A lagging receiver loses the oldest.
    pub fn notifications(&self) -> tokio::sync::broadcast::Receiver<Notification> {
        self.0.notifier.subscribe()
    }

    /// Whether the database answers, within three seconds.
    pub async fn is_alive(&self) -> bool {
        matches!(tokio::time::timeout(SIGN_OF_LIFE, self.rows(Sql::new("select 1"))).await, Ok(Ok(_)))
    }

    /// The pools of connections, as they are now.
    pub fn pools(&self) -> Vec<PoolUse> {
        match &self.0.pools {
            Pools::Postgres(pool, at_hand) => vec![PoolUse::of("postgres", pool, at_hand.resting())],
            Pools::Sqlite { read, write } => vec![read.in_use(), write.in_use()],
        }
    }

    /// Ends all connections; statements after it fail. Another process may have the SQLite file then.
    pub async fn close(&self) {
        self.0.notifier.close();
        match &self.0.pools {
            Pools::Postgres(pool, at_hand) => close(pool, at_hand).await,
            Pools::Sqlite { read, write } => {
                // The last to leave takes the log of the file along, and must be one that writes.
                read.close().await;
                write.close().await;
            }
        }
        self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Runs several statements without values, as a migration does.
    pub(super) async fn script(tx: &Tx, text: &str) -> Result<(), DbError> {
        tx.script(text).await
    }
}

#[async_trait]
impl Executor for Db {
    fn dialect(&self) -> Dialect {
        match &self.0.pools {
            Pools::Postgres(..) => Dialect::Postgres,
            Pools::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    async fn rows(&self, sql: Sql) -> Result<Vec<Row>, DbError> {
        match &self.0.pools {
            Pools::Postgres(pool, at_hand) => {
                let mut connection = at_hand.take(pool).await?;
                let rows = stale::rows(&mut connection, sql).await?;
                at_hand.give(connection, pool);
                Ok(rows)
            }
            // A statement that writes and returns rows must go to the one that writes.
            Pools::Sqlite { write, .. } if tx::writes(sql.text()) => write.rows(sql).await,
            Pools::Sqlite { read, .. } => read.rows(sql).await,
        }
    }

    async fn run(&self, sql: Sql) -> Result<u64, DbError> {
        match &self.0.pools {
            Pools::Postgres(pool, at_hand) => {
                let mut connection = at_hand.take(pool).await?;
                let touched = tx::postgres_run(&mut *connection, sql).await?;
                at_hand.give(connection, pool);
                Ok(touched)
            }
            Pools::Sqlite { write, .. } => write.run(sql).await,
        }
    }

    async fn insert(&self, rows: Insert) -> Result<u64, DbError> {
        if rows.is_empty() {
            return Ok(0);
        }
        // It may be several statements, or leave some rows when it fails.
        let tx = self.begin().await?;
        let touched = tx.insert(rows).await?;
        tx.commit().await?;
        Ok(touched)
    }
}

/// Closes a pool, after what is at hand has gone back to it: until then it would wait.
async fn close<D: sqlx::Database>(pool: &sqlx::Pool<D>, at_hand: &AtHand<D>) {
    let closing = pool.close();
    // From here on nothing is kept at hand any more.
    at_hand.rest();
    closing.await;
}

/// Now and then has the connections that are at rest forget unchanged pages, as long as the database is in use.
async fn relax(database: Weak<Inner>) {
    loop {
        tokio::time::sleep(RELAX).await;
        let Some(inner) = database.upgrade() else { return };
        let Pools::Sqlite { read, write } = &inner.0.pools else { return };
        if write.is_closed() {
            return;
        }
        read.shrink();
        write.shrink().await;
    }
}

fn bad_address(url: &str, reason: &str) -> DbError {
    let shown = match url::Url::parse(url) {
        Ok(mut parsed) => {
            if parsed.password().is_some() {
                // A URL that has a password can have it replaced.
                let _ = parsed.set_password(Some("****"));
            }
            parsed.to_string()
        }
        Err(_) => url.split('@').next_back().unwrap_or_default().to_owned(),
    };
    DbError::Address { url: shown, reason: reason.to_owned() }
}

/// SQLite would let several processes in, but the in-process state beside it (locks of tasks, caches) is for one.
fn lock_directory(database: &Path) -> Result<DirectoryLock, DbError> {
    let directory = match database.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let failed = |error: std::io::Error| DbError::Unavailable(format!("the directory {} cannot be used: {error}", directory.display()));
    std::fs::create_dir_all(&directory).map_err(failed)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join("pulp.lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(TryLockError::WouldBlock) => Err(DbError::Locked(format!(
            "another process uses the data directory {}: stop it first, or give this one a directory of its own; several processes need PostgreSQL",
            directory.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::ExecutorExt;

    #[tokio::test]
    async fn a_second_opener_is_refused_and_may_come_after_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/pulp.sqlite3", dir.path().display());
        let first = Db::open(&url, &DbOptions::default()).await.unwrap();
        let refused = Db::open(&url, &DbOptions::default()).await.unwrap_err();
        assert!(matches!(&refused, DbError::Locked(message) if message.contains("another process")), "{refused}");
        assert_eq!(first.scalar::<i64>("select 1").await.unwrap(), 1);
        first.close().await;
        Db::open(&url, &DbOptions::default()).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_just_being_started_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/pulp.sqlite3", dir.path().display());
        let first = Db::open(&url, &DbOptions::default()).await.unwrap();
        // What a child has until it has become another program.
        let inherited = first.0.lock.lock().unwrap().as_ref().unwrap().0.try_clone().unwrap();
        first.close().await;
        Db::open(&url, &DbOptions::default()).await.unwrap();
        drop(inherited);
    }

    #[tokio::test]
    async fn an_address_of_another_kind_is_refused_without_its_password() {
        let error = Db::open("mysql://me:hunter2@host/db", &DbOptions::default()).await.unwrap_err().to_string();
        assert!(error.contains("sqlite:///") && !error.contains("hunter2"), "{error}");
    }
}
