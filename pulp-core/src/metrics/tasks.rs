//! Tasks that this process ran: how long they waited for it, how long they took, how they ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::counter::{Counter, Histogram};
use super::snapshot::{Kind, Snapshot};
use crate::model::TaskState;

const SECOND: u64 = 1_000_000;

/// Microseconds.
const WAITS: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    SECOND,
    5 * SECOND,
    30 * SECOND,
    120 * SECOND,
    600 * SECOND,
    3_600 * SECOND,
];
const RUNS: &[u64] = &[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    SECOND,
    5 * SECOND,
    15 * SECOND,
    60 * SECOND,
    300 * SECOND,
    900 * SECOND,
    3_600 * SECOND,
    14_400 * SECOND,
];

const ENDS: [TaskState; 3] = [TaskState::Completed, TaskState::Failed, TaskState::Canceled];

#[derive(Debug)]
struct OfKind {
    waited: Histogram,
    ran: Histogram,
    ended: [Counter; ENDS.len()],
}

/// By the name of the kind, which the registry gives: there are as many as are registered.
#[derive(Debug, Default)]
pub(crate) struct TaskMetrics(Mutex<BTreeMap<&'static str, Arc<OfKind>>>);

impl TaskMetrics {
    /// A task begins, so long after nothing stood in its way.
    pub(crate) fn began(&self, name: &'static str, waited: Duration) {
        self.of(name).waited.observe(waited);
    }

    /// It has ended. One whose lease was lost has no state: somebody else counts it.
    pub(crate) fn ended(&self, name: &'static str, state: TaskState, ran: Duration) {
        let kind = self.of(name);
        kind.ran.observe(ran);
        if let Some(at) = ENDS.iter().position(|end| *end == state) {
            kind.ended[at].add(1);
        }
    }

    fn of(&self, name: &'static str) -> Arc<OfKind> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(OfKind { waited: Histogram::new(WAITS), ran: Histogram::new(RUNS), ended: Default::default() });
        Arc::clone(kinds.entry(name).or_insert_with(new))
    }

    pub(super) fn write(&self, all: &mut Snapshot) {
        let kinds: Vec<(&'static str, Arc<OfKind>)> = {
            let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kinds.iter().map(|(name, kind)| (*name, Arc::clone(kind))).collect()
        };
        all.metric(
            "pulp_task_start_latency_seconds",
            Kind::Histogram,
            "From when nothing stood in the way of a task until this process began it.",
        );
        for (name, kind) in &kinds {
            all.histogram(&[("task_name", name)], &kind.waited.read(), SECOND);
        }
        all.metric("pulp_task_duration_seconds", Kind::Histogram, "How long tasks ran in this process.");
        for (name, kind) in &kinds {
            all.histogram(&[("task_name", name)], &kind.ran.read(), SECOND);
        }
        all.metric("pulp_tasks_ended_total", Kind::Counter, "Tasks that this process ran, by how they ended.");
        for (name, kind) in &kinds {
            for (state, count) in ENDS.iter().zip(&kind.ended) {
                all.sample(&[("task_name", name), ("state", state.as_str())], count.get());
            }
        }
    }
}
