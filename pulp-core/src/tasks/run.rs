//! Running one claimed task: its future, the writing of its progress beside it, its time limit, its cancellation, its panic.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::{Value as Json, json};
use tracing::Instrument;
use uuid::Uuid;

use super::diagnostics::MemoryProfile;
use super::finish::{Ending, finish};
use super::hub::{Running, Stop};
use super::progress::Notes;
use super::{TaskContext, TaskKind, TaskOutput};
use crate::db::{DbError, replaceable};
use crate::model::{Domain, Model, TaskRow, TaskState};
use crate::{Error, Pulp, Result};

/// How long an immediate task may take.
pub(super) const IMMEDIATE_LIMIT: Duration = Duration::from_secs(5);

/// How often progress is written.
const WRITE_EVERY: Duration = Duration::from_millis(500);

/// How long the end of a task is tried to be written when the database refuses it for a reason that may not pass.
const KEEP_TRYING: Duration = Duration::from_secs(300);

/// The error of a task that did not fail by itself.
pub(super) fn ended_from_outside(reason: &str) -> Json {
    json!({ "reason": reason, "description": reason, "traceback": null })
}

/// The error of a task that failed by itself. Only where Pulp has a code for it, it tells one.
fn failure(error: &Error) -> Json {
    let mut failure = json!({ "traceback": null, "description": error.public_message() });
    if let Some(code) = error.pulp_code() {
        failure["error_code"] = code.into();
    }
    failure
}

/// Ends with the task, however that ends: what runs here is what the table says.
struct Registered<'a> {
    pulp: &'a Pulp,
    task: Uuid,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.pulp.hub().running().remove(&self.task);
    }
}

/// Runs a task that this process has claimed, and writes how it ended.
pub(super) async fn run(pulp: Pulp, row: TaskRow, limit: Option<Duration>) {
    let span = tracing::info_span!("task", id = %row.pulp_id, name = %row.name, cid = %row.logging_cid);
    replaceable(supervise(&pulp, row, limit).instrument(span)).await;
}

async fn supervise(pulp: &Pulp, row: TaskRow, limit: Option<Duration>) {
    let Some(lease) = row.app_lock_id else { return };
    let running = Running::new(lease, row.fence);
    pulp.hub().running().insert(row.pulp_id, running.clone());
    let _registered = Registered { pulp, task: row.pulp_id };
    let notes = Arc::new(Notes::default());
    let mut memory = MemoryProfile::begin(pulp, &row).await;
    // By the name that the registry gives it, so that there are no more names than kinds.
    let kind = pulp.registry().find_task(&row.name).map(TaskKind::name);
    let metrics = &pulp.metrics().tasks;
    if let Some(kind) = kind {
        let waited = row.started_at.zip(row.unblocked_at).and_then(|(started, ready)| (started - ready).to_std().ok());
        metrics.began(kind, waited.unwrap_or_default());
    }
    let began = Instant::now();
    let ending = work(pulp, &row, limit, &running, &notes, memory.as_mut()).await;
    if let (Some(kind), Some(ending)) = (kind, &ending) {
        metrics.ended(kind, ending.state, began.elapsed());
    }
    match ending {
        Some(ending) => {
            if let Some(memory) = memory {
                memory.keep(pulp, &row).await;
            }
            write_ending(pulp, &row, &ending, &notes).await;
        }
        None => tracing::warn!("this process no longer holds the task; its work is dropped"),
    }
}

/// Runs the task itself. `None`: the lease was lost, there is nothing to write.
async fn work(
    pulp: &Pulp,
    row: &TaskRow,
    limit: Option<Duration>,
    running: &Running,
    notes: &Arc<Notes>,
    memory: Option<&mut MemoryProfile>,
) -> Option<Ending> {
    let start = Instant::now();
    tracing::debug!("started");
    let outcome = tokio::select! {
        biased;
        () = running.cancel.cancelled() => None,
        outcome = AssertUnwindSafe(execute(pulp, row, running, notes)).catch_unwind() => Some(outcome),
        () = within(limit) => {
            let reason = format!("Immediate task {} timed out after {} seconds.", row.name, IMMEDIATE_LIMIT.as_secs());
            Some(Ok(Err(Error::Conflict(reason))))
        }
        () = write_progress(pulp, row.pulp_id, notes) => None,
        () = watch(memory) => None,
    };
    let elapsed = start.elapsed();
    Some(match outcome {
        Some(Ok(Ok(output))) => {
            tracing::info!(?elapsed, "completed");
            Ending { result: output.result, ..Ending::new(TaskState::Completed) }
        }
        Some(Ok(Err(Error::Canceled))) if running.why().is_none() => {
            tracing::info!(?elapsed, "canceled");
            Ending::new(TaskState::Canceled)
        }
        Some(Ok(Err(error))) if running.why().is_none() => {
            tracing::error!(?elapsed, error = &error as &dyn std::error::Error, "failed");
            Ending::new(TaskState::Failed).with_error(failure(&error))
        }
        Some(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(?elapsed, panic = text.unwrap_or("of an unknown kind"), "panicked");
            Ending::new(TaskState::Failed).with_error(failure(&Error::Internal("the task panicked".to_owned())))
        }
        Some(Ok(Err(_))) | None => match running.why() {
            Some(Stop::Lost) => return None,
            Some(Stop::Shutdown) => {
                tracing::warn!(?elapsed, "aborted during shutdown");
                Ending::new(TaskState::Failed).with_error(ended_from_outside("Aborted during worker shutdown."))
            }
            Some(Stop::Canceled) | None => {
                tracing::info!(?elapsed, "canceled");
                Ending::new(TaskState::Canceled)
            }
        },
    })
}

async fn execute(pulp: &Pulp, row: &TaskRow, running: &Running, notes: &Arc<Notes>) -> Result<TaskOutput> {
    let kind = pulp.registry().find_task(&row.name);
    let kind = kind.ok_or_else(|| Error::Internal(format!("task {} is not registered: its plugin is missing", row.name)))?;
    let domain = if row.pulp_domain_id == pulp.default_domain().pulp_id {
        pulp.default_domain().clone()
    } else {
        Arc::new(Domain::find(pulp.db(), row.pulp_domain_id).await?)
    };
    let cx = TaskContext::new(pulp.clone(), row, domain, running.cancel.clone(), notes.clone());
    kind.run(arguments(pulp, row)?, cx).await
}

/// The task’s arguments as they were dispatched.
fn arguments(pulp: &Pulp, row: &TaskRow) -> Result<Json> {
    let unreadable = |reason: String| Error::Internal(format!("the arguments of task {} cannot be read: {reason}", row.name));
    let sealed = row.args.as_str().ok_or_else(|| unreadable("they are not encrypted".to_owned()))?;
    let text = pulp.unseal(sealed).map_err(|error| {
        tracing::error!(%error, "the arguments cannot be decrypted");
        let reason = "the task was encrypted with a key that this worker does not have: give all processes the same key file";
        Error::Setting { name: "DB_ENCRYPTION_KEY".to_owned(), reason: reason.to_owned() }
    })?;
    serde_json::from_str(text.expose()).map_err(|error| unreadable(error.to_string()))
}

async fn watch(memory: Option<&mut MemoryProfile>) {
    match memory {
        Some(memory) => memory.record().await,
        None => std::future::pending().await,
    }
}

async fn within(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Writes what the task notes, for ever. Polled beside the task, never before it: both may want the same row or the one connection that
/// writes.
async fn write_progress(pulp: &Pulp, task: Uuid, notes: &Notes) {
    let mut ticks = tokio::time::interval(WRITE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is at once, and nothing is noted then.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let unwritten = notes.take();
        if unwritten.is_empty() {
            continue;
        }
        match unwritten.write(pulp.db(), task, pulp.now()).await {
            Ok(()) => unwritten.written(),
            // It is tried again at the next tick, and with the task's end.
            Err(error) => tracing::debug!(%error, "progress could not be written"),
        }
    }
}

async fn write_ending(pulp: &Pulp, row: &TaskRow, ending: &Ending, notes: &Notes) {
    let begun = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        match finish(pulp, row, ending, notes).await {
            Ok(true) => return,
            Ok(false) => {
                tracing::warn!("the task was taken from this process before it ended; its result is dropped");
                return;
            }
            Err(error) if gives_up(&error, begun.elapsed()) => {
                tracing::error!(%error, "the end of the task could not be written; it is failed when this process is gone");
                return;
            }
            Err(error) => tracing::warn!(%error, "the end of the task could not be written; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Whether the end of a task is written no more: never because the database is away or full, or nobody would, and what the task had
/// reserved would stay so.
fn gives_up(error: &DbError, tried: Duration) -> bool {
    !error.is_retryable() && !matches!(error, DbError::Full) && tried >= KEEP_TRYING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_written_however_long_the_database_is_away() {
        let day = Duration::from_secs(86_400);
        for passes in [DbError::Unavailable(String::new()), DbError::Retry(String::new()), DbError::Full] {
            assert!(!gives_up(&passes, day), "{passes}");
        }
        assert!(!gives_up(&DbError::NoRow, Duration::from_secs(299)));
        assert!(gives_up(&DbError::NoRow, KEEP_TRYING));
    }
}
