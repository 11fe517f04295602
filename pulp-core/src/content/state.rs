//! What serving keeps in the process.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
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
const DECISIONS: usize = 100_000;
/// How many content guards are remembered as they are in the database.
const GUARDS: usize = 10_000;
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Uuid, Box<str>);

/// The same, of a request that is not remembered yet.
#[derive(Hash)]
struct Asked<'a>(Uuid, &'a str);

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0 && self.1 == &*key.1
    }
}

/// What serving keeps in the process: one per [`Pulp`](crate::Pulp).
#[derive(Debug)]
pub(crate) struct State {
    /// Tells our own announcements from those of others.
    pub(super) id: Uuid,
    pub(super) changes: Changes,
    pub(super) small: Arc<SmallFiles>,
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
            small: Arc::default(),
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
    pub(super) fn recall(&self, domain: Uuid, path: &str) -> Option<Arc<Remembered>> {
        if path.len() > LONGEST {
            return None;
        }
        let found = self.decisions.get(&Asked(domain, path))?;
        self.changes.holds(found.stamp, found.route.repository).then_some(found)
    }

    /// Remembers a decision that began to be made at `stamp`; whether it does.
    pub(super) fn remember(&self, domain: Uuid, path: &str, route: Arc<Route>, decision: Decision, stamp: Stamp) -> bool {
        if path.len() > LONGEST {
            return false;
        }
        let remembered = Arc::new(Remembered { route, decision, entity: OnceLock::new(), stamp, since: Instant::now() });
        self.decisions.insert(Key(domain, path.into()), remembered);
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
        let known = self.guards.get(&guard).filter(|known| self.changes.holds(known.stamp, None));
        let known = known.and_then(|known| Some((known.row.downcast::<T>().ok()?, known.since)));
        match known {
            Some((row, since)) if since.elapsed() < FRESH || self.is_database_away() => Ok(Some(row)),
            Some((row, _)) => match tokio::time::timeout(PATIENCE, read).await {
                Err(_) | Ok(Err(DbError::Unavailable(_))) => {
                    self.note_database_away();
                    Ok(Some(row))
                }
                Ok(read) => Ok(self.know(guard, read?, stamp)),
            },
            None => Ok(self.know(guard, read.await?, stamp)),
        }
    }

    /// Whether it was just found that the database cannot be asked: then not each request need wait to find out the same.
    pub(super) fn is_database_away(&self) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|noted| noted.elapsed() < RESPITE)
    }

    pub(super) fn note_database_away(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn know<T: Any + Send + Sync>(&self, guard: Uuid, row: Option<T>, stamp: Stamp) -> Option<Arc<T>> {
        let row = Arc::new(row?);
        self.guards.insert(guard, Known { row: row.clone(), stamp, since: Instant::now() });
        Some(row)
    }

    /// Applies a change.
    pub(crate) fn apply(&self, change: Change) {
        if change == Change::Everything {
            self.small.clear();
        }
        self.changes.apply(change);
    }

    /// Forgets a path: what was decided for it turned out to be wrong.
    pub(super) fn forget(&self, domain: Uuid, path: &str) {
        self.decisions.remove(&Asked(domain, path));
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
