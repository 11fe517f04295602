//! Progress reports and created resources: noted in memory as often as one likes, written now and then, in one statement.

use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

use super::Created;
use super::log::{Line, Lines, LogLevel};
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql, Value, rows_per_statement};
use crate::ids::new_id;
use crate::model::TaskState;

/// A handle to one line of a task’s progress; cheap to clone and to call for every item. Written to the database twice a
/// second at most, and when the task ends.
#[derive(Debug, Clone)]
pub struct ProgressReport(Arc<Mutex<Report>>);

#[derive(Debug, Clone)]
struct Report {
    id: Uuid,
    message: String,
    code: String,
    state: TaskState,
    total: Option<i64>,
    done: i64,
    suffix: Option<String>,
    dirty: bool,
}

impl ProgressReport {
    fn new(message: String, code: String) -> Self {
        let report = Report { id: new_id(), message, code, state: TaskState::Running, total: None, done: 0, suffix: None, dirty: true };
        Self(Arc::new(Mutex::new(report)))
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn change(&self, change: impl FnOnce(&mut Report)) {
        let mut report = self.lock();
        change(&mut report);
        report.dirty = true;
    }

    /// How much there is to do.
    #[must_use]
    pub fn total(self, total: i64) -> Self {
        self.set_total(total);
        self
    }

    /// What `done` counts.
    #[must_use]
    pub fn suffix(self, suffix: impl Into<String>) -> Self {
        self.change(|report| report.suffix = Some(suffix.into()));
        self
    }

    /// How much there is to do, when that turns out later.
    pub fn set_total(&self, total: i64) {
        self.change(|report| report.total = Some(total));
    }

    /// So much more there is to do.
    pub fn increase_total(&self, by: i64) {
        self.change(|report| report.total = Some(report.total.unwrap_or(0).saturating_add(by)));
    }

    /// One more is done.
    pub fn increment(&self) {
        self.increase(1);
    }

    /// So many more are done.
    pub fn increase(&self, by: i64) {
        self.change(|report| report.done = report.done.saturating_add(by));
    }

    /// So many are done.
    pub fn set_done(&self, done: i64) {
        self.change(|report| report.done = done);
    }

    /// So many are done by now.
    pub fn done(&self) -> i64 {
        self.lock().done
    }

    /// This part of the task is complete. Reports that nobody ended end as their task does.
    pub fn finish(&self) {
        self.end(TaskState::Completed);
    }

    /// This part of the task was left out.
    pub fn skip(&self) {
        self.end(TaskState::Skipped);
    }

    fn end(&self, state: TaskState) {
        self.change(|report| report.state = state);
    }
}

/// What a running task has noted and what of it is not written yet.
#[derive(Debug, Default)]
pub(super) struct Notes {
    reports: Mutex<Vec<ProgressReport>>,
    created: Mutex<Vec<(Uuid, Created)>>,
    lines: Lines,
}

impl Notes {
    pub(super) fn report(&self, message: String, code: String) -> ProgressReport {
        let report = ProgressReport::new(message, code);
        self.reports.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(report.clone());
        report
    }

    pub(super) fn created(&self, created: Created) {
        self.created.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((new_id(), created));
    }

    pub(super) fn log(&self, level: LogLevel, message: String) {
        self.lines.add(level, message);
    }

    /// Ends the reports that nobody ended.
    pub(super) fn end(&self, state: TaskState) {
        for report in self.reports.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter() {
            if !report.lock().state.is_final() {
                report.end(state);
            }
        }
    }

    /// Takes what is not written yet. Dropped before [`Unwritten::written`], it goes back: a write may fail, or be abandoned.
    pub(super) fn take(&self) -> Unwritten<'_> {
        let mut reports = Vec::new();
        for report in self.reports.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter() {
            let mut state = report.lock();
            if std::mem::take(&mut state.dirty) {
                reports.push((report.clone(), state.clone()));
            }
        }
        let created = std::mem::take(&mut *self.created.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        Unwritten { notes: self, reports, created, lines: self.lines.take() }
    }
}

/// See [`Notes::take`].
#[derive(Debug)]
pub(super) struct Unwritten<'a> {
    notes: &'a Notes,
    reports: Vec<(ProgressReport, Report)>,
    created: Vec<(Uuid, Created)>,
    lines: Vec<Line>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        for (report, _) in self.reports.drain(..) {
            report.change(|_| ());
        }
        self.notes.created.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).append(&mut self.created);
        self.notes.lines.give_back(std::mem::take(&mut self.lines));
    }
}

impl Unwritten<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty() && self.created.is_empty() && self.lines.is_empty()
    }

    /// It is in the database for good.
    pub(super) fn written(mut self) {
        self.reports.clear();
        self.created.clear();
        self.lines.clear();
    }

    /// Writes all of it; writing it again changes nothing.
    pub(super) async fn write<E: Executor + ?Sized>(&self, executor: &E, task: Uuid, now: Timestamp) -> Result<(), DbError> {
        for some in self.reports.chunks(rows_per_statement(10)) {
            let mut sql = Sql::new(
                "insert into core_progressreport (pulp_id, pulp_created, pulp_last_updated, message, code, state, total, done, suffix, task_id) values ",
            );
            sql.push_rows(some.iter().map(|(_, report)| -> [Value; 10] {
                [
                    report.id.into(),
                    now.into(),
                    now.into(),
                    report.message.as_str().into(),
                    report.code.as_str().into(),
                    report.state.as_str().into(),
                    report.total.into(),
                    report.done.into(),
                    report.suffix.clone().into(),
                    task.into(),
                ]
            }));
            sql.push(
                " on conflict (pulp_id) do update set pulp_last_updated = excluded.pulp_last_updated, message = excluded.message, \
                 state = excluded.state, total = excluded.total, done = excluded.done, suffix = excluded.suffix",
            );
            executor.execute(sql).await?;
        }
        for some in self.created.chunks(rows_per_statement(7)) {
            let mut sql = Sql::new(
                "insert into core_createdresource (pulp_id, pulp_created, pulp_last_updated, object_id, content_type, href, task_id) values ",
            );
            sql.push_rows(some.iter().map(|(id, created)| -> [Value; 7] {
                [
                    id.into(),
                    now.into(),
                    now.into(),
                    created.prn.id.into(),
                    created.prn.model.as_str().into(),
                    created.href.as_str().into(),
                    task.into(),
                ]
            }));
            sql.push(" on conflict (pulp_id) do nothing");
            executor.execute(sql).await?;
        }
        for some in self.lines.chunks(rows_per_statement(5)) {
            let mut sql = Sql::new("insert into core_tasklogline (pulp_id, pulp_created, level, message, task_id) values ");
            sql.push_rows(some.iter().map(|line| -> [Value; 5] {
                [line.id.into(), now.into(), line.level.as_str().into(), line.message.as_str().into(), task.into()]
            }));
            sql.push(" on conflict (pulp_id) do nothing");
            executor.execute(sql).await?;
        }
        Ok(())
    }
}
