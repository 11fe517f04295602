//! Claiming: which waiting tasks may start is kept in the rows (`unblocked_at`), changed when a task ends, so that a claim looks at a few
//! rows however long the queue is.
//!
//! Why `unblocked_at` is right without locks: a task is blocked only by earlier ones that conflict, dispatches that conflict commit in
//! the order of their sequence, and reservations of unfinished tasks only go. So once nothing earlier blocks a task, nothing ever will.
//! Whoever ends a task looks, after its commit, for tasks that it may have blocked; whoever dispatches a task that seems blocked looks
//! once more after its own commit. One of the two sees the other; should a process die in between, whoever misses it looks through all.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::hub::tell_all;
use super::{QueuedTask, Resources, schedule};
use crate::Pulp;
use crate::db::{Db, DbError, Dialect, Executor, ExecutorExt, Sql};
use crate::model::{TaskRow, TaskState};

/// How many of the first startable tasks are looked at, at least.
const WINDOW: usize = 8;

/// How many tasks are marked in one go.
const AT_ONCE: usize = 1_000;

/// How long to wait before looking again where that failed: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Which tasks a worker’s slot takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Any.
    Any,
    /// Short ones only: those that the dispatching process would have run if what they need had been free.
    Short,
}

#[derive(Debug, FromRow)]
struct Candidate {
    sequence: i64,
    pulp_id: Uuid,
    state: String,
    name: String,
    task_version: i64,
    reserved_resources_record: Column<Vec<String>>,
    pulp_domain_id: Uuid,
}

const COLUMNS: &str = "sequence, pulp_id, state, name, task_version, reserved_resources_record, pulp_domain_id";
const READY: &str = "state = 'waiting' and unblocked_at is not null";

/// Claims at most `most` startable tasks for `lease`; none if there are none, or others were faster.
pub(super) async fn claim(pulp: &Pulp, lease: Uuid, most: usize, lane: Lane) -> Result<Vec<TaskRow>, DbError> {
    let mut found = candidates(pulp, most.max(WINDOW), lane, false).await?;
    let ready = found.iter().filter(|candidate| is_ready(pulp, candidate)).count();
    let waiting = found.iter().filter(|candidate| candidate.state == TaskState::Waiting.as_str()).count();
    if ready < most && ready < waiting {
        // Some of the first are of kinds, or of versions of them, that only other processes know: look past them.
        found = candidates(pulp, most.max(WINDOW), lane, true).await?;
    }
    let mut names: Vec<(Uuid, i64)> = Vec::new();
    let mut queue: Vec<QueuedTask> = Vec::new();
    for candidate in &found {
        let running = candidate.state != TaskState::Waiting.as_str();
        if running || is_ready(pulp, candidate) {
            names.push((candidate.pulp_id, candidate.sequence));
            queue.push(QueuedTask {
                id: candidate.pulp_id,
                tenant: candidate.pulp_domain_id,
                resources: Resources::from_record(candidate.reserved_resources_record.iter().map(String::as_str)),
                running,
            });
        }
    }
    let chosen = schedule(&queue).into_iter().take(most);
    let chosen: Vec<i64> = chosen.filter_map(|id| names.iter().find(|(task, _)| *task == id).map(|(_, sequence)| *sequence)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let mut which = Sql::new("select sequence from core_task where sequence in ");
    which.push_list(chosen).push(format!(" and {READY}"));
    take(pulp, lease, which).await
}

/// Claims this very task, if it may start and nobody else has.
pub(super) async fn claim_one(pulp: &Pulp, lease: Uuid, id: Uuid) -> Result<Option<TaskRow>, DbError> {
    let mut which = Sql::new(format!("select sequence from core_task where {READY} and pulp_id = "));
    which.push_bind(id);
    Ok(take(pulp, lease, which).await?.pop())
}

async fn take(pulp: &Pulp, lease: Uuid, which: Sql) -> Result<Vec<TaskRow>, DbError> {
    let dialect = pulp.db().dialect();
    let mut sql =
        Sql::new("update core_task set state = 'running', fence = fence + 1, started_at = $1, pulp_last_updated = $1, app_lock_id = $2")
            .bind(pulp.now())
            .bind(lease);
    sql.push(" where sequence in (");
    sql.append(which);
    sql.push(dialect.for_update_skip_locked()).push(format!(") returning {}", TaskRow::COLUMNS));
    // A crash may take back that a task was started: it is claimed again then. Its end waits for the disk, and this with it.
    let rows: Vec<TaskRow> = match dialect {
        Dialect::Postgres => {
            let tx = pulp.db().begin_relaxed().await?;
            let rows = tx.all(sql).await?;
            tx.commit().await?;
            rows
        }
        Dialect::Sqlite => pulp.db().all(sql).await?,
    };
    for row in &rows {
        pulp.hub().tell(row.pulp_id, TaskState::Running);
    }
    Ok(rows)
}

fn is_ready(pulp: &Pulp, candidate: &Candidate) -> bool {
    let kind = pulp.registry().find_task(&candidate.name);
    candidate.state == TaskState::Waiting.as_str() && kind.is_some_and(|kind| kind.version() >= candidate.task_version)
}

/// The running tasks, and the first that may start: overall, or where there are tenants, of each.
async fn candidates(pulp: &Pulp, window: usize, lane: Lane, known: bool) -> Result<Vec<Candidate>, DbError> {
    let dialect = pulp.db().dialect();
    let tenants = pulp.settings().domain_enabled;
    let (first, by_index) = match lane {
        Lane::Any => (READY.to_owned(), if tenants { "core_task_ready_domain" } else { "core_task_ready" }),
        Lane::Short => (format!("{READY} and immediate"), if tenants { "core_task_short_domain" } else { "core_task_short" }),
    };
    let by_index = dialect.by_index(by_index);
    let mut ready = Sql::new(&first);
    if known {
        let mut known: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for kind in pulp.registry().tasks() {
            known.entry(kind.version()).or_default().push(kind.name());
        }
        ready.push(" and (1 = 0");
        for (version, names) in known {
            ready.push(" or (task_version <= ").push_bind(version).push(" and name in ");
            ready.push_list(names).push(")");
        }
        ready.push(")");
    }
    let mut sql = Sql::default();
    if tenants {
        // Walks from one domain that has startable tasks to the next, by the index.
        let step = format!("select core_task.pulp_domain_id as id from core_task{by_index} where {first}");
        sql.push(format!(
            "with recursive tenant (id) as (select * from ({step} order by 1 limit 1) as first union all \
             select ({step} and core_task.pulp_domain_id > tenant.id order by 1 limit 1) from tenant where tenant.id is not null) "
        ));
    }
    let busy = dialect.by_index("core_task_busy");
    sql.push(format!("select * from (select {COLUMNS} from core_task{busy} where state in ('running', 'canceling')) as busy union all "));
    if tenants {
        sql.push(format!(
            "select * from (select {COLUMNS} from core_task where sequence in (select (select min(sequence) from core_task{by_index} where \
             pulp_domain_id = tenant.id and "
        ));
        sql.append(ready);
        sql.push(") from tenant where tenant.id is not null)) as ready order by sequence");
    } else {
        sql.push(format!("select * from (select {COLUMNS} from core_task{by_index} where "));
        sql.append(ready);
        sql.push(format!(" order by sequence limit {window}) as ready order by sequence"));
    }
    pulp.db().all(sql).await
}

/// Marks the tasks that may start now that reservations of `released` are gone, and tells of them.
pub(super) async fn unblock(pulp: &Pulp, released: &Resources) -> Result<(), DbError> {
    let Some(candidates) = blocked_by(released) else { return Ok(()) };
    // Alone, since mostly there are none: together with the question whether they are free, PostgreSQL answers that for all that wait.
    let candidates: Vec<Option<i64>> = pulp.db().column(candidates).await?;
    let candidates: Vec<i64> = candidates.into_iter().flatten().collect();
    for some in candidates.chunks(AT_ONCE) {
        let mut which = Sql::new("sequence in ");
        which.push_list(some.iter().copied());
        unblock_where(pulp, pulp.db().dialect().by_key(), which).await?;
    }
    Ok(())
}

/// The same, for certain: while the database is away, it is tried again. Who has died meanwhile is missed, and all are looked through.
pub(super) async fn unblock_surely(pulp: &Pulp, released: &Resources) {
    let Err(error) = unblock(pulp, released).await else { return };
    tracing::warn!(%error, "tasks that may go on now could not be looked for; trying again");
    let (pulp, released) = (pulp.downgrade(), released.clone());
    tokio::spawn(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            // With the process's Pulp goes what it owes.
            let Some(pulp) = pulp.upgrade() else { return };
            match unblock(&pulp, &released).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "tasks that may go on now could not be looked for"),
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    });
}

/// Looks through all blocked tasks; how many should not have been.
pub(super) async fn unblock_all(pulp: &Pulp) -> Result<usize, DbError> {
    let by_index = pulp.db().dialect().by_index("core_task_blocked");
    unblock_where(pulp, &by_index, Sql::new("1 = 1")).await
}

/// The tasks that one which had reserved `released` may have blocked: past what was shared, the next that wants it exclusively; past
/// what was exclusive, the next of those and all that share before it.
fn blocked_by(released: &Resources) -> Option<Sql> {
    let mut sql = Sql::default();
    let mut first = true;
    let next = "select min(task_sequence) from core_taskreservation where exclusive and resource = ";
    for (name, exclusive) in released.exclusives().map(|name| (name, true)).chain(released.shareds().map(|name| (name, false))) {
        if !std::mem::take(&mut first) {
            sql.push(" union ");
        }
        if exclusive {
            sql.push("select task_sequence from core_taskreservation where resource = ").push_bind(name);
            sql.push(format!(" and task_sequence <= coalesce(({next}")).push_bind(name);
            sql.push(format!("), {})", i64::MAX));
        } else {
            sql.push(next).push_bind(name);
        }
    }
    (!first).then_some(sql)
}

async fn unblock_where(pulp: &Pulp, by: &str, which: Sql) -> Result<usize, DbError> {
    // Two questions, since each can stop at the first row of its index; together they would read all that share a resource.
    // Scalars, which no planner makes a join of all that is reserved.
    let free = "state = 'waiting' and unblocked_at is null \
         and (select 1 from core_taskreservation mine join core_taskreservation other on other.resource = mine.resource \
             and other.task_sequence < mine.task_sequence where mine.task_sequence = core_task.sequence and mine.exclusive limit 1) is null \
         and (select 1 from core_taskreservation mine join core_taskreservation other on other.resource = mine.resource \
             and other.task_sequence < mine.task_sequence and other.exclusive where mine.task_sequence = core_task.sequence limit 1) is null and ";
    let mut look = Sql::new(format!("select sequence from core_task{by} where {free}"));
    look.append(which);
    let db: &Db = pulp.db();
    let found: Vec<i64> = db.column(look).await?;
    let mut told = 0;
    for some in found.chunks(AT_ONCE) {
        let mut mark = Sql::new("update core_task set unblocked_at = $1 where state = 'waiting' and unblocked_at is null and sequence in ")
            .bind(pulp.now());
        mark.push_list(some.iter().copied()).push(" returning pulp_id");
        let marked: Vec<Uuid> = db.column(mark).await?;
        told += marked.len();
        // One is enough to wake every worker.
        if let Some(task) = marked.first() {
            tell_all(db, pulp.hub(), *task, TaskState::Waiting).await?;
        }
    }
    Ok(told)
}
