//! Signs of life: one row per process and role, renewed by a heartbeat. A worker’s row is also its lease on the tasks that it runs.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Tasks;
use super::hub::Stop;
use crate::clock::Timestamp;
use crate::db::{DbError, ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{AppStatus, TaskState};
use crate::pulp::WeakPulp;
use crate::{Pulp, Result};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppRole {
    /// Answers the REST API.
    Api,
    /// Serves content.
    Content,
    /// Runs tasks.
    Worker,
}

impl AppRole {
    /// As in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Content => "content",
            Self::Worker => "worker",
        }
    }

    fn ttl(self, pulp: &Pulp) -> i64 {
        let settings = pulp.settings();
        let seconds = match self {
            Self::Api => settings.api_app_ttl,
            Self::Content => settings.content_app_ttl,
            Self::Worker => settings.worker_ttl,
        };
        seconds.max(1)
    }
}

/// How long a process that ends tries to say so.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Signs of life of this process in one role, given until this is dropped. [`Presence::leave`] also takes the row away; after a mere
/// drop it goes stale, as after a crash.
#[derive(Debug)]
pub struct Presence {
    id: Uuid,
    pulp: WeakPulp,
    heart: JoinHandle<()>,
}

impl Presence {
    /// The row’s key.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Stops, and takes the row away, as a process does that ends in good order.
    pub async fn leave(self) {
        self.heart.abort();
        if let Some(pulp) = self.pulp.upgrade() {
            let gone = pulp.db().execute(Sql::new("delete from core_appstatus where pulp_id = $1").bind(self.id));
            let why = match tokio::time::timeout(LAST_WORDS, gone).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the database does not answer".to_owned(),
            };
            tracing::warn!(error = why, "the row that shows this process as online could not be taken away; it will go stale");
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.heart.abort();
        if let Some(pulp) = self.pulp.upgrade() {
            presences(&pulp).retain(|id| *id != self.id);
        }
    }
}

impl Tasks {
    /// Shows this process as online in a role, from now on. Workers do so themselves.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn appear(&self, role: AppRole) -> Result<Presence> {
        let pulp = &self.pulp;
        let ttl = role.ttl(pulp);
        let id = new_id();
        beat(pulp, id, role, ttl).await?;
        presences(pulp).push(id);
        let heart = tokio::spawn(keep_alive(pulp.downgrade(), id, role, ttl));
        Ok(Presence { id, pulp: pulp.downgrade(), heart })
    }

    /// The processes in a role that show signs of life, the latest started first.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn online(&self, role: AppRole) -> Result<Vec<AppStatus>> {
        let sql = Sql::new("select * from core_appstatus where app_type = $1 order by pulp_created desc").bind(role.as_str());
        let now = self.pulp.now();
        let all: Vec<AppStatus> = self.pulp.db().all(sql).await?;
        Ok(all.into_iter().filter(|app| app.is_online(now)).collect())
    }

    /// The key under which this process runs tasks beside its workers.
    pub(super) async fn own_lease(&self) -> Result<Uuid> {
        let own = self.pulp.hub().own.get_or_try_init(|| self.appear(AppRole::Api)).await?;
        Ok(own.id())
    }
}

pub(super) fn presences(pulp: &Pulp) -> std::sync::MutexGuard<'_, Vec<Uuid>> {
    pulp.hub().presences.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// `<pid>@<host>`, as Pulp names its processes.
fn process_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let host = host.trim();
    format!("{}@{}", std::process::id(), if host.is_empty() { "localhost" } else { host })
}

/// Versions of the core and the plugins, by label.
pub(super) fn versions(pulp: &Pulp) -> Json {
    let all = std::iter::once(&crate::CORE).chain(pulp.registry().plugins());
    Json::Object(all.map(|plugin| (plugin.label.to_owned(), plugin.version.into())).collect())
}

/// Writes the sign of life; makes the row (again) if it is not there.
async fn beat(pulp: &Pulp, id: Uuid, role: AppRole, ttl: i64) -> Result<(), DbError> {
    let now: Timestamp = pulp.now();
    let renew = Sql::new("update core_appstatus set last_heartbeat = $2 where pulp_id = $1").bind(id).bind(now);
    if pulp.db().execute(renew).await? == 0 {
        let insert = Sql::new(
            "insert into core_appstatus (pulp_id, pulp_created, pulp_last_updated, app_type, name, versions, ttl, last_heartbeat) \
             values ($1, $2, $2, $3, $4, $5, $6, $2) on conflict (pulp_id) do nothing",
        );
        let insert = insert.bind(id).bind(now).bind(role.as_str()).bind(process_name()).bind(versions(pulp)).bind(ttl);
        pulp.db().execute(insert).await?;
    }
    Ok(())
}

async fn keep_alive(pulp: WeakPulp, id: Uuid, role: AppRole, ttl: i64) {
    // Several beats fit into a lifetime, so that one that is lost does no harm; and a cancellation that was not heard is seen soon.
    let period = Duration::from_millis((ttl.unsigned_abs() * 1_000 / 6).clamp(250, 5_000));
    loop {
        tokio::time::sleep(period).await;
        let Some(pulp) = pulp.upgrade() else { return };
        let alive = async {
            beat(&pulp, id, role, ttl).await?;
            check_leases(&pulp, id).await
        };
        if let Err(error) = alive.await {
            tracing::warn!(%error, "this process could not show a sign of life");
        }
    }
}

/// Ends those tasks of this process that it no longer holds (it was thought dead) or that somebody has cancelled without our hearing it.
async fn check_leases(pulp: &Pulp, lease: Uuid) -> Result<(), DbError> {
    let ours: Vec<_> =
        pulp.hub().running().iter().filter(|(_, running)| running.lease == lease).map(|(id, running)| (*id, running.clone())).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let sql =
        Sql::new("select pulp_id, fence, state from core_task where app_lock_id = $1 and state in ('running', 'canceling')").bind(lease);
    let held: Vec<(Uuid, i64, String)> = pulp.db().all(sql).await?;
    for (id, running) in ours {
        match held.iter().find(|(task, fence, _)| *task == id && *fence == running.fence) {
            Some((_, _, state)) if state == TaskState::Canceling.as_str() => running.stop(Stop::Canceled),
            Some(_) => {}
            // It may have ended in the meantime: then nobody listens any more.
            None => running.stop(Stop::Lost),
        }
    }
    Ok(())
}
