//! What must be true of the tasks when all is over.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use pulp_core::clock::Timestamp;
use pulp_core::db::{Db, ExecutorExt};
use pulp_core::model::{TaskRow, TaskState};
use pulp_core::tasks::Resources;
use uuid::Uuid;

/// No transaction takes so long when all is over.
const LOCKED: Duration = Duration::from_secs(10);

/// Why a task may have failed: its process is gone or was thought so, or could not reach the database.
const REASONS: [&str; 2] = ["Worker has gone missing.", "The database cannot be reached at the moment; try again."];

#[derive(Clone, Debug, sqlx::FromRow)]
struct Step {
    number: i64,
    what: String,
    task: Uuid,
    fence: i64,
    at: Timestamp,
}

/// How many tasks ended how.
pub type Ends = BTreeMap<String, usize>;

/// Judges; `dispatched` are tasks that somebody was told of.
pub async fn judge(db: &Db, dispatched: &[Uuid]) -> Ends {
    let unfinished: i64 = db.scalar("select count(*) from core_task where state in ('waiting', 'running', 'canceling')").await.unwrap();
    assert_eq!(unfinished, 0, "tasks that never end");
    assert_eq!(db.scalar::<i64>("select count(*) from core_taskreservation").await.unwrap(), 0, "resources that nobody gives back");
    // A healthy process holds one for as long as a transaction takes; one that stays belongs to somebody who is gone.
    let (locks, since) = ("select count(*) from pg_locks where locktype = 'advisory'", Instant::now());
    while db.scalar::<i64>(locks).await.unwrap() > 0 {
        assert!(since.elapsed() < LOCKED, "locks that stay");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let tasks: Vec<TaskRow> = db.all("select * from core_task where name = 'probe.step' order by sequence").await.unwrap();
    let known: HashMap<Uuid, &TaskRow> = tasks.iter().map(|task| (task.pulp_id, task)).collect();
    for task in dispatched {
        assert!(known.contains_key(task), "{task} was promised, and is lost");
    }
    let steps: Vec<Step> = db.all("select * from probe_step order by at").await.unwrap();
    let mut begun: HashMap<Uuid, Timestamp> = HashMap::new();
    let mut done: HashMap<Uuid, Timestamp> = HashMap::new();
    let mut numbers: HashMap<i64, Uuid> = HashMap::new();
    for step in &steps {
        let task = known.get(&step.task).unwrap_or_else(|| panic!("{step:?} is of no task"));
        assert_eq!(*numbers.entry(step.number).or_insert(step.task), step.task, "one probe was two tasks");
        assert_eq!(step.fence, 1, "{step:?}: a task that was claimed before began again");
        let twice = if step.what == "begin" { &mut begun } else { &mut done }.insert(step.task, step.at);
        assert_eq!(twice, None, "{step:?}: it ran twice");
        assert!(step.at <= task.finished_at.unwrap(), "{step:?} was written after the task's end: {task:?}");
    }
    let mut ends = Ends::new();
    for task in &tasks {
        let (began, ended) = (begun.contains_key(&task.pulp_id), done.contains_key(&task.pulp_id));
        let end = match task.state() {
            TaskState::Completed => {
                assert!(began && ended, "{task:?} is said to be completed, and did not do its work");
                "completed".to_owned()
            }
            TaskState::Failed => {
                let reason = task.error_text().unwrap_or_default();
                assert!(REASONS.contains(&reason), "{task:?}");
                reason.to_owned()
            }
            other => panic!("{other}: {task:?}"),
        };
        *ends.entry(end).or_default() += 1;
    }
    in_order(&tasks, &begun);
    ends
}

/// Of two tasks that conflict, the earlier one had ended before the later one began.
fn in_order(tasks: &[TaskRow], begun: &HashMap<Uuid, Timestamp>) {
    #[derive(Default)]
    struct Ended {
        exclusive: Option<Timestamp>,
        any: Option<Timestamp>,
    }
    let mut resources: HashMap<String, Ended> = HashMap::new();
    for task in tasks {
        let needs = Resources::from_record(task.reserved_resources_record.iter().map(String::as_str));
        let began = begun.get(&task.pulp_id).copied();
        let (ended, overtook) = (task.finished_at, |earlier: Option<Timestamp>| began.is_some_and(|began| earlier > Some(began)));
        for name in needs.exclusives() {
            let before = resources.entry(name.to_owned()).or_default();
            assert!(!overtook(before.any), "{task:?} began before an earlier task that has {name} had ended");
            before.exclusive = before.exclusive.max(ended);
            before.any = before.any.max(ended);
        }
        for name in needs.shareds() {
            let before = resources.entry(name.to_owned()).or_default();
            assert!(!overtook(before.exclusive), "{task:?} began before an earlier task that has {name} for itself had ended");
            before.any = before.any.max(ended);
        }
    }
}
