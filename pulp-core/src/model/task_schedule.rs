//! Schedules: tasks that are dispatched by themselves when their time comes.

use chrono::TimeDelta;
use rand::RngExt as _;
use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::tasks::Cron;

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
    /// Microseconds from one dispatch to the next; nothing for a task that is dispatched once, or by a cron expression.
    pub dispatch_interval: Option<i64>,
    /// Which kind of task: [`Task::NAME`](crate::tasks::Task::NAME).
    pub task_name: String,
    /// Which version of its kind: [`Task::VERSION`](crate::tasks::Task::VERSION).
    pub task_version: i64,
    /// Unused; Pulp’s.
    pub task_args: Column<Json>,
    /// The task itself, serialised, and not encrypted: it must hold no secret.
    pub task_kwargs: Column<Json>,
    /// The task that was dispatched last.
    pub last_task_id: Option<Uuid>,
    /// The domain.
    pub pulp_domain_id: Uuid,
    /// Of a user’s schedule, the repository that is synced; nothing for those of the server and of plugins.
    pub repository_id: Option<Uuid>,
    /// In whose name that is done; nothing when the user is gone.
    pub user_id: Option<i64>,
    /// What the repository’s sync takes.
    pub options: Column<Json>,
    /// When it is done, where that is not by the interval.
    pub cron: Option<String>,
    /// Seconds by which a turn may be late, at random.
    pub jitter: i64,
    /// The next turn without its jitter.
    pub turn: Option<Timestamp>,
    /// Whether there are turns.
    pub enabled: bool,
    /// Why the last turn could not be taken, or why there are none any more.
    pub last_error: Option<String>,
}
model!(TaskSchedule, "core_taskschedule", "task schedule");

/// When something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// As the rhythm has it.
    pub(crate) moment: Timestamp,
    /// With its jitter.
    pub(crate) at: Timestamp,
}

impl Turn {
    /// The next after `now`: by the cron expression, or else by the interval (in microseconds) from `last` on. However many were missed
    /// counts for nothing. Nothing if there is none.
    pub(crate) fn next(now: Timestamp, last: Timestamp, interval: Option<i64>, cron: Option<&Cron>, jitter: i64) -> Option<Self> {
        let moment = match (cron, interval) {
            (Some(cron), _) => cron.after(now.max(last))?,
            (None, Some(interval)) => step(last, interval, now)?,
            (None, None) => return None,
        };
        let late = if jitter > 0 { rand::rng().random_range(0..=jitter.saturating_mul(1_000)) } else { 0 };
        Some(Self { moment, at: moment.checked_add_signed(TimeDelta::try_milliseconds(late)?)? })
    }
}

/// The first moment after `now` that is so many intervals after `due`.
fn step(due: Timestamp, interval: i64, now: Timestamp) -> Option<Timestamp> {
    let late = (now - due).num_microseconds()?;
    if late < 0 {
        return Some(due);
    }
    let steps = late / interval + 1;
    due.checked_add_signed(TimeDelta::microseconds(steps.checked_mul(interval)?))
}

impl TaskSchedule {
    /// The time from one dispatch to the next.
    pub fn interval(&self) -> Option<TimeDelta> {
        self.dispatch_interval.filter(|microseconds| *microseconds > 0).map(TimeDelta::microseconds)
    }

    /// When it is to be dispatched after a dispatch at `now`: at the next moment of its rhythm, however many were missed.
    pub fn after(&self, now: Timestamp) -> Option<Timestamp> {
        step(self.next_dispatch?, self.interval()?.num_microseconds()?, now)
    }

    /// The turn of a user’s schedule that comes after the one which is due at `now`.
    pub(crate) fn next_turn(&self, now: Timestamp) -> Option<Turn> {
        let cron = self.cron.as_deref().and_then(|text| text.parse().ok());
        let interval = self.dispatch_interval.filter(|interval| *interval > 0);
        Turn::next(now, self.turn.or(self.next_dispatch)?, interval, cron.as_ref(), self.jitter)
    }

    /// The users’ schedules whose turn it is.
    pub(crate) async fn due_of_users<E: Executor + ?Sized>(executor: &E, now: Timestamp, most: usize) -> Result<Vec<Self>, DbError> {
        let sql = Sql::new(format!(
            "select * from core_taskschedule where next_dispatch <= $1 and repository_id is not null order by next_dispatch limit {most}"
        ));
        executor.all(sql.bind(now)).await
    }

    /// Takes the turn that is due: moves on to the next one. Not if another process was faster, or somebody has changed it.
    pub(crate) async fn take_turn<E: Executor + ?Sized>(
        &self,
        executor: &E,
        next: Option<Turn>,
        last_error: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "update core_taskschedule set pulp_last_updated = $1, turn = $2, next_dispatch = $3, last_error = $4 \
             where pulp_id = $5 and next_dispatch = $6",
        );
        let sql = sql.bind(now).bind(next.map(|next| next.moment)).bind(next.map(|next| next.at)).bind(last_error);
        Ok(executor.execute(sql.bind(self.pulp_id).bind(self.next_dispatch)).await? > 0)
    }

    /// Notes which task was dispatched.
    pub(crate) async fn note_task<E: Executor + ?Sized>(&self, executor: &E, task: Uuid) -> Result<(), DbError> {
        let sql = Sql::new("update core_taskschedule set last_task_id = $1 where pulp_id = $2");
        executor.execute(sql.bind(task).bind(self.pulp_id)).await?;
        Ok(())
    }

    /// There are no more turns, for this reason; unless somebody has changed it meanwhile.
    pub(crate) async fn disable<E: Executor + ?Sized>(&self, executor: &E, reason: &str, now: Timestamp) -> Result<(), DbError> {
        let sql = Sql::new(
            "update core_taskschedule set pulp_last_updated = $1, enabled = false, turn = null, next_dispatch = null, last_error = $2 \
             where pulp_id = $3 and next_dispatch = $4",
        );
        executor.execute(sql.bind(now).bind(reason).bind(self.pulp_id).bind(self.next_dispatch)).await?;
        Ok(())
    }

    /// Whether the task of the last turn has not ended.
    pub(crate) async fn is_under_way<E: Executor + ?Sized>(&self, executor: &E) -> Result<bool, DbError> {
        let Some(last) = self.last_task_id else { return Ok(false) };
        let sql = Sql::new("select 1 as one from core_task where pulp_id = $1 and state in ('waiting', 'running', 'canceling')");
        Ok(executor.optional::<(i32,)>(sql.bind(last)).await?.is_some())
    }

    /// Writes what follows from a change by a user: in whose name it is done from now on, and when.
    pub(crate) async fn settle<E: Executor + ?Sized>(
        executor: &E,
        id: Uuid,
        user: Option<i64>,
        interval: Option<i64>,
        turn: Option<Turn>,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "update core_taskschedule set user_id = $1, dispatch_interval = $2, turn = $3, next_dispatch = $4, last_error = null \
             where pulp_id = $5",
        );
        let sql = sql.bind(user).bind(interval).bind(turn.map(|turn| turn.moment)).bind(turn.map(|turn| turn.at));
        executor.execute(sql.bind(id)).await?;
        Ok(())
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
            task_version: 1,
            last_task_id: None,
            pulp_domain_id: Uuid::nil(),
            repository_id: None,
            user_id: None,
            options: Column(Json::Null),
            cron: None,
            jitter: 0,
            turn: None,
            enabled: true,
            last_error: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_rhythm_is_kept_and_what_was_missed_is_not_made_up_for() {
        let minutes = |minutes: i64| Some(minutes * 60_000_000);
        let every_ten = schedule(Some("2026-01-01T00:00:00Z"), minutes(10));
        assert_eq!(every_ten.after(at("2026-01-01T00:00:01Z")), Some(at("2026-01-01T00:10:00Z")));
        assert_eq!(every_ten.after(at("2026-01-01T00:10:00Z")), Some(at("2026-01-01T00:20:00Z")));
        assert_eq!(every_ten.after(at("2026-01-02T00:05:00Z")), Some(at("2026-01-02T00:10:00Z")));
        assert_eq!(every_ten.after(at("2025-12-31T00:00:00Z")), Some(at("2026-01-01T00:00:00Z")));
        assert_eq!(schedule(Some("2026-01-01T00:00:00Z"), None).after(at("2026-01-01T00:00:01Z")), None);
        assert_eq!(schedule(None, minutes(10)).after(at("2026-01-01T00:00:01Z")), None);
        assert_eq!(schedule(Some("2026-01-01T00:00:00Z"), Some(i64::MAX)).after(at("2026-01-01T00:00:01Z")), None);
    }

    #[test]
    fn jitter_does_not_add_up() {
        let mut schedule = schedule(Some("2026-01-01T00:00:00Z"), Some(600_000_000));
        schedule.jitter = 300;
        schedule.turn = schedule.next_dispatch;
        for turn in 1..200 {
            let next = schedule.next_turn(schedule.next_dispatch.unwrap() + TimeDelta::seconds(2)).unwrap();
            assert_eq!(next.moment, at("2026-01-01T00:00:00Z") + TimeDelta::minutes(10 * turn));
            assert!(next.at >= next.moment && next.at <= next.moment + TimeDelta::seconds(300));
            (schedule.turn, schedule.next_dispatch) = (Some(next.moment), Some(next.at));
        }
    }

    #[test]
    fn by_cron_what_was_missed_counts_once() {
        let mut nightly = schedule(Some("2026-01-01T03:00:00Z"), None);
        nightly.cron = Some("0 3 * * *".to_owned());
        nightly.turn = nightly.next_dispatch;
        assert_eq!(nightly.next_turn(at("2026-01-01T03:00:04Z")).unwrap().moment, at("2026-01-02T03:00:00Z"));
        assert_eq!(nightly.next_turn(at("2026-01-09T12:00:00Z")).unwrap().moment, at("2026-01-10T03:00:00Z"));
    }
}
