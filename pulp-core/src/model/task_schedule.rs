//! Schedules: tasks that are dispatched by themselves when their time comes.

use chrono::TimeDelta;
use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;

/// A row of `core_taskschedule`.
#[derive(Debug, Clone, FromRow)]
pub struct TaskSchedule {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// For people; unique in the domain.
    pub name: String,
    /// When the task is dispatched next; nothing when it will not be.
    pub next_dispatch: Option<Timestamp>,
    /// Microseconds from one dispatch to the next; nothing for a task that is dispatched once.
    pub dispatch_interval: Option<i64>,
    /// Which kind of task: [`Task::NAME`](crate::tasks::Task::NAME).
    pub task_name: String,
    /// Unused; Pulp’s.
    pub task_args: Column<Json>,
    /// The task itself, serialised, and not encrypted: it must hold no secret.
    pub task_kwargs: Column<Json>,
    /// The task that was dispatched last.
    pub last_task_id: Option<Uuid>,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(TaskSchedule, "core_taskschedule", "task schedule");

impl TaskSchedule {
    /// The time from one dispatch to the next.
    pub fn interval(&self) -> Option<TimeDelta> {
        self.dispatch_interval.filter(|microseconds| *microseconds > 0).map(TimeDelta::microseconds)
    }

    /// When it is to be dispatched after a dispatch at `now`: at the next moment of its rhythm, however many were missed.
    pub fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let (due, interval) = (self.next_dispatch?, self.interval()?.num_microseconds()?);
        let late = (now - due).num_microseconds()?;
        if late < 0 {
            return Some(due);
        }
        let steps = late / interval + 1;
        due.checked_add_signed(TimeDelta::microseconds(steps.checked_mul(interval)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(next: Option<&str>, interval: Option<i64>) -> TaskSchedule {
        TaskSchedule {
            pulp_id: Uuid::nil(),
            pulp_created: Timestamp::UNIX_EPOCH,
            pulp_last_updated: None,
            name: String::new(),
            next_dispatch: next.map(|text| text.parse().unwrap()),
            dispatch_interval: interval,
            task_name: String::new(),
            task_args: Column(Json::Null),
            task_kwargs: Column(Json::Null),
            last_task_id: None,
            pulp_domain_id: Uuid::nil(),
        }
    }

    #[test]
    fn a_rhythm_is_kept_and_what_was_missed_is_not_made_up_for() {
        let minutes = |minutes: i64| Some(minutes * 60_000_000);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let every_ten = schedule(Some("2026-01-01T00:00:00Z"), minutes(10));
        assert_eq!(every_ten.after(at("2026-01-01T00:00:01Z")), Some(at("2026-01-01T00:10:00Z")));
        assert_eq!(every_ten.after(at("2026-01-01T00:10:00Z")), Some(at("2026-01-01T00:20:00Z")));
        assert_eq!(every_ten.after(at("2026-01-02T00:05:00Z")), Some(at("2026-01-02T00:10:00Z")));
        assert_eq!(every_ten.after(at("2025-12-31T00:00:00Z")), Some(at("2026-01-01T00:00:00Z")));
        assert_eq!(schedule(Some("2026-01-01T00:00:00Z"), None).after(at("2026-01-01T00:00:01Z")), None);
        assert_eq!(schedule(None, minutes(10)).after(at("2026-01-01T00:00:01Z")), None);
        assert_eq!(schedule(Some("2026-01-01T00:00:00Z"), Some(i64::MAX)).after(at("2026-01-01T00:00:01Z")), None);
    }
}
