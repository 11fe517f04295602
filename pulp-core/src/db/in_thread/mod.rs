//! SQLite in the thread that asks.
//!
//! sqlx gives each connection of SQLite a thread: a statement wakes it, and is woken by it, which takes many times as long as looking a row up.
//! Here a reader is used where it is wanted. A statement that turns out to be long must not hold a thread of the runtime: after
//! [`SHORT`] it is ended and run again on a thread for blocking work, and the next time its text comes, it goes there at once.

mod driver;
mod row;
#[cfg(test)]
mod tests;
mod types;
mod writer;

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value as Bound, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, ToSql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use driver::InThread;
pub use row::InThreadRow;
pub(crate) use writer::replaceable;
pub(super) use writer::{Turn, Writer, commit, insert, roll_back, rows, run, script};

use super::tx::{NO_ARRAYS, PREPARED_UP_TO, unnumbered};
use super::{DbError, PoolUse, Row, Sql, Value};

/// For how long a statement may keep a thread of the runtime.
const SHORT: Duration = Duration::from_millis(2);

/// After a statement that took so long, others of the thread come first: what is made of its rows takes long, too.
const POLITE: Duration = Duration::from_micros(500);

/// After so many steps of SQLite's machine, some tens of microseconds, a statement is asked whether it may go on.
const STEPS: i32 = 1_000;

/// How long a statement waits for a lock of the file, which readers rarely meet; in a thread of the runtime it does not wait.
const BUSY: Duration = Duration::from_secs(30);

/// How many texts of long statements are remembered.
const LONG: usize = 1_000;

/// The readers of one file; cheap to clone.
#[derive(Clone)]
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    path: PathBuf,
    most: u32,
    wait: Duration,
    /// One permit for each reader that works.
    room: Arc<Semaphore>,
    /// The one that was used last is the last.
    at_rest: Mutex<Vec<Reader>>,
    /// Texts of statements that took long when they were run last.
    long: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("path", &self.0.path).field("use", &self.in_use()).finish_non_exhaustive()
    }
}

/// What ends a statement before its time.
#[derive(Debug)]
struct Leash {
    since: Instant,
    /// In nanoseconds from then; 0 is never.
    until: AtomicU64,
    /// The number of the statement.
    run: AtomicU64,
    /// The last one that nobody waits for any more. By then the reader may be at another.
    abandoned: AtomicU64,
}

impl Leash {
    fn new() -> Self {
        Self { since: Instant::now(), until: AtomicU64::new(0), run: AtomicU64::new(1), abandoned: AtomicU64::new(0) }
    }

    /// Another statement, which may take that long; its number.
    fn next(&self, time: Option<Duration>) -> u64 {
        let until = time.map_or(0, |time| nanoseconds(self.since.elapsed() + time));
        self.until.store(until, Ordering::Relaxed);
        self.run.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn is_over(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        self.abandoned.load(Ordering::Relaxed) == self.run.load(Ordering::Relaxed)
            || (until != 0 && nanoseconds(self.since.elapsed()) > until)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Ends the statement of whoever does not wait for it any more.
struct Abandon(Arc<Leash>, u64);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandoned.fetch_max(self.1, Ordering::Relaxed);
    }
}

struct Reader {
    connection: Connection,
    leash: Arc<Leash>,
}

impl Readers {
    /// Readers of the file at `path`, at most so many at work at a time; whoever waits longer than `wait` for one is told so.
    pub(super) fn new(path: PathBuf, most: u32, wait: Duration) -> Self {
        Self(Arc::new(Shared {
            path,
            most,
            wait,
            room: Arc::new(Semaphore::new(most as usize)),
            at_rest: Mutex::default(),
            long: Mutex::default(),
            hasher: RandomState::new(),
        }))
    }

    /// All rows that a statement gives.
    pub(super) async fn rows(&self, sql: Sql) -> Result<Vec<Row>, DbError> {
        let (text, values) = sql.into_parts();
        let text = unnumbered(text, values.len());
        let permit = self.permit().await?;
        let at_rest = self.resting().pop();
        let mut reader = match at_rest {
            Some(reader) => reader,
            None => {
                let readers = self.clone();
                elsewhere(move || readers.open()).await?
            }
        };
        let hash = self.0.hasher.hash_one(&text);
        if values.len() <= PREPARED_UP_TO && !self.long().contains(&hash) {
            let begun = Instant::now();
            reader.leash.next(Some(SHORT));
            match reader.run(&text, &values) {
                Err(error) if is_cut_short(&error) => {}
                done => {
                    self.rest(reader, permit);
                    if begun.elapsed() >= POLITE {
                        tokio::task::yield_now().await;
                    }
                    return Ok(done?);
                }
            }
        }
        let _abandon = Abandon(reader.leash.clone(), reader.leash.next(None));
        let readers = self.clone();
        elsewhere(move || readers.run_long(reader, permit, &text, &values, hash)).await
    }

    /// Runs a statement that may take its time.
    fn run_long(
        &self,
        mut reader: Reader,
        permit: OwnedSemaphorePermit,
        text: &str,
        values: &[Value],
        hash: u64,
    ) -> Result<Vec<Row>, DbError> {
        let begun = Instant::now();
        let done = reader.run_patiently(text, values);
        self.rest(reader, permit);
        let mut long = self.long();
        if begun.elapsed() < SHORT / 2 {
            long.remove(&hash);
        } else if values.len() <= PREPARED_UP_TO {
            if long.len() == LONG {
                long.clear();
            }
            long.insert(hash);
        }
        Ok(done?)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, DbError> {
        let room = self.0.room.clone();
        let permit = match room.clone().try_acquire_owned() {
            Ok(permit) => Ok(permit),
            Err(_) => tokio::time::timeout(self.0.wait, room.acquire_owned()).await.map_err(|_| {
                DbError::Unavailable(format!(
                    "all {} readers are busy: raise max_connections, which a server calls database_connections",
                    self.0.most
                ))
            })?,
        };
        permit.map_err(|_| DbError::Unavailable("the database is closed".to_owned()))
    }

    fn open(&self) -> Result<Reader, DbError> {
        let connection = Connection::open_with_flags(&self.0.path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.set_prepared_statement_cache_capacity(256);
        connection.busy_timeout(BUSY)?;
        // Little: what a reader has read it forgets when somebody writes, and the system caches the file.
        connection.execute_batch("pragma query_only = on; pragma foreign_keys = on; pragma cache_size = -2048")?;
        // What a statement's values are does not change how it is run; otherwise it would be prepared anew for each of them.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        with_regexp(&connection)?;
        let leash = Arc::new(Leash::new());
        let held = leash.clone();
        connection.progress_handler(STEPS, Some(move || held.is_over()))?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(Reader { connection, leash })
    }

    fn rest(&self, reader: Reader, permit: OwnedSemaphorePermit) {
        if !self.0.room.is_closed() {
            self.resting().push(reader);
        }
        drop(permit);
    }

    /// Gives back the memory of those that are at rest.
    pub(super) fn shrink(&self) {
        let readers = std::mem::take(&mut *self.resting());
        for reader in &readers {
            if let Err(error) = reader.connection.execute_batch("pragma shrink_memory") {
                tracing::debug!(%error, "the memory of a reader could not be shrunk");
            }
        }
        let mut resting = self.resting();
        // Those that were given back meanwhile are used first.
        resting.splice(0..0, readers);
    }

    /// Ends all, after those that are at work have done it.
    pub(super) async fn close(&self) {
        // An error says that another has closed them.
        let all = self.0.room.acquire_many(self.0.most).await;
        self.0.room.close();
        drop(all);
        self.resting().clear();
    }

    pub(super) fn in_use(&self) -> PoolUse {
        let at_rest = u32::try_from(self.resting().len()).unwrap_or(u32::MAX);
        let at_work = self.0.most.saturating_sub(u32::try_from(self.0.room.available_permits()).unwrap_or(u32::MAX));
        PoolUse { name: "read", size: at_rest + at_work, idle: at_rest, max: self.0.most }
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.0.at_rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn long(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.long.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Waits for locks of the file.
    fn run_patiently(&mut self, text: &str, values: &[Value]) -> rusqlite::Result<Vec<Row>> {
        self.connection.busy_timeout(BUSY)?;
        let done = self.run(text, values);
        self.connection.busy_timeout(Duration::ZERO)?;
        done
    }

    fn run(&mut self, text: &str, values: &[Value]) -> rusqlite::Result<Vec<Row>> {
        if values.len() > PREPARED_UP_TO {
            return answer(&mut self.connection.prepare(text)?, values);
        }
        answer(&mut *self.connection.prepare_cached(text)?, values)
    }
}

/// On a thread that may be blocked.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> Result<T, DbError> + Send + 'static) -> Result<T, DbError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(panicked()),
        Err(error) => Err(DbError::Unavailable(format!("the runtime is ending: {error}"))),
    }
}

/// No other try would end in another way.
fn panicked() -> DbError {
    DbError::Other(sqlx::Error::AnyDriverError("a statement panicked".into()))
}

fn answer(statement: &mut Statement<'_>, values: &[Value]) -> rusqlite::Result<Vec<Row>> {
    bind(statement, values)?;
    let mut rows = statement.raw_query();
    let mut answer = row::Answer::default();
    while let Some(row) = rows.next()? {
        answer.push(row)?;
    }
    Ok(answer.into_rows().map(Row::InThread).collect())
}

fn bind(statement: &mut Statement<'_>, values: &[Value]) -> rusqlite::Result<()> {
    for place in 1..=statement.parameter_count() {
        // `$3` is a name to SQLite; one without a name follows the one before.
        let number = statement.parameter_name(place).and_then(|name| name[1..].parse().ok()).unwrap_or(place);
        match number.checked_sub(1).and_then(|at| values.get(at)) {
            Some(value) => statement.raw_bind_parameter(place, value)?,
            None => return Err(rusqlite::Error::InvalidParameterCount(values.len(), number)),
        }
    }
    Ok(())
}

/// Whether a statement may do better where it may take its time.
fn is_cut_short(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn with_regexp(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("regexp", 2, flags, matches_expression)
}

/// `regexp(expression, text)`, which is what `text regexp expression` means.
fn matches_expression(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let expression: Arc<regex::Regex> = context
        .get_or_create_aux(0, |value| value.as_str().map_err(Into::into).and_then(|text| regex::Regex::new(text).map_err(Failed::from)))?;
    Ok(context.get_raw(1).as_str_or_null()?.map(|text| expression.is_match(text)))
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = |text: String| ToSqlOutput::Owned(Bound::Text(text));
        Ok(match self {
            Self::Bool(Some(value)) => i64::from(*value).into(),
            Self::Int(Some(value)) => (*value).into(),
            Self::Float(Some(value)) => (*value).into(),
            Self::Text(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Uuid(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
            // As sqlx wrote them in earlier releases, and what is compared with them must be.
            Self::Time(Some(value)) => text(value.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false)),
            Self::Json(Some(value)) => text(value.to_string()),
            Self::Bool(None)
            | Self::Int(None)
            | Self::Float(None)
            | Self::Text(None)
            | Self::Uuid(None)
            | Self::Time(None)
            | Self::Json(None) => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Array(_) => return Err(rusqlite::Error::ToSqlConversionFailure(NO_ARRAYS.into())),
        })
    }
}
