//! The turns of users' schedules: any number of processes may take them, each turn is taken by one.

use std::sync::Arc;

use http::StatusCode;

use super::sync;
use crate::db::{ExecutorExt, Sql};
use crate::model::{Domain, Model, TaskSchedule, User};
use crate::resource::Context;
use crate::tasks::Planned;
use crate::{Pulp, Result};

/// Schedules that are looked at in one go.
const BATCH: usize = 100;

/// Takes all turns that are due. What was missed while no process was there is one turn.
pub(super) async fn take_all(pulp: Pulp) -> Result<()> {
    for schedule in TaskSchedule::due_of_users(pulp.db(), pulp.now(), BATCH).await? {
        // One that cannot be taken must not keep the others from it.
        if let Err(error) = take(&pulp, &schedule).await {
            tracing::error!(schedule = %schedule.name, error = &error as &dyn std::error::Error, "a turn could not be taken; trying again");
        }
    }
    Ok(())
}

/// Why there is no task.
enum Refused {
    /// There will be none either next time, until somebody changes something.
    ForGood(String),
    /// There may be one next time.
    ThisTime(String),
}

async fn take(pulp: &Pulp, schedule: &TaskSchedule) -> Result<()> {
    let (db, now) = (pulp.db(), pulp.now());
    let next = schedule.next_turn(now);
    if schedule.is_under_way(db).await? {
        if schedule.take_turn(db, next, None, now).await? {
            tracing::info!(schedule = %schedule.name, "the task of the last turn has not ended: this turn is left out");
        }
        return Ok(());
    }
    match plan(pulp, schedule).await? {
        Ok(planned) => {
            let tasks = pulp.tasks();
            let tx = db.begin().await?;
            if !schedule.take_turn(&tx, next, None, now).await? {
                return Ok(());
            }
            let written = planned.write(&tasks, &tx).await?;
            schedule.note_task(&tx, written.row().pulp_id).await?;
            tx.commit().await?;
            let row = written.committed(&tasks).await?;
            tracing::info!(schedule = %schedule.name, task = %row.pulp_id, "dispatched by schedule");
        }
        Err(Refused::ForGood(reason)) => {
            tracing::warn!(schedule = %schedule.name, reason, "a schedule is disabled");
            schedule.disable(db, &reason, now).await?;
        }
        Err(Refused::ThisTime(reason)) => {
            tracing::warn!(schedule = %schedule.name, reason, "a turn is left out");
            schedule.take_turn(db, next, Some(&reason), now).await?;
        }
    }
    Ok(())
}

/// The task of the turn, if the user of the schedule may have it done now.
async fn plan(pulp: &Pulp, schedule: &TaskSchedule) -> Result<Result<Planned, Refused>> {
    let gone = |reason: &str| Ok(Err(Refused::ForGood(reason.to_owned())));
    let Some(user) = schedule.user_id else { return gone("The user in whose name it was done is gone.") };
    let Some(repository) = schedule.repository_id else { return gone("The repository is gone.") };
    let sql = Sql::new("select * from auth_user where id = $1").bind(user);
    let Some(user) = pulp.db().optional::<User>(sql).await? else { return gone("The user in whose name it was done is gone.") };
    let name = user.username.clone();
    if !user.is_active {
        return gone(&format!("The user {name} is not active."));
    }
    let domain = Domain::find(pulp.db(), schedule.pulp_domain_id).await?;
    let cx = Context::new(pulp.clone(), Arc::new(domain)).with_user(Arc::new(user)).load_access().await?;
    let error = match sync::plan(&cx, repository, &schedule.options).await {
        Ok(planned) => return Ok(Ok(planned)),
        Err(error) => error,
    };
    match error.status() {
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => gone(&format!("The user {name} may not sync the repository any more.")),
        StatusCode::SERVICE_UNAVAILABLE => Err(crate::Error::Busy(error.message())),
        _ => Ok(Err(Refused::ThisTime(error.message()))),
    }
}
