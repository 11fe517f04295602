//! Housekeeping: small idempotent pieces of work that are done again and again, by every process that has workers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinSet;

use super::{Tasks, claim};
use crate::clock::Timestamp;
use crate::db::replaceable;
use crate::settings::Settings;
use crate::{Pulp, Result};

type Run = Arc<dyn Fn(Pulp) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// One piece of housekeeping. It looks at what is and mends what should not be; doing it twice, or in two processes at once, does no harm.
#[derive(Clone)]
pub struct Reconciler {
    name: &'static str,
    every: Duration,
    run: Run,
}

impl Reconciler {
    /// Does `run` again and again, about `every` apart.
    pub fn new<F>(name: &'static str, every: Duration, run: impl Fn(Pulp) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self { name, every, run: Arc::new(move |pulp| Box::pin(run(pulp))) }
    }

    /// For the log.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Does it once, now.
    ///
    /// # Errors
    /// As it says.
    pub async fn run(&self, pulp: &Pulp) -> Result<()> {
        (self.run)(pulp.clone()).await
    }

    /// What the core itself looks after.
    pub(super) fn of_core(settings: &Settings) -> [Self; 5] {
        // Whoever wants to know soon that a worker is gone must look often.
        let lifetime = Duration::from_secs(settings.worker_ttl.unsigned_abs().max(1));
        [
            Self::new("reap", (lifetime / 2).min(Duration::from_secs(5)), |pulp| async move { pulp.tasks().reap().await.map(drop) }),
            Self::new("unblock", lifetime.min(Duration::from_secs(30)), |pulp| async move {
                match claim::unblock_all(&pulp).await? {
                    0 => {}
                    count => tracing::info!(count, "tasks were waiting for nothing"),
                }
                Ok(())
            }),
            Self::new("audit", Duration::from_secs(3_600), |pulp| async move { Ok(pulp.forget_audit().await?) }),
            Self::new("scrub", Duration::from_secs(10), |pulp| async move { pulp.tasks().dispatch_scrub().await.map(drop) }),
            Self::new("schedules", Duration::from_secs(5), |pulp| async move { pulp.tasks().dispatch_due().await.map(drop) }),
        ]
    }
}

/// The moment so many minutes ago; none where 0 minutes mean: never.
pub(super) fn minutes_ago(pulp: &Pulp, minutes: i64) -> Option<Timestamp> {
    let age = chrono::TimeDelta::try_minutes(minutes).filter(|_| minutes > 0)?;
    pulp.now().checked_sub_signed(age)
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
}

impl Tasks {
    /// All pieces of housekeeping: the core’s own and those of the plugins.
    pub fn housekeeping(&self) -> impl Iterator<Item = Reconciler> + '_ {
        Reconciler::of_core(self.pulp.settings()).into_iter().chain(self.pulp.registry().reconcilers().iter().cloned())
    }
}

/// Runs all [`Reconciler`]s of a [`Pulp`] until it is dropped. [`Workers`](super::Workers) bring it along.
#[derive(Debug)]
pub struct Housekeeping {
    _loops: JoinSet<()>,
}

impl Housekeeping {
    /// Starts; each is done at once, and then again and again.
    pub fn start(pulp: &Pulp) -> Self {
        let mut loops = JoinSet::new();
        for reconciler in pulp.tasks().housekeeping() {
            loops.spawn(replaceable(repeat(pulp.clone(), reconciler)));
        }
        Self { _loops: loops }
    }
}

async fn repeat(pulp: Pulp, reconciler: Reconciler) {
    loop {
        if let Err(error) = reconciler.run(&pulp).await {
            tracing::warn!(
                name = reconciler.name,
                error = &error as &dyn std::error::Error,
                "housekeeping could not be done; trying again"
            );
        }
        // Not all processes at the same moment.
        tokio::time::sleep(reconciler.every.mul_f64(0.75 + 0.5 * rand::random::<f64>())).await;
    }
}
