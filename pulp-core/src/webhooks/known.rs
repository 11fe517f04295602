//! Which webhooks there are, kept in the process: most have none, and every task that ends asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::Pulp;
use crate::db::{DbError, Executor};
use crate::model::Subscription;
use crate::pulp::WeakPulp;

/// The channel on which processes tell each other that webhooks have changed.
pub(super) const CHANNEL: &str = "webhook";

/// After this they are read again, in case that a change was not heard of.
const FRESH: Duration = Duration::from_secs(30);

type Kept = Option<(Instant, Arc<[Subscription]>)>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    kept: Mutex<Kept>,
    /// Counts changes: what was read before one is not kept after it.
    changes: AtomicU64,
    listening: OnceLock<Listening>,
}

/// Ends with the process’s Pulp.
#[derive(Debug)]
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Known {
    /// All that are enabled.
    pub(super) async fn all<E: Executor + ?Sized>(&self, pulp: &Pulp, executor: &E) -> Result<Arc<[Subscription]>, DbError> {
        self.listen(pulp);
        if let Some((since, all)) = &*self.kept()
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(all));
        }
        let before = self.changes.load(Ordering::SeqCst);
        let all: Arc<[Subscription]> = Subscription::all(executor).await?.into();
        let mut kept = self.kept();
        if self.changes.load(Ordering::SeqCst) == before {
            *kept = Some((Instant::now(), Arc::clone(&all)));
        }
        Ok(all)
    }

    /// They have changed.
    pub(super) fn forget(&self) {
        let mut kept = self.kept();
        self.changes.fetch_add(1, Ordering::SeqCst);
        *kept = None;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, pulp: &Pulp) {
        self.listening.get_or_init(|| {
            let notifications = pulp.db().notifications();
            Listening(tokio::spawn(hear(pulp.downgrade(), notifications)))
        });
    }
}

async fn hear(pulp: WeakPulp, mut notifications: tokio::sync::broadcast::Receiver<crate::db::Notification>) {
    loop {
        match notifications.recv().await {
            // An empty channel: the connection was lost for a while.
            Ok(told) if told.channel != CHANNEL && !told.channel.is_empty() => continue,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        match pulp.upgrade() {
            Some(pulp) => pulp.webhooks().known.forget(),
            None => return,
        }
    }
}

impl Pulp {
    /// Webhooks were made, changed or removed: tells all processes.
    pub(crate) async fn announce_webhooks(&self) {
        self.webhooks().known.forget();
        if let Err(error) = self.db().notify(CHANNEL, "").await {
            tracing::warn!(%error, "other processes hear of a change of webhooks half a minute later");
        }
    }
}
