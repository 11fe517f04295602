//! Where the tasks of one process meet: what changed, who may look for work, what runs here.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::follow::Followers;
use super::{Presence, Tasks};
use crate::db::{Db, DbError, Executor, ExecutorExt, Sql, Tx};
use crate::model::TaskState;
use crate::pulp::WeakPulp;

/// The channel of notifications about tasks; the payload is `<task> <state>`.
const CHANNEL: &str = "task";

/// A task has come into a state. Told at least once; look at the row for the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskEvent {
    /// The task.
    pub task: Uuid,
    /// Its state.
    pub state: TaskState,
}

/// Why a running task’s future is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody cancelled it.
    Canceled,
    /// The process shuts down.
    Shutdown,
    /// The lease is lost: somebody else has written the result.
    Lost,
}

/// A task that runs in this process.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) lease: Uuid,
    pub(super) fence: i64,
    pub(super) cancel: CancellationToken,
    why: Arc<Mutex<Option<Stop>>>,
}

impl Running {
    pub(super) fn new(lease: Uuid, fence: i64) -> Self {
        Self { lease, fence, cancel: CancellationToken::new(), why: Arc::default() }
    }

    /// Ends it; the first reason counts.
    pub(super) fn stop(&self, why: Stop) {
        self.why.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(why);
        self.cancel.cancel();
    }

    /// Why it was told to end.
    pub(super) fn why(&self) -> Option<Stop> {
        *self.why.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// See the module.
pub(crate) struct Hub {
    events: broadcast::Sender<TaskEvent>,
    wake: watch::Sender<u64>,
    running: Mutex<HashMap<Uuid, Running>>,
    /// The processes’ signs of life that this process gives, by key.
    pub(super) presences: Mutex<Vec<Uuid>>,
    /// The one under which this process runs tasks beside its workers.
    pub(super) own: tokio::sync::OnceCell<Presence>,
    listening: OnceLock<Listening>,
    pub(super) followers: Followers,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            events: broadcast::channel(4_096).0,
            wake: watch::channel(0).0,
            running: Mutex::default(),
            presences: Mutex::default(),
            own: tokio::sync::OnceCell::new(),
            listening: OnceLock::new(),
            followers: Followers::default(),
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("running", &self.running().len()).finish_non_exhaustive()
    }
}

impl Hub {
    pub(super) fn running(&self) -> MutexGuard<'_, HashMap<Uuid, Running>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn events(&self) -> broadcast::Receiver<TaskEvent> {
        self.events.subscribe()
    }

    /// Changes whenever there may be work.
    pub(super) fn work(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// Tells all workers of this process to look for work.
    pub(super) fn wake(&self) {
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells this process. Other processes are told by [`tell_others`] in the transaction that makes it true.
    pub(super) fn tell(&self, task: Uuid, state: TaskState) {
        if state == TaskState::Canceling {
            let running = self.running().get(&task).cloned();
            if let Some(running) = running {
                running.stop(Stop::Canceled);
            }
        }
        // Nobody listening is no error.
        let _ = self.events.send(TaskEvent { task, state });
        if state == TaskState::Waiting || state.is_final() {
            self.wake();
        }
    }
}

/// Tells other processes, once `tx` is committed, that a task has come into a state.
pub(super) async fn tell_others(tx: &Tx, task: Uuid, state: TaskState) -> Result<(), DbError> {
    if let Some(notify) = tx.dialect().notify() {
        tx.rows(Sql::new(notify).bind(format!("{CHANNEL} {task} {state}"))).await?;
    }
    Ok(())
}

/// The same, outside a transaction.
pub(super) async fn tell_all(db: &Db, hub: &Hub, task: Uuid, state: TaskState) -> Result<(), DbError> {
    hub.tell(task, state);
    if let Some(notify) = db.dialect().notify() {
        db.execute(Sql::new(notify).bind(format!("{CHANNEL} {task} {state}"))).await?;
    }
    Ok(())
}

/// Ends with the process’s Pulp.
#[derive(Debug)]
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    /// State changes of tasks, those of other processes on the same database included, from now on. A receiver that lags loses
    /// the oldest.
    pub fn events(&self) -> broadcast::Receiver<TaskEvent> {
        self.listen();
        self.pulp.hub().events()
    }

    /// Hears what other processes tell, from now on.
    pub(super) fn listen(&self) {
        let db = self.pulp.db();
        if db.dialect().notify().is_some() {
            self.pulp.hub().listening.get_or_init(|| {
                let notifications = db.notifications();
                Listening(tokio::spawn(hear(self.pulp.downgrade(), notifications)))
            });
        }
    }
}

async fn hear(pulp: WeakPulp, mut notifications: broadcast::Receiver<crate::db::Notification>) {
    loop {
        let heard = notifications.recv().await;
        let Some(pulp) = pulp.upgrade() else { return };
        match heard {
            Ok(told) if told.channel == CHANNEL => {
                let parsed = told.payload.split_once(' ').and_then(|(task, state)| Some((task.parse().ok()?, state.parse().ok()?)));
                if let Some((task, state)) = parsed {
                    pulp.hub().tell(task, state);
                }
            }
            // The connection was lost, or we were too slow: anything may have happened.
            Ok(told) if told.channel.is_empty() => pulp.hub().wake(),
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => pulp.hub().wake(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
