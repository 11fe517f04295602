//! Tasks, what they hold, and who runs them.

use pulp_core::clock::{Clock, SystemClock};
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::model::AppStatus;
use uuid::Uuid;

use super::{Checker, Findings};

/// States of a task that has ended.
const ENDED: &str = "('completed', 'failed', 'canceled', 'skipped')";

fn rules() -> Vec<(&'static str, &'static str, String)> {
    vec![
        (
            "an ended task holds resources",
            "core_task",
            format!(
                "select task.pulp_id from core_task task where task.state in {ENDED} and exists (select 1 from core_taskreservation held \
                 where held.task_sequence = task.sequence)"
            ),
        ),
        (
            "an ended task has somebody who runs it",
            "core_task",
            format!("select pulp_id from core_task where state in {ENDED} and app_lock_id is not null"),
        ),
        ("an ended task has no end", "core_task", format!("select pulp_id from core_task where state in {ENDED} and finished_at is null")),
        (
            "an ended task goes on reporting",
            "core_progressreport",
            format!(
                "select report.pulp_id from core_progressreport report join core_task task on task.pulp_id = report.task_id \
                 where task.state in {ENDED} and report.state in ('running', 'waiting')"
            ),
        ),
        (
            "a task is in no known state",
            "core_task",
            format!("select pulp_id from core_task where state not in {ENDED} and state not in ('waiting', 'running', 'canceling')"),
        ),
    ]
}

pub(super) async fn check(checker: &Checker, findings: &mut Findings) {
    let db = &checker.db;
    for (rule, name, sql) in rules() {
        findings.rows(db, rule, name, sql.as_str()).await;
    }
    let apps: Vec<AppStatus> = db.all("select * from core_appstatus").await.expect("processes");
    let now = SystemClock.now();
    let running = "select pulp_id, app_lock_id from core_task where state in ('running', 'canceling')";
    for (task, app) in db.all::<(Uuid, Option<Uuid>)>(running).await.expect("tasks") {
        if !apps.iter().any(|known| Some(known.pulp_id) == app && known.is_online(now)) {
            findings.add("a task runs in a process that is gone", format!("core_task {task}"));
        }
    }
    // What has been free for a moment is noticed soon.
    let waiting = Sql::new(
        "select task.pulp_id from core_task task where task.state = 'waiting' and task.unblocked_at is null and task.pulp_created <= $1 \
         and not exists (select 1 from core_taskreservation mine join core_taskreservation earlier on earlier.resource = mine.resource \
         and earlier.task_sequence < mine.task_sequence and (mine.exclusive or earlier.exclusive) where mine.task_sequence = task.sequence)",
    );
    findings.rows(db, "a task waits for nothing", "core_task", waiting.bind(checker.before())).await;
}
