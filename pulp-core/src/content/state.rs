//! What serving keeps in the process.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use tokio::sync::OnceCell;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::changes::{CHANNEL, Change, Changes, Stamp};
use super::freshness::Freshness;
use super::lazy::Lately;
use super::path::base_paths;
use super::render::Entity;
use super::service::{CACHE, HIT};
use super::stored::SmallFiles;
use super::{Redirect, Served, ServedFile};
use crate::db::{Db, DbError};
use crate::model::{Distribution, PublishedVersion, Tree};
use crate::storage::Storage;

/// How many decisions are remembered.
const DECISIONS: usize = 100_000;
/// How many distributions are remembered by their base paths.
const ROUTES: usize = 10_000;
/// How many domains, content guards and remotes are remembered as they are in the database.
const ROWS: usize = 10_000;
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
    /// Whether every path below its base path is its own: no other distribution lies there.
    pub(super) alone: bool,
    /// Where it points.
    pub(super) target: Target,
    /// When it was looked up.
    pub(super) stamp: Stamp,
    pub(super) since: Instant,
}

/// Where a distribution points, once somebody has asked.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) publication: OnceCell<Option<PublishedVersion>>,
    pub(super) version: OnceCell<Option<Tree>>,
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
    entity: OnceLock<Entity>,
    /// Whether it lies on this host, once that was asked.
    here: OnceLock<bool>,
    stamp: Stamp,
    since: Instant,
}

impl Remembered {
    /// What is said of the file that it is.
    pub(super) fn entity(&self, file: &ServedFile) -> &Entity {
        self.entity.get_or_init(|| Entity::of(&file.representation, Some(&self.route)).with(CACHE, HIT))
    }

    /// Whether the file that it is lies on this host.
    pub(super) fn is_here(&self, storage: &Arc<dyn Storage>, file: &ServedFile) -> bool {
        *self.here.get_or_init(|| storage.local_file(&file.path).is_some())
    }
}

/// A row that is asked for at many requests.
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
    routes: Cache<Key, Arc<Route>>,
    rows: Cache<Key, Known>,
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
            routes: Cache::new(ROUTES),
            rows: Cache::new(ROWS),
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

    /// What is remembered of a path and still holds; perhaps not [fresh](Self::is_fresh).
    pub(super) fn recall(&self, domain: Uuid, path: &str) -> Option<Arc<Remembered>> {
        if path.len() > LONGEST {
            return None;
        }
        let found = self.decisions.get(&Asked(domain, path))?;
        self.changes.holds(found.stamp, found.route.repository).then_some(found)
    }

    /// Whether what was decided need not be confirmed: it is young, and no change can have been missed.
    pub(super) fn is_fresh(&self, remembered: &Remembered, now: Instant) -> bool {
        self.is_young(remembered.since, remembered.stamp, now)
    }

    fn is_young(&self, since: Instant, stamp: Stamp, now: Instant) -> bool {
        now.saturating_duration_since(since) < FRESH && self.changes.is_certain(stamp)
    }

    /// Remembers a decision that began to be made at `stamp`; whether it does. It is as old as what is known of its route.
    pub(super) fn remember(&self, domain: Uuid, path: &str, route: Arc<Route>, decision: Decision, stamp: Stamp) -> bool {
        if path.len() > LONGEST {
            return false;
        }
        let since = route.since;
        let remembered = Arc::new(Remembered { route, decision, entity: OnceLock::new(), here: OnceLock::new(), stamp, since });
        self.decisions.insert(Key(domain, path.into()), remembered);
        true
    }

    /// The distribution that a path lies under, if that was found lately for it or for another path, and still holds.
    pub(super) fn route(&self, domain: Uuid, path: &str) -> Option<Arc<Route>> {
        let found = base_paths(path).into_iter().find_map(|base| self.routes.get(&Asked(domain, base)))?;
        (self.is_young(found.since, found.stamp, Instant::now()) && self.changes.holds(found.stamp, found.repository)).then_some(found)
    }

    /// Remembers a distribution for all paths below its base path, if none of them can be another’s.
    pub(super) fn remember_route(&self, domain: Uuid, route: &Arc<Route>) {
        let base = route.distribution.base_path.as_str();
        if route.alone && base.len() <= LONGEST {
            self.routes.insert(Key(domain, base.into()), Arc::clone(route));
        }
    }

    /// What the database holds of a domain, by its name: see [`row`](Self::row).
    pub(super) async fn domain<T, F>(&self, name: &str, read: F) -> Result<Option<Arc<T>>, DbError>
    where
        T: Any + Send + Sync,
        F: Future<Output = Result<Option<T>, DbError>>,
    {
        self.known(Uuid::nil(), name, read).await
    }

    /// What the database holds under a key, from memory where that still holds; and where the database cannot be asked, what it held when it
    /// could, unless it is known to have changed. Only for what changes with a [`Change`] to everything or to the distributions.
    pub(super) async fn row<T, F>(&self, id: Uuid, read: F) -> Result<Option<Arc<T>>, DbError>
    where
        T: Any + Send + Sync,
        F: Future<Output = Result<Option<T>, DbError>>,
    {
        self.known(id, "", read).await
    }

    async fn known<T, F>(&self, id: Uuid, name: &str, read: F) -> Result<Option<Arc<T>>, DbError>
    where
        T: Any + Send + Sync,
        F: Future<Output = Result<Option<T>, DbError>>,
    {
        if name.len() > LONGEST {
            return Ok(read.await?.map(Arc::new));
        }
        let stamp = self.changes.stamp();
        let known = self.held(id, name);
        let know = |row: Option<T>| {
            let Some(row) = row.map(Arc::new) else {
                self.rows.remove(&Asked(id, name));
                return None;
            };
            self.rows.insert(Key(id, name.into()), Known { row: row.clone(), stamp, since: Instant::now() });
            Some(row)
        };
        match known {
            Some((row, young)) if young || self.is_database_away() => Ok(Some(row)),
            Some((row, _)) => match tokio::time::timeout(PATIENCE, read).await {
                Err(_) | Ok(Err(DbError::Unavailable(_))) => {
                    self.note_database_away();
                    Ok(Some(row))
                }
                Ok(read) => Ok(know(read?)),
            },
            None => Ok(know(read.await?)),
        }
    }

    /// The same, if there is no need to ask the database.
    pub(super) fn row_at_hand<T: Any + Send + Sync>(&self, id: Uuid) -> Option<Arc<T>> {
        self.held(id, "").and_then(|(row, young)| young.then_some(row))
    }

    /// A row that still holds, as far as is known; and whether it is young.
    fn held<T: Any + Send + Sync>(&self, id: Uuid, name: &str) -> Option<(Arc<T>, bool)> {
        let known = self.rows.get(&Asked(id, name)).filter(|known| self.changes.holds(known.stamp, None))?;
        Some((known.row.downcast::<T>().ok()?, self.is_young(known.since, known.stamp, Instant::now())))
    }

    /// Whether it was just found that the database cannot be asked: then not each request need wait to find out the same.
    pub(super) fn is_database_away(&self) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|noted| noted.elapsed() < RESPITE)
    }

    pub(super) fn note_database_away(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Applies a change.
    pub(crate) fn apply(&self, change: Change) {
        if change == Change::Everything {
            self.small.clear();
        }
        self.changes.apply(change);
    }

    /// Notes that changes may have been missed: what is remembered is confirmed before it is used again, as soon as the database can be
    /// asked; and it has just answered.
    fn doubt(&self) {
        self.small.clear();
        self.changes.doubt();
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
                Some(Change::from_word(word))
            }
            // The connection was lost for a while.
            Ok(notification) if notification.channel.is_empty() => None,
            Ok(_) => continue,
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => return,
        };
        match (state.upgrade(), change) {
            (Some(state), Some(change)) => state.apply(change),
            (Some(state), None) => state.doubt(),
            (None, _) => return,
        }
    }
}
