//! Workers: slots of this process in which tasks run.

use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claim::{Lane, claim};
use super::hub::Stop;
use super::{AppRole, Housekeeping, Presence, run};
use crate::model::TaskRow;
use crate::{Pulp, Result};

/// How long to trust that new work is told before looking for oneself, at least; twice that at most.
const LOOK_AGAIN: Duration = Duration::from_millis(1_500);

/// Slots beside the ordinary ones that take only short tasks, so that these never wait behind long ones of other resources.
const SHORT_SLOTS: usize = 2;

/// How long aborted tasks may take to write that they were.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Runs tasks in this process, until [stopped](Workers::stop). All processes that have workers are equal.
///
/// Dropped without a stop, it abandons what runs, as a crash would: the tasks are failed when its signs of life are missed.
#[derive(Debug)]
pub struct Workers {
    pulp: Pulp,
    presence: Option<Presence>,
    housekeeping: Option<Housekeeping>,
    stop: CancellationToken,
    slots: Option<JoinHandle<()>>,
}

impl Workers {
    /// Starts `slots` slots (at least one) and the housekeeping.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn start(pulp: &Pulp, slots: usize) -> Result<Self> {
        let tasks = pulp.tasks();
        tasks.listen();
        tasks.set_own_schedules().await?;
        let presence = tasks.appear(AppRole::Worker).await?;
        let stop = CancellationToken::new();
        let slots = tokio::spawn(serve(pulp.clone(), presence.id(), slots.max(1), stop.clone()));
        let housekeeping = Housekeeping::start(pulp);
        Ok(Self { pulp: pulp.clone(), presence: Some(presence), housekeeping: Some(housekeeping), stop, slots: Some(slots) })
    }

    /// The key of this process’s row among the workers.
    pub fn id(&self) -> Option<Uuid> {
        self.presence.as_ref().map(Presence::id)
    }

    /// Takes no more tasks, lets those that run go on for `grace`, then aborts them, and leaves. What waits is left to others, or to
    /// the next start.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.cancel();
        drop(self.housekeeping.take());
        if let (Some(mut slots), Some(presence)) = (self.slots.take(), self.presence.take()) {
            if tokio::time::timeout(grace, &mut slots).await.is_err() {
                for running in self.pulp.hub().running().values().filter(|running| running.lease == presence.id()) {
                    running.stop(Stop::Shutdown);
                }
                if tokio::time::timeout(LAST_WORDS, &mut slots).await.is_err() {
                    tracing::error!("a task does not end; it is abandoned");
                    slots.abort();
                }
            }
            presence.leave().await;
        }
    }

    /// As [`Workers::stop`], with the grace that the settings give (`TASK_GRACE_INTERVAL`).
    pub async fn drain(self) {
        let grace = Duration::from_secs(self.pulp.settings().task_grace_interval.try_into().unwrap_or(0));
        self.stop(grace).await;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.abort();
        }
    }
}

/// Claims and runs, until told to stop; then waits for what runs.
async fn serve(pulp: Pulp, lease: Uuid, slots: usize, stop: CancellationToken) {
    let mut work = pulp.hub().work();
    let mut any: JoinSet<()> = JoinSet::new();
    let mut short: JoinSet<()> = JoinSet::new();
    loop {
        // What changes from here on is not missed.
        work.mark_unchanged();
        if stop.is_cancelled() {
            break;
        }
        if any.len() < slots {
            for row in look(&pulp, lease, slots - any.len(), Lane::Any).await {
                any.spawn(run::run(pulp.clone(), row, None));
            }
        }
        if any.len() >= slots && short.len() < SHORT_SLOTS {
            for row in look(&pulp, lease, SHORT_SLOTS - short.len(), Lane::Short).await {
                short.spawn(run::run(pulp.clone(), row, None));
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = any.join_next(), if !any.is_empty() => {}
            Some(_) = short.join_next(), if !short.is_empty() => {}
            // The sender lives in the handle that we hold.
            _ = work.changed(), if any.len() < slots || short.len() < SHORT_SLOTS => {}
            () = tokio::time::sleep(LOOK_AGAIN.mul_f64(1.0 + rand::random::<f64>())) => {}
        }
        // All that ended meanwhile.
        while any.try_join_next().is_some() {}
        while short.try_join_next().is_some() {}
    }
    while any.join_next().await.is_some() {}
    while short.join_next().await.is_some() {}
}

async fn look(pulp: &Pulp, lease: Uuid, most: usize, lane: Lane) -> Vec<TaskRow> {
    match claim(pulp, lease, most, lane).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(%error, "no task could be claimed; trying again");
            Vec::new()
        }
    }
}
