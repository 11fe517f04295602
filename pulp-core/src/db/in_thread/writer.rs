//! The one connection of SQLite that writes, in the thread that asks for it.
//!
//! Whoever wants to write waits for its [`Turn`], in order, instead of in SQLite's busy loop. Unlike one that reads, a statement that writes cannot be ended and
//! run again: SQLite would take the whole transaction back. So only texts that were quick when they were run last run right here; all others, and
//! those of many values, go to a thread that the writer has for it: threads that all share may all be waiting for something else.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Statement};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::super::insert::Insert;
use super::super::tx::{PREPARED_UP_TO, unnumbered};
use super::super::{DbError, PoolUse, Row, Sql, Value};
use super::{BUSY, LONG, POLITE, SHORT, STEPS, answer, bind, nanoseconds, panicked, with_regexp};

/// How many pages the log beside the file may have before they are written back: 128 MiB. Batches of a large sync change the same pages again and again.
const LOG_PAGES: i32 = if cfg!(test) { 200 } else { 32_000 };

/// How long another thread may take to go on with what this one does not come to, and when to look whether it has.
const STEP_ASIDE: Duration = Duration::from_micros(100);
const STEP_AGAIN: Duration = Duration::from_millis(20);

thread_local! {
    /// How many pages the log had after the last commit that this thread made.
    static LOGGED: Cell<i32> = const { Cell::new(0) };
}

tokio::task_local! {
    /// Set where a thread of a runtime of many threads is at work, which others can stand in for.
    static REPLACEABLE: ();
}

/// Marks a future that is going to be a task of its own: a statement in it that takes long leaves the tasks that wait for its thread to another.
pub(crate) async fn replaceable<F: Future>(task: F) -> F::Output {
    if Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        REPLACEABLE.scope((), task).await
    } else {
        task.await
    }
}

fn is_replaceable() -> bool {
    REPLACEABLE.try_with(|()| ()).is_ok()
}

/// Whoever writes; cheap to clone.
#[derive(Clone)]
pub(in super::super) struct Writer(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// Whether each commit waits for the disk.
    full_sync: bool,
    /// How long to wait for a turn.
    wait: Duration,
    turn: Arc<Semaphore>,
    at_rest: Mutex<Option<Box<Pen>>>,
    thread: mpsc::Sender<Job>,
    /// Whether the log begins anew with the next commit, which waits for the disk then.
    log_is_new: AtomicBool,
    /// Texts of statements that were quick when they were run last.
    quick: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

type Job = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// The connection.
struct Pen {
    connection: Connection,
    /// When the statement that runs has taken long, in nanoseconds since the first; 0 is never.
    late: Arc<AtomicU64>,
    since: Instant,
}

/// The right to write, until it is dropped. What it has not committed is taken back then.
pub(in super::super) struct Turn {
    writer: Writer,
    pen: Option<Box<Pen>>,
    /// How long its statements took, all together.
    taken: Duration,
    permit: Option<OwnedSemaphorePermit>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// What is to be done with the connection.
enum Work {
    Rows(String, Vec<Value>),
    Run(String, Vec<Value>),
    Insert(Box<dyn Iterator<Item = (String, Vec<Value>)> + Send>),
    Script(String),
}

/// What came of it.
#[derive(Default)]
struct Done {
    rows: Vec<Row>,
    touched: u64,
}

impl Writer {
    /// Opens the file at `path`, and makes it if it is not there.
    pub(in super::super) async fn open(path: PathBuf, full_sync: bool, wait: Duration) -> Result<Self, DbError> {
        let (thread, jobs) = mpsc::channel::<Job>();
        let work = move || {
            for job in jobs {
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a statement panicked");
                }
            }
        };
        let begun = thread::Builder::new().name("sqlite-writer".to_owned()).spawn(work);
        begun.map_err(|error| DbError::Unavailable(format!("no thread for the database: {error}")))?;
        let writer = Self(Arc::new(Shared {
            path,
            full_sync,
            wait,
            turn: Arc::new(Semaphore::new(1)),
            at_rest: Mutex::default(),
            thread,
            log_is_new: AtomicBool::new(true),
            quick: Mutex::default(),
            hasher: RandomState::new(),
        }));
        drop(writer.turn().await?);
        Ok(writer)
    }

    /// Waits for a turn.
    async fn turn(&self) -> Result<Turn, DbError> {
        let waited = tokio::time::timeout(self.0.wait, self.0.turn.clone().acquire_owned()).await;
        let permit = waited
            .map_err(|_| DbError::Unavailable("whoever writes to the database does not come to an end".to_owned()))?
            .map_err(|_| DbError::Unavailable("the database is closed".to_owned()))?;
        let at_rest = self.resting().take();
        let pen = match at_rest {
            Some(pen) => pen,
            None => {
                let writer = self.clone();
                self.elsewhere(move || Ok(Box::new(Pen::open(&writer.0)?))).await?
            }
        };
        Ok(self.taken(pen, permit))
    }

    fn taken(&self, pen: Box<Pen>, permit: OwnedSemaphorePermit) -> Turn {
        Turn { writer: self.clone(), pen: Some(pen), taken: Duration::ZERO, permit: Some(permit) }
    }

    /// On the thread that may be blocked, without waiting for it.
    fn later(&self, work: impl FnOnce() + Send + 'static) {
        // The thread ends with the last who could give it something to do.
        let _ = self.0.thread.send(Box::new(work));
    }

    /// On the thread that may be blocked, behind what it was given before. It goes on to its end if nobody waits for it.
    fn elsewhere<T, W>(&self, work: W) -> impl Future<Output = Result<T, DbError>> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, DbError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        self.later(move || {
            let _ = done.send(work());
        });
        async { result.await.unwrap_or_else(|_| Err(panicked())) }
    }

    /// Begins a transaction.
    pub(in super::super) async fn begin(&self) -> Result<Turn, DbError> {
        let turn = self.turn().await?;
        match turn.begin() {
            // Somebody from outside has the file.
            Err(DbError::Retry(_)) => self.elsewhere(move || turn.pen()?.patiently(|| turn.begin()).map(|()| turn)).await,
            begun => begun.map(|()| turn),
        }
    }

    /// Runs a statement by itself that gives rows.
    pub(in super::super) async fn rows(&self, sql: Sql) -> Result<Vec<Row>, DbError> {
        let mut turn = Some(self.begin().await?);
        let rows = rows(&mut turn, sql).await?;
        commit(turn).await?;
        Ok(rows)
    }

    /// Runs a statement by itself; how many rows it touched.
    pub(in super::super) async fn run(&self, sql: Sql) -> Result<u64, DbError> {
        let mut turn = Some(self.begin().await?);
        let touched = run(&mut turn, sql).await?;
        commit(turn).await?;
        Ok(touched)
    }

    /// Gives back the memory of pages that a bulk of writes left in the cache, if nobody writes.
    pub(in super::super) async fn shrink(&self) {
        let Ok(permit) = self.0.turn.clone().try_acquire_owned() else { return };
        let Some(pen) = self.resting().take() else { return };
        let turn = self.taken(pen, permit);
        let shrunk = self.elsewhere(move || Ok(turn.pen()?.connection.execute_batch("pragma shrink_memory")?)).await;
        if let Err(error) = shrunk {
            tracing::debug!(%error, "the memory of the database could not be shrunk");
        }
    }

    /// Ends the connection, after whoever writes has done it.
    pub(in super::super) async fn close(&self) {
        // An error says that another closes it; that is waited for as well, since its work comes first.
        let permit = self.0.turn.clone().acquire_owned().await;
        let pen = self.resting().take();
        // The last to leave takes the log along.
        let closed = self.elsewhere(move || {
            drop(pen);
            Ok(())
        });
        self.0.turn.close();
        if let Err(error) = closed.await {
            tracing::debug!(%error, "the database is closed with its process");
        }
        drop(permit);
    }

    pub(in super::super) fn is_closed(&self) -> bool {
        self.0.turn.is_closed()
    }

    pub(in super::super) fn in_use(&self) -> PoolUse {
        let idle = u32::from(self.resting().is_some());
        let busy = u32::from(self.0.turn.available_permits() == 0);
        PoolUse { name: "write", size: idle.max(busy), idle, max: 1 }
    }

    fn resting(&self) -> MutexGuard<'_, Option<Box<Pen>>> {
        self.0.at_rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn quick(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.quick.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pen {
    fn open(shared: &Shared) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&shared.path, flags)?;
        connection.set_prepared_statement_cache_capacity(256);
        connection.busy_timeout(BUSY)?;
        let synchronous = if shared.full_sync { "full" } else { "normal" };
        // Its cache is for the random digests of a bulk.
        connection.execute_batch(&format!(
            "pragma journal_mode = wal; pragma foreign_keys = on; pragma synchronous = {synchronous}; pragma cache_size = -16384"
        ))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        with_regexp(&connection)?;
        // In place of SQLite's own, which writes back within a commit, and so in the thread that asks for it.
        connection.wal_hook(Some(|_, pages| {
            LOGGED.set(pages);
            Ok(())
        }));
        let (since, late) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let held = late.clone();
        connection.progress_handler(
            STEPS,
            Some(move || {
                let at = held.load(Ordering::Relaxed);
                if at != 0 && nanoseconds(since.elapsed()) > at && is_replaceable() {
                    tokio::task::block_in_place(|| std::thread::sleep(STEP_ASIDE));
                    held.store(nanoseconds(since.elapsed() + STEP_AGAIN), Ordering::Relaxed);
                }
                false
            }),
        )?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(Self { connection, late, since })
    }

    /// Waits for locks of the file.
    fn patiently<T>(&self, work: impl FnOnce() -> Result<T, DbError>) -> Result<T, DbError> {
        self.connection.busy_timeout(BUSY)?;
        let done = work();
        self.connection.busy_timeout(Duration::ZERO)?;
        done
    }

    fn with<T>(&self, text: &str, keep: bool, work: impl FnOnce(&mut Statement<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        if keep { work(&mut *self.connection.prepare_cached(text)?) } else { work(&mut self.connection.prepare(text)?) }
    }

    fn run(&self, text: &str, values: &[Value]) -> rusqlite::Result<u64> {
        self.with(text, values.len() <= PREPARED_UP_TO, |statement| {
            bind(statement, values)?;
            let reads = statement.readonly();
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            Ok(if reads { 0 } else { self.connection.changes() })
        })
    }

    /// Does the work in a thread that others wait for.
    fn hurriedly(&self, work: Work) -> Result<Done, DbError> {
        self.late.store(nanoseconds(self.since.elapsed() + SHORT), Ordering::Relaxed);
        let done = self.work(work);
        self.late.store(0, Ordering::Relaxed);
        done
    }

    fn execute(&self, text: &str) -> rusqlite::Result<()> {
        self.with(text, true, |statement| statement.raw_execute()).map(drop)
    }

    fn work(&self, work: Work) -> Result<Done, DbError> {
        let mut done = Done::default();
        match work {
            Work::Rows(text, values) => {
                done.rows = self.with(&text, values.len() <= PREPARED_UP_TO, |statement| answer(statement, &values))?
            }
            Work::Run(text, values) => done.touched = self.run(&text, &values)?,
            Work::Insert(statements) => {
                for (text, values) in statements {
                    done.touched += self.run(&text, &values)?;
                }
            }
            Work::Script(text) => self.connection.execute_batch(&text)?,
        }
        Ok(done)
    }
}

impl Turn {
    fn pen(&self) -> Result<&Pen, DbError> {
        self.pen.as_deref().ok_or_else(|| DbError::Unavailable("the connection that writes is lost".to_owned()))
    }

    fn begin(&self) -> Result<(), DbError> {
        Ok(self.pen()?.execute("begin immediate")?)
    }

    /// The connection, if the transaction is still open: a disk that is full makes SQLite take it back by itself, and what followed would be committed by itself.
    fn within(&self) -> Result<&Pen, DbError> {
        let pen = self.pen()?;
        if pen.connection.is_autocommit() {
            return Err(DbError::Retry("the database has taken the transaction back".to_owned()));
        }
        Ok(pen)
    }

    fn commit(self) -> Result<(), DbError> {
        self.within()?.execute("commit")?;
        self.after_commit();
        Ok(())
    }

    /// Takes all that was done back.
    fn roll_back(&self) -> Result<(), DbError> {
        let pen = self.pen()?;
        if !pen.connection.is_autocommit() {
            pen.execute("rollback")?;
        }
        Ok(())
    }

    /// Writes the log back, if it is time. Nobody need wait for that but who writes next.
    fn after_commit(self) {
        if LOGGED.replace(0) < LOG_PAGES {
            return;
        }
        let writer = self.writer.clone();
        writer.later(move || {
            let written = self.pen().and_then(|pen| Ok(pen.connection.query_row("pragma wal_checkpoint", [], |_| Ok(()))?));
            self.writer.0.log_is_new.store(true, Ordering::Relaxed);
            if let Err(error) = written {
                // The log goes on growing; after the next commit it is tried again.
                tracing::warn!(%error, "the log of the database could not be written back");
            }
        });
    }

    fn is_heavy(&self) -> bool {
        self.taken >= SHORT
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(pen) = self.pen.take() else { return };
        let writer = self.writer.clone();
        if self.is_heavy() && !pen.connection.is_autocommit() {
            // What is much takes long to take back, too.
            let turn = Self { writer: writer.clone(), pen: Some(pen), taken: Duration::ZERO, permit: self.permit.take() };
            return writer.later(move || drop(turn));
        }
        if !pen.connection.is_autocommit()
            && let Err(error) = pen.execute("rollback")
        {
            // Whoever comes next opens another.
            return tracing::warn!(%error, "a transaction could not be taken back; its connection is closed");
        }
        *writer.resting() = Some(pen);
    }
}

/// Makes all that was done in a transaction visible, at once.
pub(in super::super) async fn commit(turn: Option<Turn>) -> Result<(), DbError> {
    let turn = turn.ok_or_else(abandoned)?;
    let writer = turn.writer.clone();
    // Many pages take long to write, and a disk to have them.
    let waits = writer.0.full_sync || writer.0.log_is_new.swap(false, Ordering::Relaxed) || turn.is_heavy();
    if waits { writer.elsewhere(move || turn.commit()).await } else { turn.commit() }
}

/// Takes all that was done back.
pub(in super::super) fn roll_back(turn: Option<Turn>) -> Result<(), DbError> {
    turn.map_or(Ok(()), |turn| turn.roll_back())
}

/// Runs a statement that gives rows.
pub(in super::super) async fn rows(turn: &mut Option<Turn>, sql: Sql) -> Result<Vec<Row>, DbError> {
    let (text, values) = sql.into_parts();
    let text = unnumbered(text, values.len());
    let key = key(turn, &text, &values);
    Ok(work(turn, key, Work::Rows(text, values)).await?.rows)
}

/// Runs a statement; how many rows it touched.
pub(in super::super) async fn run(turn: &mut Option<Turn>, sql: Sql) -> Result<u64, DbError> {
    let (text, values) = sql.into_parts();
    let text = unnumbered(text, values.len());
    let key = key(turn, &text, &values);
    Ok(work(turn, key, Work::Run(text, values)).await?.touched)
}

/// Inserts rows; how many are new, or were changed.
pub(in super::super) async fn insert(turn: &mut Option<Turn>, insert: Insert) -> Result<u64, DbError> {
    let mut statements = insert.for_sqlite();
    let Some((text, values)) = statements.next() else { return Ok(0) };
    let key = key(turn, &text, &values).filter(|_| statements.len() == 0);
    let statements = std::iter::once((text, values)).chain(statements);
    Ok(work(turn, key, Work::Insert(Box::new(statements))).await?.touched)
}

/// Runs several statements without values.
pub(in super::super) async fn script(turn: &mut Option<Turn>, text: &str) -> Result<(), DbError> {
    work(turn, None, Work::Script(text.to_owned())).await.map(drop)
}

fn abandoned() -> DbError {
    DbError::Retry("a statement of this transaction was not waited for, and it was taken back".to_owned())
}

/// By what it is remembered whether a statement was quick; none for one that another thread has to run: one of many values, and where no other thread
/// can stand in for this one, one that deletes, since nobody knows beforehand how many rows there are.
fn key(turn: &Option<Turn>, text: &str, values: &[Value]) -> Option<u64> {
    let writer = &turn.as_ref()?.writer.0;
    let deletes = text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("delete"));
    let may_be_here = values.len() <= PREPARED_UP_TO && (!deletes || is_replaceable());
    may_be_here.then(|| writer.hasher.hash_one(text))
}

/// Does the work where it belongs: here, if it was quick when it was done last.
async fn work(slot: &mut Option<Turn>, key: Option<u64>, work: Work) -> Result<Done, DbError> {
    let mut turn = slot.take().ok_or_else(abandoned)?;
    let writer = turn.writer.clone();
    if key.is_some_and(|key| writer.quick().contains(&key)) {
        let begun = Instant::now();
        let done = turn.within().and_then(|pen| pen.hurriedly(work));
        let taken = begun.elapsed();
        turn.taken += taken;
        if taken >= SHORT
            && let Some(key) = key
        {
            writer.quick().remove(&key);
        }
        if taken >= POLITE {
            tokio::task::yield_now().await;
        }
        *slot = Some(turn);
        return done;
    }
    let working = writer.elsewhere(move || {
        let begun = Instant::now();
        let done = turn.within().and_then(|pen| pen.work(work));
        let taken = begun.elapsed();
        turn.taken += taken;
        Ok((turn, done, taken))
    });
    let (turn, done, taken) = working.await?;
    *slot = Some(turn);
    if let Some(key) = key.filter(|_| taken < SHORT / 2 && done.is_ok()) {
        let mut quick = writer.quick();
        if quick.len() == LONG {
            quick.clear();
        }
        quick.insert(key);
    }
    done
}

#[cfg(test)]
mod tests;
