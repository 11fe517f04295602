//! What serving keeps in the process.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use moka::future::Cache;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::changes::{CHANNEL, Change, Changes, Stamp};
use super::freshness::Freshness;
use super::lazy::Lately;
use super::render::Entity;
use super::stored::SmallFiles;
use super::{Redirect, Served, ServedFile};
use crate::db::{Db, DbError};
use crate::model::Distribution;

/// How many decisions are remembered.
const DECISIONS: u64 = 100_000;
/// How many content guards are remembered as they are in the database.
const GUARDS: u64 = 10_000;
/// Longer paths are not remembered: a client could fill the memory with them.
const LONGEST: usize = 512;
/// After this a decision is made again, in case that a change was not heard of. It stays in use while the database is away.
const FRESH: Duration = Duration::from_secs(60);
/// How long the database may take to confirm what is remembered, before that is used without.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// After this it is asked again.
const RESPITE: Duration = Duration::from_secs(1);

/// A remembered decision.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    File(Arc<ServedFile>),
    Redirect(Redirect),
    NotFound(String),
}

impl Decision {
    /// The part of a decision that can be remembered.
    pub(super) fn of(served: &Served) -> Option<Self> {
        match served {
            Served::File(file) => Some(Self::File(Arc::new(file.clone()))),
            Served::Redirect(to) => Some(Self::Redirect(to.clone())),
            Served::NotFound(reason) => Some(Self::NotFound(reason.clone())),
            _ => None,
        }
    }
}

impl From<Decision> for Served {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::File(file) => Self::File(Arc::unwrap_or_clone(file)),
            Decision::Redirect(to) => Self::Redirect(to),
            Decision::NotFound(reason) => Self::NotFound(reason),
        }
    }
}

/// A distribution as it was found for a path.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) distribution: Distribution,
    /// The guard’s key and type.
    pub(super) guard: Option<(Uuid, String)>,
    /// The repository whose changes change what is served.
    pub(super) repository: Option<Uuid>,
    /// For how long caches may keep its files.
    pub(super) freshness: Freshness,
}

impl Route {
    /// Whether earlier moments of its repository can be read. What a remote has is not of the past, and checkpoints are moments themselves.
    pub(super) fn travels(&self) -> bool {
        let distribution = &self.distribution;
        distribution.time_travel == Some(true) && !distribution.checkpoint && distribution.remote_id.is_none()
    }
}

/// What is remembered of a path.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) route: Arc<Route>,
    pub(super) decision: Decision,
    /// What its headers say, once they have been asked for.
    pub(super) entity: OnceLock<Entity>,
    stamp: Stamp,
    since: Instant,
}

impl Remembered {
    pub(super) fn is_fresh(&self) -> bool {
        self.since.elapsed() < FRESH
    }
}

/// What the database holds of a content guard; whether it lets a request pass is found out each time.
#[derive(Debug, Clone)]
struct Known {
    row: Arc<dyn Any + Send + Sync>,
    stamp: Stamp,
    since: Instant,
}

/// Domain and path of a request.
type Key = (Uuid, Box<str>);

/// What serving keeps in the process: one per [`Pulp`](crate::Pulp).
#[derive(Debug)]
pub(crate) struct State {
    /// Tells our own announcements from those of others.
    pub(super) id: Uuid,
    pub(super) changes: Changes,
    pub(super) small: SmallFiles,
    pub(super) lately: Lately,
    decisions: Cache<Key, Arc<Remembered>>,
    guards: Cache<Uuid, Known>,
    /// When the database could not be asked the last time.
    away: Mutex<Option<Instant>>,
    listening: OnceLock<AbortOnDrop>,
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            id: Uuid::new_v4(),
            changes: Changes::default(),
            small: SmallFiles::default(),
            lately: Lately::default(),
            decisions: Cache::new(DECISIONS),
            guards: Cache::new(GUARDS),
            away: Mutex::default(),
            listening: OnceLock::new(),
        }
    }
}

impl State {
    /// Begins, once, to listen for changes that other processes announce.
    pub(super) fn listen(self: &Arc<Self>, db: &Db) {
        self.listening.get_or_init(|| {
            let (state, db) = (Arc::downgrade(self), db.clone());
            AbortOnDrop(tokio::spawn(follow(state, db)).abort_handle())
        });
    }

    /// What is remembered of a path and still holds; perhaps not [fresh](Remembered::is_fresh).
    pub(super) async fn recall(&self, domain: Uuid, path: &str) -> Option<Arc<Remembered>> {
        if path.len() > LONGEST {
            return None;
        }
        let found = self.decisions.get(&(domain, path.into())).await?;
        self.changes.holds(found.stamp, found.route.repository).then_some(found)
    }

    /// Remembers a decision that began to be made at `stamp`; whether it does.
    pub(super) async fn remember(&self, domain: Uuid, path: &str, route: Arc<Route>, decision: Decision, stamp: Stamp) -> bool {
        if path.len() > LONGEST {
            return false;
        }
        let remembered = Arc::new(Remembered { route, decision, entity: OnceLock::new(), stamp, since: Instant::now() });
        self.decisions.insert((domain, path.into()), remembered).await;
        true
    }

    /// What the database holds of a content guard, from memory where that still holds; and where the database cannot be asked, what it held
    /// when it could, unless it is known to have changed.
    pub(super) async fn guard<T, F>(&self, guard: Uuid, read: F) -> Result<Option<Arc<T>>, DbError>
    where
        T: Any + Send + Sync,
        F: Future<Output = Result<Option<T>, DbError>>,
    {
        let stamp = self.changes.stamp();
        let known = self.guards.get(&guard).await.filter(|known| self.changes.holds(known.stamp, None));
        let known = known.and_then(|known| Some((known.row.downcast::<T>().ok()?, known.since)));
        match known {
            Some((row, since)) if since.elapsed() < FRESH || self.is_database_away() => Ok(Some(row)),
            Some((row, _)) => match tokio::time::timeout(PATIENCE, read).await {
                Err(_) | Ok(Err(DbError::Unavailable(_))) => {
                    self.note_database_away();
                    Ok(Some(row))
                }
                Ok(read) => self.know(guard, read?, stamp).await,
            },
            None => self.know(guard, read.await?, stamp).await,
        }
    }

    /// Whether it was just found that the database cannot be asked: then not each request need wait to find out the same.
    pub(super) fn is_database_away(&self) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|noted| noted.elapsed() < RESPITE)
    }

    pub(super) fn note_database_away(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    async fn know<T: Any + Send + Sync>(&self, guard: Uuid, row: Option<T>, stamp: Stamp) -> Result<Option<Arc<T>>, DbError> {
        let Some(row) = row.map(Arc::new) else { return Ok(None) };
        self.guards.insert(guard, Known { row: row.clone(), stamp, since: Instant::now() }).await;
        Ok(Some(row))
    }

    /// Applies a change.
    pub(crate) fn apply(&self, change: Change) {
        if change == Change::Everything {
            self.small.clear();
        }
        self.changes.apply(change);
    }

    /// Forgets a path: what was decided for it turned out to be wrong.
    pub(super) async fn forget(&self, domain: Uuid, path: &str) {
        self.decisions.invalidate(&(domain, path.into())).await;
    }
}

/// Applies what other processes announce, as long as there is something to apply it to.
async fn follow(state: Weak<State>, db: Db) {
    let mut notifications = db.notifications();
    loop {
        let change = match notifications.recv().await {
            Ok(notification) if notification.channel == CHANNEL => {
                let (sender, word) = notification.payload.split_once(' ').unwrap_or_default();
                let ours = state.upgrade().is_some_and(|state| sender == state.id.simple().to_string());
                if ours {
                    continue;
                }
                Change::from_word(word)
            }
            // The connection was lost for a while.
            Ok(notification) if notification.channel.is_empty() => Change::Everything,
            Ok(_) => continue,
            Err(RecvError::Lagged(_)) => Change::Everything,
            Err(RecvError::Closed) => return,
        };
        match state.upgrade() {
            Some(state) => state.apply(change),
            None => return,
        }
    }
}
