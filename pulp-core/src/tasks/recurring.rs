//! Tasks that are dispatched by themselves, once or again and again: the rows of `core_taskschedule`, and what looks after them.

use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::dispatch::Draft;
use super::{DispatchOptions, OrphanCleanup, Purge, Task, Tasks, TmpfileCleanup, UploadCleanup};
use crate::clock::Timestamp;
use crate::db::{ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{Domain, Model, TaskSchedule};
use crate::{Error, Result};

/// Schedules that are looked at in one go.
const BATCH: usize = 100;

/// When a task is to be dispatched by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rhythm {
    /// The first time.
    pub first: Timestamp,
    /// The time from one dispatch to the next; nothing: it is dispatched once.
    pub every: Option<TimeDelta>,
}

impl Tasks {
    /// Sees to it that `task` is dispatched in a domain by a schedule of this name. A schedule of that name which has the same rhythm
    /// goes on as it did; one that has another begins anew. One that a user has given this name is the user’s no more. The task is stored as it is: it must hold no secret.
    ///
    /// # Errors
    /// If the task’s kind is not registered, it cannot be serialised, the time between two dispatches is not positive, or the database
    /// cannot be reached.
    pub async fn set_schedule<T: Task>(&self, domain: &Domain, name: &str, rhythm: &Rhythm, task: &T) -> Result<TaskSchedule> {
        if self.pulp.registry().find_task(T::NAME).is_none() {
            return Err(Error::Internal(format!("task {} is not registered: its plugin must call registry.task", T::NAME)));
        }
        let kwargs =
            serde_json::to_value(task).map_err(|error| Error::Internal(format!("task {} cannot be serialised: {error}", T::NAME)))?;
        let every = match rhythm.every {
            None => None,
            Some(every) => match every.num_microseconds().filter(|microseconds| *microseconds > 0) {
                None => return Err(Error::BadRequest(format!("the interval of schedule \"{name}\" must be longer than nothing"))),
                some => some,
            },
        };
        let insert = Sql::new(
            "insert into core_taskschedule (pulp_id, pulp_created, pulp_last_updated, name, next_dispatch, dispatch_interval, task_name, \
             task_args, task_kwargs, pulp_domain_id, task_version) values ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             on conflict (name, pulp_domain_id) do update set repository_id = null, user_id = null, cron = null, jitter = 0, enabled = true, \
             pulp_last_updated = excluded.pulp_last_updated, \
             task_name = excluded.task_name, task_version = excluded.task_version, task_kwargs = excluded.task_kwargs, dispatch_interval = excluded.dispatch_interval, \
             next_dispatch = case when core_taskschedule.dispatch_interval = excluded.dispatch_interval \
             then core_taskschedule.next_dispatch else excluded.next_dispatch end returning *",
        )
        .bind(new_id())
        .bind(self.pulp.now())
        .bind(name)
        .bind(rhythm.first)
        .bind(every)
        .bind(T::NAME)
        .bind(json!([]))
        .bind(kwargs)
        .bind(domain.pulp_id)
        .bind(T::VERSION);
        Ok(self.pulp.db().one(insert).await?)
    }

    /// Removes the schedule of this name; whether there was one.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn remove_schedule(&self, domain: &Domain, name: &str) -> Result<bool> {
        let sql = Sql::new("delete from core_taskschedule where name = $1 and pulp_domain_id = $2 and repository_id is null");
        Ok(self.pulp.db().execute(sql.bind(name).bind(domain.pulp_id)).await? > 0)
    }

    /// Sets the schedules of Pulp’s own housekeeping as the settings say.
    pub(crate) async fn set_own_schedules(&self) -> Result<()> {
        let settings = self.pulp.settings();
        let domain = self.pulp.default_domain();
        let mine = Own::all(
            settings.upload_protection_time,
            settings.tmpfile_protection_time,
            settings.task_protection_time,
            settings.orphan_protection_time,
        );
        let mut known = Sql::new("select * from core_taskschedule where pulp_domain_id = ");
        known.push_bind(domain.pulp_id).push(" and repository_id is null and name in ").push_list(mine.iter().map(|own| own.name));
        let known: Vec<TaskSchedule> = self.pulp.db().all(known).await?;
        for own in mine {
            let there = known.iter().find(|schedule| schedule.name == own.name);
            match (there, own.every()) {
                (None, None) => {}
                (Some(_), None) => {
                    self.remove_schedule(domain, own.name).await?;
                }
                // Nothing is written where nothing has changed: every start of every process comes by here.
                (Some(there), Some(every)) if there.interval() == Some(every) => {}
                (_, Some(every)) => {
                    let rhythm = Rhythm { first: self.pulp.now(), every: Some(every) };
                    match own.job {
                        Job::Uploads => self.set_schedule(domain, own.name, &rhythm, &UploadCleanup {}).await?,
                        Job::Tmpfiles => self.set_schedule(domain, own.name, &rhythm, &TmpfileCleanup {}).await?,
                        Job::Tasks => self.set_schedule(domain, own.name, &rhythm, &Purge::default()).await?,
                        Job::Orphans => self.set_schedule(domain, own.name, &rhythm, &OrphanCleanup::of(domain.pulp_id)).await?,
                    };
                }
            }
        }
        Ok(())
    }

    /// Dispatches what is due of the schedules of server and plugins; the tasks. Any number of processes may do it at the same time: each dispatch is done by one of them. A
    /// schedule whose last task has not ended leaves this turn out, so that nothing piles up.
    ///
    /// # Errors
    /// If the database cannot be reached; what was dispatched until then stays so.
    pub async fn dispatch_due(&self) -> Result<Vec<Uuid>> {
        let sql = Sql::new(format!(
            "select * from core_taskschedule where next_dispatch <= $1 and repository_id is null order by next_dispatch limit {BATCH}"
        ));
        let due: Vec<TaskSchedule> = self.pulp.db().all(sql.bind(self.pulp.now())).await?;
        let mut dispatched = Vec::new();
        for schedule in due {
            match self.dispatch_one(&schedule).await {
                Ok(task) => dispatched.extend(task),
                // One that cannot be dispatched must not keep the others from it.
                Err(error) => {
                    tracing::error!(schedule = %schedule.name, error = &error as &dyn std::error::Error, "a scheduled task could not be dispatched")
                }
            }
        }
        Ok(dispatched)
    }

    async fn dispatch_one(&self, schedule: &TaskSchedule) -> Result<Option<Uuid>> {
        let kind = self.pulp.registry().find_task(&schedule.task_name).filter(|kind| kind.version() >= schedule.task_version);
        let Some(kind) = kind else {
            tracing::debug!(schedule = %schedule.name, task = %schedule.task_name, "left to processes that know this version of this kind of task");
            return Ok(None);
        };
        let domain = self.domain(schedule.pulp_domain_id).await?;
        let draft =
            Draft::of_kind(self, kind, &schedule.task_kwargs, DispatchOptions { domain: Some(domain), ..DispatchOptions::default() })?;
        let now = self.pulp.now();
        let tx = self.pulp.db().begin().await?;
        let turn = Sql::new("update core_taskschedule set pulp_last_updated = $1, next_dispatch = $2 where pulp_id = $3 and next_dispatch = $4 returning last_task_id")
            .bind(now)
            .bind(schedule.after(now))
            .bind(schedule.pulp_id)
            .bind(schedule.next_dispatch);
        // Another process may have been faster.
        let Some((last,)) = tx.optional::<(Option<Uuid>,)>(turn).await? else { return Ok(None) };
        if let Some(last) = last {
            let unfinished = Sql::new("select 1 as one from core_task where pulp_id = $1 and state in ('waiting', 'running', 'canceling')");
            if schedule.interval().is_some() && tx.optional::<(i32,)>(unfinished.bind(last)).await?.is_some() {
                tx.commit().await?;
                tracing::info!(schedule = %schedule.name, task = %last, "the task of the last turn has not ended: this turn is left out");
                return Ok(None);
            }
        }
        let inserted = draft.insert(self, &tx, None).await?;
        let note = Sql::new("update core_taskschedule set last_task_id = $1 where pulp_id = $2");
        tx.execute(note.bind(inserted.row.pulp_id).bind(schedule.pulp_id)).await?;
        tx.commit().await?;
        let row = inserted.committed(self).await?;
        tracing::info!(schedule = %schedule.name, task = %row.pulp_id, "dispatched by schedule");
        Ok(Some(row.pulp_id))
    }

    async fn domain(&self, id: Uuid) -> Result<std::sync::Arc<Domain>> {
        let default = self.pulp.default_domain();
        Ok(if id == default.pulp_id { default.clone() } else { std::sync::Arc::new(Domain::find(self.pulp.db(), id).await?) })
    }
}

/// A piece of Pulp’s own housekeeping.
#[derive(Debug, Clone, Copy)]
struct Own {
    name: &'static str,
    job: Job,
    /// Minutes for which what it removes is kept; 0: it is not done.
    keep: i64,
}

#[derive(Debug, Clone, Copy)]
enum Job {
    Uploads,
    Tmpfiles,
    Tasks,
    Orphans,
}

impl Own {
    fn all(uploads: i64, tmpfiles: i64, tasks: i64, orphans: i64) -> [Self; 4] {
        [
            Self { name: "Clean up stale uploads periodically", job: Job::Uploads, keep: uploads },
            Self { name: "Clean up stale shared temporary files periodically", job: Job::Tmpfiles, keep: tmpfiles },
            Self { name: "Clean up stale tasks periodically", job: Job::Tasks, keep: tasks },
            Self { name: "Clean up stale content periodically", job: Job::Orphans, keep: orphans },
        ]
    }

    fn every(self) -> Option<TimeDelta> {
        TimeDelta::try_minutes(self.keep).filter(|every| *every > TimeDelta::zero())
    }
}

/// As Pulp writes a time between two dispatches: `[days ]hh:mm:ss[.ffffff]`.
pub(crate) fn interval_to_wire(microseconds: i64) -> Json {
    let (seconds, fraction) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut text = if days == 0 { String::new() } else { format!("{days} ") };
    text.push_str(&format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60));
    if fraction > 0 {
        text.push_str(&format!(".{fraction:06}"));
    }
    Json::String(text)
}

/// Microseconds of a time between two dispatches, as it is written: `[days ]hh:mm:ss[.ffffff]`, or seconds. It is no negative one.
pub(crate) fn interval_from_wire(text: &str) -> Option<i64> {
    let number = |digits: &str| -> Option<i64> {
        if digits.is_empty() || digits.len() > 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) { None } else { digits.parse().ok() }
    };
    let (days, time) = text.trim().split_once(' ').map_or((Some(0), text.trim()), |(days, time)| (number(days), time.trim()));
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if fraction.len() > 6 {
        return None;
    }
    let microseconds = number(&format!("{fraction:0<6}"))?;
    let mut seconds = 0_i64;
    let parts: Vec<&str> = time.split(':').collect();
    for part in &parts {
        seconds = seconds.checked_mul(60)?.checked_add(number(part)?)?;
    }
    if parts.len() > 3 {
        return None;
    }
    let seconds = days?.checked_mul(86_400)?.checked_add(seconds)?;
    seconds.checked_mul(1_000_000)?.checked_add(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_as_pulp_writes_them() {
        for (microseconds, text) in [
            (600_000_000, "00:10:00"),
            (100 * 86_400_000_000, "100 00:00:00"),
            (5_000 * 60_000_000, "3 11:20:00"),
            (1_500_000, "00:00:01.500000"),
        ] {
            assert_eq!(interval_to_wire(microseconds), text);
            assert_eq!(interval_from_wire(text), Some(microseconds));
        }
    }

    #[test]
    fn other_ways_to_write_intervals() {
        for (text, seconds) in [("90", Some(90)), ("2:30", Some(150)), ("1 00:00:00", Some(86_400)), (" 2 0:0:1 ", Some(172_801))] {
            assert_eq!(interval_from_wire(text), seconds.map(|seconds: i64| seconds * 1_000_000), "{text}");
        }
        for text in ["", "x", "-1", "+1", "1:2:3:4", "1 2 3", "1:", ":1", "1.2345678", "1.x", "99999999999999", "9999999999 9999999999:0:0"]
        {
            assert_eq!(interval_from_wire(text), None, "{text}");
        }
    }
}
