//! Tasks from dispatch to end, on both databases.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::StreamExt;
use pulp_core::clock::ManualClock;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::ids::{Prn, new_id};
use pulp_core::model::{Domain, Model, ProgressRow, TaskRow, TaskSchedule, TaskState};
use pulp_core::plugin::{Plugin, PluginDescriptor, Registry};
use pulp_core::settings::Settings;
use pulp_core::tasks::{
    AppRole, Created, DispatchOptions, GroupProgress, News, Purge, QueuedTask, Resources, Rhythm, Task, TaskContext, TaskOutput, Workers,
    schedule,
};
use pulp_core::{Error, Pulp, PulpBuilder, Result};
use pulp_testkit::{Engine, Kit, Prepare, both_databases};
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

/// What the probes of one test share with it.
struct World {
    /// The number of each probe that began, or (negative, less one) that ended.
    log: watch::Sender<Vec<i64>>,
    /// Lets probes that wait go on.
    gate: Semaphore,
}

static WORLDS: LazyLock<Mutex<HashMap<u64, Arc<World>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

fn world() -> (u64, Arc<World>) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let world = Arc::new(World { log: watch::channel(Vec::new()).0, gate: Semaphore::new(0) });
    WORLDS.lock().unwrap().insert(id, world.clone());
    (id, world)
}

impl World {
    fn note(&self, what: i64) {
        self.log.send_modify(|log| log.push(what));
    }

    fn log(&self) -> Vec<i64> {
        self.log.borrow().clone()
    }

    async fn begun(&self, number: i64) {
        self.log.subscribe().wait_for(|log| log.contains(&number)).await.unwrap();
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
enum Act {
    #[default]
    Nothing,
    /// Gives way so many times, so that others run in between.
    Yield(u8),
    /// Waits for the gate.
    Gate,
    /// Waits for the gate, then makes sure that it still holds its lease.
    GateAndHold,
    Fail,
    Refuse,
    Panic,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Probe {
    world: u64,
    number: i64,
    needs: Resources,
    act: Act,
    password: Option<String>,
}

#[async_trait]
impl Task for Probe {
    const NAME: &'static str = "test.probe";

    fn resources(&self) -> Resources {
        self.needs.clone()
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let world = WORLDS.lock().unwrap().get(&self.world).cloned().unwrap();
        let report = cx.progress("Probing", "test.probing").total(2).suffix("probes");
        report.increment();
        world.note(self.number);
        match self.act {
            Act::Nothing => {}
            Act::Yield(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
            Act::Gate => world.gate.acquire().await.unwrap().forget(),
            Act::GateAndHold => {
                world.gate.acquire().await.unwrap().forget();
                let tx = cx.pulp().db().begin().await?;
                cx.hold(&tx).await?;
                tx.commit().await?;
            }
            Act::Fail => return Err(Error::Coded { code: "PLP0000", message: "the probe broke".to_owned() }),
            Act::Refuse => return Err(Error::BadRequest("the probe may not".to_owned())),
            Act::Panic => panic!("a probe that panics with hunter2"),
        }
        report.increment();
        cx.created(Created { prn: Prn::new("test.probe", cx.id()), href: format!("/probes/{}/", self.number) });
        world.note(-1 - self.number);
        Ok(TaskOutput { result: Some(self.number.into()) })
    }
}

struct TestPlugin;

impl Plugin for TestPlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor { label: "test", version: "1.2.3", package: "test", module: "test", domain_compatible: true }
    }

    fn migrations(&self) -> pulp_migrations::MigrationSet {
        pulp_migrations::MigrationSet { component: "test", migrations: &[] }
    }

    fn register(&self, registry: &mut Registry) {
        registry.task::<Probe>();
    }
}

/// A Pulp that knows probes.
struct Probed(Kit);

#[async_trait]
impl pulp_testkit::Prepare for Probed {
    async fn prepare(engine: Engine) -> Option<Self> {
        // No tasks but those of the test.
        let mut settings = Settings::default();
        settings.orphan_protection_time = 0;
        Self::built(engine, |builder| builder.settings(settings)).await
    }
}

impl Probed {
    async fn built(engine: Engine, describe: impl FnOnce(PulpBuilder) -> PulpBuilder) -> Option<Self> {
        Some(Self(Kit::built(engine, |builder| describe(builder.plugin(TestPlugin))).await?))
    }

    fn pulp(&self) -> &Pulp {
        self.0.pulp()
    }

    /// A second process on the same database, where there can be one.
    async fn second(&self) -> Option<Pulp> {
        let database = self.0.database();
        match database.engine() {
            Engine::Sqlite => None,
            Engine::Postgres => {
                // The same directory: they share the keys.
                Some(Pulp::builder().plugin(TestPlugin).data_dir(database.dir()).database(database.url()).build().await.unwrap())
            }
        }
    }
}

/// A Pulp that keeps tasks and uploads for an hour, by a clock that the test moves.
struct Aged {
    probed: Probed,
    clock: ManualClock,
}

#[async_trait]
impl pulp_testkit::Prepare for Aged {
    async fn prepare(engine: Engine) -> Option<Self> {
        let clock = ManualClock::new(chrono::Utc::now());
        let mut settings = Settings::default();
        settings.task_protection_time = 60;
        settings.upload_protection_time = 60;
        settings.tmpfile_protection_time = 60;
        settings.task_diagnostics = vec!["memory".to_owned()];
        let probed = Probed::built(engine, |builder| builder.settings(settings).clock(clock.clone())).await?;
        Some(Self { probed, clock })
    }
}

impl Aged {
    /// Lets a worker do what is due, until it is done.
    async fn look_after(&self) {
        let pulp = self.probed.pulp();
        let workers = Workers::start(pulp, 2).await.unwrap();
        let open = "select count(*) from core_taskschedule schedule left join core_task task on task.pulp_id = schedule.last_task_id \
                    where task.state is null or task.state <> 'completed'";
        while pulp.db().scalar::<i64>(open).await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        workers.drain().await;
    }
}

fn options() -> DispatchOptions {
    DispatchOptions::default()
}

async fn reservations(pulp: &Pulp) -> i64 {
    pulp.db().scalar("select count(*) from core_taskreservation").await.unwrap()
}

async fn dispatch(pulp: &Pulp, probe: &Probe) -> TaskRow {
    pulp.tasks().dispatch(probe.clone(), options()).await.unwrap()
}

/// What the database thinks may start, and what the scheduler says.
async fn startable(pulp: &Pulp) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
    let rows: Vec<TaskRow> =
        pulp.db().all("select * from core_task where state in ('waiting', 'running', 'canceling') order by sequence").await.unwrap();
    let marked = rows.iter().filter(|row| row.state() == TaskState::Waiting && row.unblocked_at.is_some()).map(|row| row.pulp_id).collect();
    let queue: Vec<QueuedTask> = rows
        .iter()
        .map(|row| QueuedTask {
            id: row.pulp_id,
            tenant: row.pulp_domain_id,
            resources: Resources::from_record(row.reserved_resources_record.iter().map(String::as_str)),
            running: row.state() != TaskState::Waiting,
        })
        .collect();
    (marked, schedule(&queue).into_iter().collect())
}

fn random_needs(rng: &mut impl RngExt, of: u32) -> Resources {
    let mut needs = Resources::none();
    for _ in 0..rng.random_range(0..3) {
        let name = format!("thing {}", rng.random_range(0..of));
        needs = if rng.random_bool(0.5) { needs.exclusive(name) } else { needs.shared(name) };
    }
    needs
}

fn conflict(a: &Resources, b: &Resources) -> bool {
    a.exclusives().any(|name| b.exclusives().chain(b.shareds()).any(|other| other == name))
        || b.exclusives().any(|name| a.shareds().any(|other| other == name))
}

/// That each probe ran once, and that of two that conflict the earlier one had ended before the later one began.
fn assert_in_order(log: &[i64], probes: &[Probe]) {
    assert_eq!(log.len(), probes.len() * 2);
    let places: HashMap<i64, usize> = log.iter().enumerate().map(|(at, what)| (*what, at)).collect();
    assert_eq!(places.len(), log.len(), "a probe ran twice");
    for (later, b) in probes.iter().enumerate() {
        for a in &probes[..later] {
            if conflict(&a.needs, &b.needs) {
                assert!(places[&(-1 - a.number)] < places[&b.number], "{} overtook {}", b.number, a.number);
            }
        }
    }
}

both_databases! {
    /// The whole way, and all that is to be seen of it afterwards.
    async fn a_task_runs_to_its_end(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let needs = Resources::none().exclusive("a").shared("b");
        let before = pulp.tasks().dispatch(Probe { world: id, number: 7, needs, password: Some("hunter2".to_owned()), ..Probe::default() },
            DispatchOptions { cid: Some("abc".to_owned()), ..options() }).await.unwrap();
        assert_eq!(before.state(), TaskState::Waiting);
        assert!(!format!("{before:?}").contains("hunter2"));
        assert!(!before.args.0.to_string().contains("hunter2") && before.args.as_str().is_some_and(|text| text.len() > 100));
        assert_eq!(reservations(pulp).await, 3);

        let workers = Workers::start(pulp, 2).await.unwrap();
        let row = pulp.tasks().wait(before.pulp_id).await.unwrap();
        assert_eq!(row.state(), TaskState::Completed);
        assert_eq!(row.result.as_deref(), Some(&7.into()));
        assert_eq!(row.error, None);
        assert_eq!(row.logging_cid, "abc");
        assert_eq!(row.app_lock_id, None);
        assert_eq!(row.fence, 1);
        assert!(row.unblocked_at <= row.started_at && row.started_at <= row.finished_at && row.started_at.is_some());
        let domain = format!("shared:prn:core.domain:{}", pulp.default_domain().pulp_id);
        assert_eq!(row.reserved_resources_record.0, ["a".to_owned(), "shared:b".to_owned(), domain]);
        assert_eq!(row.args.0, serde_json::json!({}), "arguments may hold secrets: they go with the end");
        assert_eq!(reservations(pulp).await, 0);

        let reports: Vec<ProgressRow> = pulp.db().all("select * from core_progressreport").await.unwrap();
        let [report] = reports.as_slice() else { panic!("{reports:?}") };
        assert_eq!((report.state.as_str(), report.done, report.total), ("completed", 2, Some(2)));
        assert_eq!((report.code.as_str(), report.suffix.as_deref()), ("test.probing", Some("probes")));
        let created: (Uuid, String, String) = pulp.db().one("select object_id, content_type, href from core_createdresource").await.unwrap();
        assert_eq!(created, (row.pulp_id, "test.probe".to_owned(), "/probes/7/".to_owned()));

        let online = pulp.tasks().online(AppRole::Worker).await.unwrap();
        assert_eq!(online.len(), 1);
        assert!(online[0].name.starts_with(&format!("{}@", std::process::id())));
        assert_eq!(online[0].versions.0["test"], "1.2.3");
        workers.stop(Duration::from_secs(60)).await;
        assert!(pulp.tasks().online(AppRole::Worker).await.unwrap().is_empty());
    }

    async fn a_thousand_random_tasks_keep_order_and_exclude(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let mut rng = rand::rngs::StdRng::seed_from_u64(41);
        let probes: Vec<Probe> = (0..1_000)
            .map(|number| {
                let act = Act::Yield(rng.random_range(0..4));
                Probe { world: id, number, needs: random_needs(&mut rng, 12), act, ..Probe::default() }
            })
            .collect();
        // Two that work, as two processes where the database allows it.
        let other = given.second().await;
        let workers = [Workers::start(pulp, 3).await.unwrap(), Workers::start(other.as_ref().unwrap_or(pulp), 3).await.unwrap()];
        let mut rows = Vec::new();
        for probe in &probes {
            rows.push(dispatch(pulp, probe).await);
        }
        for row in rows {
            assert_eq!(pulp.tasks().wait(row.pulp_id).await.unwrap().state(), TaskState::Completed);
        }
        assert_in_order(&world.log(), &probes);
        assert_eq!(reservations(pulp).await, 0);
        for workers in workers {
            workers.stop(Duration::from_secs(60)).await;
        }
    }

    /// Many at the same time, all wanting the same: the order is that of their sequence.
    async fn dispatches_at_the_same_time_are_ordered(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let workers = Workers::start(pulp, 4).await.unwrap();
        let probe = |number| Probe { world: id, number, needs: Resources::none().exclusive("the one"), act: Act::Yield(2), ..Probe::default() };
        let probes: Vec<Probe> = (0..60).map(probe).collect();
        let mut rows = futures::future::join_all(probes.iter().map(|probe| dispatch(pulp, probe))).await;
        rows.sort_by_key(|row| row.sequence);
        for row in &rows {
            pulp.tasks().wait(row.pulp_id).await.unwrap();
        }
        let mut ordered = Vec::new();
        for row in &rows {
            let result = pulp.tasks().find(row.pulp_id).await.unwrap().result.unwrap().as_i64().unwrap();
            ordered.push(probe(result));
        }
        assert_in_order(&world.log(), &ordered);
        workers.stop(Duration::from_secs(60)).await;
    }

    /// The marks in the database say what the pure scheduler says, whatever comes and goes.
    async fn the_database_agrees_with_the_scheduler(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let mut rng = rand::rngs::StdRng::seed_from_u64(43);
        let mut waiting = Vec::new();
        for number in 0..80 {
            if waiting.is_empty() || rng.random_bool(0.6) {
                let probe = Probe { world: id, number, needs: random_needs(&mut rng, 5), ..Probe::default() };
                waiting.push(dispatch(pulp, &probe).await.pulp_id);
            } else {
                let gone = waiting.swap_remove(rng.random_range(0..waiting.len()));
                assert_eq!(pulp.tasks().cancel(gone).await.unwrap().state(), TaskState::Canceled);
            }
            let (marked, right) = startable(pulp).await;
            assert_eq!(marked, right);
        }
    }

    async fn a_task_is_followed_from_another_process(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let task = dispatch(pulp, &Probe { world: id, act: Act::Gate, ..Probe::default() }).await.pulp_id;
        let second = given.second().await;
        let mut follow = second.as_ref().unwrap_or(pulp).tasks().follow(task, None).unwrap();
        let mut told = Vec::new();
        let mut next = async || match tokio::time::timeout(Duration::from_secs(20), follow.next()).await.unwrap() {
            Some(News::State(row)) => format!("is {}", row.state),
            Some(News::Progress(report)) => format!("has {} {}", report.done, report.state),
            Some(News::Ended(row)) => format!("ended {}", row.state),
            other => format!("{other:?}"),
        };
        told.push(next().await);
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        told.push(next().await);
        told.push(next().await);
        world.gate.add_permits(1);
        told.extend([next().await, next().await, next().await, next().await]);
        assert_eq!(told, ["is waiting", "is running", "has 1 running", "is completed", "has 2 completed", "ended completed", "None"]);
        workers.drain().await;
    }

    async fn tasks_are_cancelled_in_every_state(given: Probed) {
        let pulp = given.pulp();
        let tasks = pulp.tasks();
        let (id, world) = world();
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        let running = dispatch(pulp, &probe(0, Act::Gate)).await.pulp_id;
        let waiting = dispatch(pulp, &probe(1, Act::Nothing)).await.pulp_id;
        let last = dispatch(pulp, &probe(2, Act::Nothing)).await.pulp_id;
        // Cancelled from another process, where there can be one.
        let second = given.second().await;
        let other = second.as_ref().unwrap_or(pulp).tasks();
        let workers = Workers::start(pulp, 2).await.unwrap();
        world.begun(0).await;

        let canceled = other.cancel(waiting).await.unwrap();
        assert_eq!(canceled.state(), TaskState::Canceled);
        assert!(canceled.finished_at.is_some() && canceled.started_at.is_none());
        let canceling = other.cancel(running).await.unwrap();
        assert_eq!((canceling.state(), canceling.finished_at), (TaskState::Canceling, None));
        let canceled = tasks.wait(running).await.unwrap();
        assert_eq!((canceled.state(), canceled.error.is_none()), (TaskState::Canceled, true));
        assert_eq!(tasks.wait(last).await.unwrap().state(), TaskState::Completed);
        let report: String = pulp.db().scalar(Sql::new("select state from core_progressreport where task_id = $1").bind(running)).await.unwrap();
        assert_eq!(report, "canceled");

        for ended in [running, waiting, last] {
            assert!(matches!(tasks.cancel(ended).await, Err(Error::Conflict(_))));
        }
        assert!(matches!(tasks.cancel(new_id()).await, Err(Error::NotFound { .. })));
        assert_eq!(world.log(), [0, 2, -3], "the waiting one never ran, the running one was dropped at its gate");
        workers.stop(Duration::from_secs(60)).await;
    }

    async fn a_failure_and_a_panic_are_told_without_secrets(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let workers = Workers::start(pulp, 1).await.unwrap();
        let fails = dispatch(pulp, &Probe { world: id, act: Act::Fail, ..Probe::default() }).await;
        let failed = pulp.tasks().wait(fails.pulp_id).await.unwrap();
        assert_eq!(failed.state(), TaskState::Failed);
        assert_eq!(
            failed.error.unwrap().0,
            json!({"traceback": null, "description": "[PLP0000] the probe broke", "error_code": "PLP0000"})
        );
        let refused = dispatch(pulp, &Probe { world: id, act: Act::Refuse, ..Probe::default() }).await;
        let refused = pulp.tasks().wait(refused.pulp_id).await.unwrap();
        assert_eq!(refused.error.unwrap().0, json!({"traceback": null, "description": "the probe may not"}));
        let panics = dispatch(pulp, &Probe { world: id, number: 1, act: Act::Panic, ..Probe::default() }).await;
        let panicked = tokio::time::timeout(Duration::from_secs(60), pulp.tasks().wait(panics.pulp_id)).await.expect("it ends").unwrap();
        assert_eq!(panicked.state(), TaskState::Failed);
        assert!(!panicked.error.unwrap().to_string().contains("hunter2"));
        // The slot lives on.
        let after = dispatch(pulp, &Probe { world: id, number: 2, ..Probe::default() }).await;
        assert_eq!(pulp.tasks().wait(after.pulp_id).await.unwrap().state(), TaskState::Completed);
        workers.stop(Duration::from_secs(60)).await;
    }

    async fn an_immediate_task_runs_at_once_if_it_can(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let tasks = pulp.tasks();
        let immediate = || DispatchOptions { immediate: Some(true), ..options() };
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        // No worker is there.
        let row = tasks.dispatch(probe(0, Act::Nothing), immediate()).await.unwrap();
        assert_eq!((row.state(), row.result.as_deref()), (TaskState::Completed, Some(&0.into())));
        assert_eq!(reservations(pulp).await, 0);

        let long = dispatch(pulp, &probe(1, Act::Gate)).await;
        let row = tasks.dispatch(probe(2, Act::Nothing), immediate()).await.unwrap();
        assert_eq!(row.state(), TaskState::Waiting);
        let refused = tasks.dispatch(probe(3, Act::Nothing), DispatchOptions { never_deferred: true, ..immediate() }).await.unwrap();
        assert_eq!((refused.state(), refused.error_text()), (TaskState::Canceled, Some("Resources temporarily unavailable.")));
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.gate.add_permits(1);
        assert_eq!(tasks.wait(row.pulp_id).await.unwrap().state(), TaskState::Completed);
        assert_eq!(tasks.wait(long.pulp_id).await.unwrap().state(), TaskState::Completed);
        workers.stop(Duration::from_secs(60)).await;
    }

    /// A program without workers runs its tasks itself.
    async fn a_program_runs_its_own_task(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        let tasks = pulp.tasks();
        let first = tasks.run(probe(0, Act::Gate), options());
        let second = async {
            world.begun(0).await;
            let second = tasks.run(probe(1, Act::Nothing), options());
            let open = async {
                world.gate.add_permits(1);
            };
            futures::future::join(second, open).await.0
        };
        let (first, second) = futures::future::join(first, second).await;
        assert_eq!((first.unwrap().state(), second.unwrap().state()), (TaskState::Completed, TaskState::Completed));
        assert_eq!(world.log(), [0, -1, 1, -2]);
    }

    /// A short task that had to wait for its resource does not also wait for a slot that a long one of other resources has.
    async fn short_tasks_do_not_wait_behind_long_ones(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let probe = |number, needs, act| Probe { world: id, number, needs, act, ..Probe::default() };
        let a = || Resources::none().exclusive("a");
        let holder = dispatch(pulp, &probe(0, a(), Act::Gate)).await;
        let short = pulp.tasks().dispatch(probe(1, a(), Act::Nothing), DispatchOptions { immediate: Some(true), ..options() }).await.unwrap();
        assert_eq!(short.state(), TaskState::Waiting);
        dispatch(pulp, &probe(2, Resources::none(), Act::Gate)).await;
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        pulp.tasks().cancel(holder.pulp_id).await.unwrap();
        assert_eq!(pulp.tasks().wait(short.pulp_id).await.unwrap().state(), TaskState::Completed);
        world.begun(2).await;
        assert!(!world.log().contains(&-3));
        world.gate.add_permits(1);
        workers.stop(Duration::from_secs(60)).await;
    }

    async fn a_stop_leaves_what_waits_and_aborts_what_does_not_end(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let running = dispatch(pulp, &Probe { world: id, number: 0, act: Act::Gate, ..Probe::default() }).await;
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        let waiting = dispatch(pulp, &Probe { world: id, number: 1, ..Probe::default() }).await;
        workers.stop(Duration::ZERO).await;
        let aborted = pulp.tasks().find(running.pulp_id).await.unwrap();
        assert_eq!((aborted.state(), aborted.error_text()), (TaskState::Failed, Some("Aborted during worker shutdown.")));
        assert_eq!(pulp.tasks().find(waiting.pulp_id).await.unwrap().state(), TaskState::Waiting);
        assert!(pulp.tasks().online(AppRole::Worker).await.unwrap().is_empty());
        // The next start takes it up; its stop lets it end.
        let running = dispatch(pulp, &Probe { world: id, number: 2, act: Act::Gate, ..Probe::default() }).await;
        let workers = Workers::start(pulp, 2).await.unwrap();
        world.begun(2).await;
        pulp.tasks().wait(waiting.pulp_id).await.unwrap();
        let stop = workers.stop(Duration::from_secs(60));
        let open = async { world.gate.add_permits(1) };
        futures::future::join(stop, open).await;
        assert_eq!(pulp.tasks().find(running.pulp_id).await.unwrap().state(), TaskState::Completed);
    }

    /// A process that was taken for dead and comes back cannot write.
    async fn who_lost_the_lease_writes_nothing(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let workers = Workers::start(pulp, 2).await.unwrap();
        let plain = dispatch(pulp, &Probe { world: id, number: 0, act: Act::Gate, ..Probe::default() }).await.pulp_id;
        let holds = dispatch(pulp, &Probe { world: id, number: 1, act: Act::GateAndHold, ..Probe::default() }).await.pulp_id;
        world.begun(0).await;
        world.begun(1).await;
        pulp.db().execute("update core_task set state = 'failed', app_lock_id = null, fence = fence + 1").await.unwrap();
        world.gate.add_permits(2);
        workers.stop(Duration::from_secs(60)).await;
        for task in [plain, holds] {
            let row = pulp.tasks().find(task).await.unwrap();
            assert_eq!((row.state(), row.result.is_none()), (TaskState::Failed, true));
        }
        assert!(!world.log().contains(&-2), "hold() turned it away");
    }

    async fn groups_are_cancelled_together(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let line = GroupProgress { message: "All".to_owned(), code: "all".to_owned(), total: 3, suffix: None };
        let group = pulp.tasks().create_group(pulp.default_domain(), "three", &[line]).await.unwrap().pulp_id;
        let mut members = Vec::new();
        for number in 0..3 {
            let needs = Resources::none().exclusive("a");
            let probe = Probe { world: id, number, needs, ..Probe::default() };
            members.push(pulp.tasks().dispatch(probe, DispatchOptions { group: Some(group), ..options() }).await.unwrap().pulp_id);
        }
        pulp.tasks().complete_group(group).await.unwrap();
        assert_eq!(pulp.tasks().cancel_group(group).await.unwrap().len(), 3);
        for member in members {
            assert_eq!(pulp.tasks().find(member).await.unwrap().state(), TaskState::Canceled);
        }
        assert_eq!(reservations(pulp).await, 0);
        assert!(matches!(pulp.tasks().cancel_group(group).await, Err(Error::Conflict(_))));
        assert!(matches!(pulp.tasks().cancel_group(new_id()).await, Err(Error::NotFound { .. })));
    }

    async fn uploads_that_nobody_commits_are_removed(given: Aged) {
        let pulp = given.probed.pulp();
        let upload = "insert into core_upload (pulp_id, pulp_created, size, pulp_domain_id) values ($1, $2, 4, $3)";
        let chunk = "insert into core_uploadchunk (pulp_id, pulp_created, \"offset\", size, file, upload_id) values ($1, $2, 0, 4, $3, $4)";
        let at: pulp_core::storage::ArtifactPath = format!("artifact/ab/{}", "c".repeat(62)).parse().unwrap();
        pulp.storage().adopt(pulp.spool().store("data").await.unwrap(), &at).await.unwrap();
        let (old, young) = (new_id(), new_id());
        for id in [old, young] {
            given.clock.advance(TimeDelta::minutes(40));
            pulp.db().execute(Sql::new(upload).bind(id).bind(pulp.now()).bind(pulp.default_domain().pulp_id)).await.unwrap();
            let file = if id == old { at.as_str().to_owned() } else { format!("artifact/ab/{}", "d".repeat(62)) };
            pulp.db().execute(Sql::new(chunk).bind(new_id()).bind(pulp.now()).bind(file).bind(id)).await.unwrap();
        }
        given.clock.advance(TimeDelta::minutes(40));
        given.look_after().await;
        let left: Vec<Uuid> = pulp.db().column("select upload_id from core_uploadchunk").await.unwrap();
        assert_eq!(left, [young]);
        assert!(pulp.storage().size(&at).await.is_err());
    }

    async fn old_temporary_files_go_by_themselves(given: Aged) {
        let pulp = given.probed.pulp();
        let insert = "insert into core_pulptemporaryfile (pulp_id, pulp_created, file, pulp_domain_id) values ($1, $2, $3, $4)";
        let place = |of: char| -> pulp_core::storage::ArtifactPath { format!("artifact/ab/{}", of.to_string().repeat(62)).parse().unwrap() };
        for (file, data) in [(place('c'), "old"), (place('d'), "young")] {
            pulp.storage().adopt(pulp.spool().store(data).await.unwrap(), &file).await.unwrap();
            given.clock.advance(TimeDelta::minutes(40));
            let sql = Sql::new(insert).bind(new_id()).bind(pulp.now()).bind(file.as_str()).bind(pulp.default_domain().pulp_id);
            pulp.db().execute(sql).await.unwrap();
        }
        given.clock.advance(TimeDelta::minutes(40));
        given.look_after().await;
        let left: Vec<String> = pulp.db().column("select file from core_pulptemporaryfile").await.unwrap();
        assert_eq!(left, [place('d').as_str()]);
        assert!(pulp.storage().size(&place('c')).await.is_err() && pulp.storage().size(&place('d')).await.is_ok());
    }

    async fn a_schedule_keeps_its_rhythm(given: Aged) {
        let pulp = given.probed.pulp();
        let (tasks, domain) = (pulp.tasks(), pulp.default_domain());
        let (id, _) = world();
        let probe = Probe { world: id, ..Probe::default() };
        let rhythm = Rhythm { first: pulp.now() + TimeDelta::minutes(5), every: Some(TimeDelta::minutes(10)) };
        let first = tasks.set_schedule(domain, "probing", &rhythm, &probe).await.unwrap();
        assert!(tasks.dispatch_due().await.unwrap().is_empty());
        given.clock.advance(TimeDelta::minutes(6));
        // However many processes look.
        let other = given.probed.second().await;
        let dispatched = match &other {
            None => tasks.dispatch_due().await.unwrap(),
            Some(other) => {
                let (a, b) = (tasks.clone(), other.tasks());
                let (a, b) = tokio::join!(a.dispatch_due(), b.dispatch_due());
                [a.unwrap(), b.unwrap()].concat()
            }
        };
        assert_eq!(dispatched.len(), 1);
        let schedule = || async { TaskSchedule::find(pulp.db(), first.pulp_id).await.unwrap() };
        let now = schedule().await;
        assert_eq!((now.last_task_id, now.next_dispatch), (Some(dispatched[0]), Some(rhythm.first + TimeDelta::minutes(10))));
        let row = tasks.find(dispatched[0]).await.unwrap();
        assert_eq!((row.name.as_str(), row.user_id, row.logging_cid.len()), ("test.probe", None, 32));

        // While that one has not ended there is no second.
        given.clock.advance(TimeDelta::minutes(25));
        assert!(tasks.dispatch_due().await.unwrap().is_empty());
        assert_eq!(schedule().await.next_dispatch, Some(rhythm.first + TimeDelta::minutes(30)));
        let workers = Workers::start(pulp, 1).await.unwrap();
        assert_eq!(tasks.wait(dispatched[0]).await.unwrap().state(), TaskState::Completed);
        workers.drain().await;
        given.clock.advance(TimeDelta::minutes(10));
        tasks.dispatch_due().await.unwrap();
        assert_ne!(schedule().await.last_task_id, Some(dispatched[0]));

        // Set anew with the same rhythm it goes on, with another it begins anew.
        let at = |minutes| Rhythm { first: pulp.now(), every: Some(TimeDelta::minutes(minutes)) };
        assert_eq!(tasks.set_schedule(domain, "probing", &at(10), &probe).await.unwrap().next_dispatch, schedule().await.next_dispatch);
        assert_eq!(tasks.set_schedule(domain, "probing", &at(20), &probe).await.unwrap().next_dispatch, Some(pulp.now()));
        assert!(matches!(tasks.set_schedule(domain, "x", &at(0), &probe).await, Err(Error::BadRequest(_))));
        assert!(tasks.remove_schedule(domain, "probing").await.unwrap());
        assert!(!tasks.remove_schedule(domain, "probing").await.unwrap());
    }

    async fn a_schedule_without_an_interval_dispatches_once(given: Aged) {
        let pulp = given.probed.pulp();
        let (id, _) = world();
        let rhythm = Rhythm { first: pulp.now(), every: None };
        let once = pulp.tasks().set_schedule(pulp.default_domain(), "once", &rhythm, &Probe { world: id, ..Probe::default() }).await.unwrap();
        assert_eq!(pulp.tasks().dispatch_due().await.unwrap().len(), 1);
        given.clock.advance(TimeDelta::days(1));
        assert!(pulp.tasks().dispatch_due().await.unwrap().is_empty());
        let now = TaskSchedule::find(pulp.db(), once.pulp_id).await.unwrap();
        assert_eq!((now.next_dispatch, now.last_task_id.is_some()), (None, true));
    }

    async fn the_memory_of_a_task_is_recorded_where_it_is_asked_for_and_allowed(given: Aged) {
        let pulp = given.probed.pulp();
        let (id, _) = world();
        let probe = Probe { world: id, act: Act::Yield(9), ..Probe::default() };
        let asked = |what: &str| DispatchOptions { diagnostics: vec![what.to_owned()], ..options() };
        for what in ["memory", "pyinstrument"] {
            assert_eq!(pulp.tasks().run(probe.clone(), asked(what)).await.unwrap().state(), TaskState::Completed);
        }
        let kept = "select profile.name, artifact.file from core_profileartifact profile join core_artifact artifact on artifact.pulp_id = profile.artifact_id";
        let kept: Vec<(String, String)> = pulp.db().all(kept).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].0, "memory_profile");
        let mut text = Vec::new();
        let mut stored = pulp.storage().open(&kept[0].1.parse().unwrap(), None).await.unwrap();
        while let Some(part) = stored.next().await {
            text.extend_from_slice(&part.unwrap());
        }
        let text = String::from_utf8(text).unwrap();
        let megabytes = text.strip_prefix("# Seconds\tMemory in MB\n0\t").unwrap_or_else(|| panic!("{text}"));
        assert!(megabytes.trim_end().parse::<f64>().unwrap() > 1.0);
    }

    async fn no_memory_is_recorded_where_that_is_not_allowed(given: Probed) {
        let (id, _) = world();
        let asked = DispatchOptions { diagnostics: vec!["memory".to_owned()], ..options() };
        given.pulp().tasks().run(Probe { world: id, ..Probe::default() }, asked).await.unwrap();
        assert_eq!(given.pulp().db().scalar::<i64>("select count(*) from core_profileartifact").await.unwrap(), 0);
    }

    /// `TASK_PROTECTION_TIME`, without anybody asking for a purge.
    async fn old_tasks_go_by_themselves(given: Aged) {
        let pulp = given.probed.pulp();
        let (id, _) = world();
        let mut ran = Vec::new();
        for number in 0..2 {
            given.clock.advance(TimeDelta::minutes(40));
            ran.push(pulp.tasks().run(Probe { world: id, number, ..Probe::default() }, options()).await.unwrap().pulp_id);
        }
        given.clock.advance(TimeDelta::minutes(40));
        given.look_after().await;
        let left: Vec<Uuid> = pulp.db().column("select pulp_id from core_task where name = 'test.probe'").await.unwrap();
        assert_eq!(left, [ran[1]]);
    }

    async fn ended_tasks_are_deleted_and_purged(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let workers = Workers::start(pulp, 2).await.unwrap();
        let mut done = Vec::new();
        for number in 0..5 {
            let row = dispatch(pulp, &Probe { world: id, number, ..Probe::default() }).await;
            done.push(pulp.tasks().wait(row.pulp_id).await.unwrap());
        }
        let failed = dispatch(pulp, &Probe { world: id, number: 5, act: Act::Fail, ..Probe::default() }).await.pulp_id;
        pulp.tasks().wait(failed).await.unwrap();
        let waiting = dispatch(pulp, &Probe { world: id, number: 6, act: Act::Gate, ..Probe::default() }).await.pulp_id;
        assert!(matches!(pulp.tasks().delete(waiting).await, Err(Error::Conflict(_))));
        pulp.tasks().delete(done[0].pulp_id).await.unwrap();
        assert!(matches!(pulp.tasks().find(done[0].pulp_id).await, Err(Error::NotFound { .. })));

        let before = done[4].finished_at.unwrap();
        let states = vec![TaskState::Completed, TaskState::Waiting, TaskState::Running];
        let purge = Purge { finished_before: Some(before), states: Some(states), of_user: None };
        let purge = pulp.tasks().dispatch(purge, options()).await.unwrap().pulp_id;
        assert_eq!(pulp.tasks().wait(purge).await.unwrap().state(), TaskState::Completed);
        let left: Vec<Uuid> = pulp.db().column("select pulp_id from core_task order by sequence").await.unwrap();
        assert_eq!(left, [done[4].pulp_id, failed, waiting, purge]);
        let reports: Vec<(String, i64)> = pulp
            .db()
            .all(Sql::new("select code, done from core_progressreport where task_id = $1 order by code").bind(purge))
            .await
            .unwrap();
        let reports: Vec<(&str, i64)> = reports.iter().map(|(code, done)| (code.as_str(), *done)).collect();
        // Three tasks, each with a report and a created resource.
        let of = |model: &str| format!("purge.tasks.key.core.{model}");
        let wanted = [("purge.tasks.error", 0), (&of("CreatedResource"), 3), (&of("ProgressReport"), 3), (&of("Task"), 3), ("purge.tasks.total", 9)];
        assert_eq!(reports, wanted);
        pulp.tasks().cancel(waiting).await.unwrap();
        pulp.tasks().wait(waiting).await.unwrap();
        workers.stop(Duration::from_secs(60)).await;
    }
}

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Engine) -> F) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        test(engine).await;
    }
}

/// A process that dies leaves running tasks; they are failed once its signs of life are missed, and what waited for them goes on.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_dead_process_are_failed_and_free_what_they_had() {
    on_both(|engine| async move {
        let clock = ManualClock::new(chrono::Utc::now());
        let Some(given) = Probed::built(engine, |builder| builder.clock(clock.clone())).await else { return };
        let pulp = given.pulp();
        let (id, world) = world();
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        let dies = dispatch(pulp, &probe(0, Act::Gate)).await.pulp_id;
        let next = dispatch(pulp, &probe(1, Act::Nothing)).await.pulp_id;
        let dead = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        drop(dead);
        assert!(pulp.tasks().reap().await.unwrap().is_empty(), "it may only be slow");
        clock.advance(TimeDelta::seconds(31));
        assert_eq!(pulp.tasks().reap().await.unwrap(), [dies]);
        let row = pulp.tasks().find(dies).await.unwrap();
        assert_eq!((row.state(), row.error_text()), (TaskState::Failed, Some("Worker has gone missing.")));
        assert!(pulp.tasks().reap().await.unwrap().is_empty());
        let apps: i64 = pulp.db().scalar("select count(*) from core_appstatus").await.unwrap();
        assert_eq!(apps, 0);
        let workers = Workers::start(pulp, 1).await.unwrap();
        assert_eq!(pulp.tasks().wait(next).await.unwrap().state(), TaskState::Completed);
        workers.stop(Duration::from_secs(60)).await;
    })
    .await;
}

/// A process that died after the commit of a task's end, and before it looked for those that may go on: whoever misses it does so.
#[tokio::test(flavor = "multi_thread")]
async fn who_misses_a_process_looks_for_what_it_left_waiting() {
    on_both(|engine| async move {
        let clock = ManualClock::new(chrono::Utc::now());
        let Some(given) = Probed::built(engine, |builder| builder.clock(clock.clone())).await else { return };
        let pulp = given.pulp();
        let (id, _) = world();
        let probe = |number| Probe { world: id, number, needs: Resources::none().exclusive("a"), ..Probe::default() };
        let (first, next) = (dispatch(pulp, &probe(0)).await, dispatch(pulp, &probe(1)).await.pulp_id);
        let other = pulp.tasks().appear(AppRole::Worker).await.unwrap();
        drop(other);
        pulp.db().execute(Sql::new("delete from core_taskreservation where task_sequence = $1").bind(first.sequence)).await.unwrap();
        pulp.db().execute(Sql::new("update core_task set state = 'completed' where pulp_id = $1").bind(first.pulp_id)).await.unwrap();
        pulp.tasks().reap().await.unwrap();
        assert_eq!(pulp.tasks().find(next).await.unwrap().unblocked_at, None, "nobody is missed yet");
        clock.advance(TimeDelta::seconds(31));
        pulp.tasks().reap().await.unwrap();
        assert!(pulp.tasks().find(next).await.unwrap().unblocked_at.is_some());
    })
    .await;
}

/// The database refuses the look for those that may go on: it is made again, long before housekeeping comes round.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_for_what_may_go_on_is_repeated() {
    let Some(given) = Probed::prepare(Engine::Postgres).await else { return };
    let pulp = given.pulp();
    let (id, world) = world();
    let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
    let (first, next) = (dispatch(pulp, &probe(0, Act::Gate)).await, dispatch(pulp, &probe(1, Act::Nothing)).await.pulp_id);
    let workers = Workers::start(pulp, 2).await.unwrap();
    world.begun(0).await;
    for statement in [
        "create sequence refusals",
        "create function refuse() returns trigger language plpgsql as $$ begin \
         if nextval('refusals') < 3 then raise exception 'not now' using errcode = '40001'; end if; return new; end $$",
        "create trigger refuse before update on core_task for each row when (old.unblocked_at is null and new.unblocked_at is not null) \
         execute function refuse()",
    ] {
        pulp.db().execute(statement).await.unwrap();
    }
    let begun = std::time::Instant::now();
    world.gate.add_permits(1);
    assert_eq!(pulp.tasks().wait(first.pulp_id).await.unwrap().state(), TaskState::Completed);
    assert_eq!(pulp.tasks().wait(next).await.unwrap().state(), TaskState::Completed);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(pulp.db().scalar::<i64>("select last_value from refusals").await.unwrap() >= 3);
    workers.stop(Duration::from_secs(60)).await;
}

/// A release that knows a later version of a kind of task runs all; an earlier one leaves those of the later one, and takes the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_later_release_is_left_to_it() {
    on_both(|engine| async move {
        let Some(given) = Probed::prepare(engine).await else { return };
        let pulp = given.pulp();
        let (id, world) = world();
        let workers = Workers::start(pulp, 1).await.unwrap();
        // More than a claim looks at.
        let mut later = Vec::new();
        let tx = pulp.db().begin().await.unwrap();
        for number in 0..70 {
            let args =
                pulp.seal(&json!({"world": id, "number": number, "needs": {"exclusive": [], "shared": []}, "act": "Nothing"}).to_string());
            let insert = Sql::new(
                "insert into core_task (pulp_id, pulp_created, state, name, task_version, unblocked_at, args, pulp_domain_id) \
                 values ($1, $2, 'waiting', 'test.probe', 2, $2, $3, $4)",
            );
            later.push(new_id());
            let insert = insert.bind(*later.last().unwrap()).bind(pulp.now()).bind(json!(args.unwrap()));
            tx.execute(insert.bind(pulp.default_domain().pulp_id)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let ours = dispatch(pulp, &Probe { world: id, number: 100, ..Probe::default() }).await.pulp_id;
        assert_eq!(pulp.tasks().wait(ours).await.unwrap().state(), TaskState::Completed, "it is not held up by those that came before it");
        assert_eq!(world.log(), [100, -101]);
        for task in &later {
            assert_eq!(pulp.tasks().find(*task).await.unwrap().state(), TaskState::Waiting);
        }
        pulp.db().execute("update core_task set task_version = 1 where state = 'waiting'").await.unwrap();
        for task in later {
            assert_eq!(pulp.tasks().wait(task).await.unwrap().state(), TaskState::Completed, "only the version kept it waiting");
        }
        workers.stop(Duration::from_secs(60)).await;
    })
    .await;
}

/// Processes that do not share their keys: the error says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_another_key_says_so() {
    let Some(given) = Probed::built(Engine::Postgres, |builder| builder).await else { return };
    let database = given.0.database();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Pulp::builder().plugin(TestPlugin).data_dir(elsewhere.path()).database(database.url()).build().await.unwrap();
    let (id, _) = world();
    let row = dispatch(given.pulp(), &Probe { world: id, ..Probe::default() }).await;
    let workers = Workers::start(&other, 1).await.unwrap();
    let row = given.pulp().tasks().wait(row.pulp_id).await.unwrap();
    assert!(row.error_text().is_some_and(|text| text.contains("same key file")), "{row:?}");
    workers.stop(Duration::from_secs(60)).await;
}

/// On SQLite the next process knows that the former one is gone: nobody waits for its signs of life.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_fails_what_the_former_process_was_running() {
    let dir = tempfile::tempdir().unwrap();
    let build = || Pulp::builder().plugin(TestPlugin).data_dir(dir.path()).build();
    let (id, world) = world();
    let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
    let pulp = build().await.unwrap();
    let ran = dispatch(&pulp, &probe(0, Act::Gate)).await.pulp_id;
    let waits = dispatch(&pulp, &probe(1, Act::Nothing)).await.pulp_id;
    let workers = Workers::start(&pulp, 1).await.unwrap();
    world.begun(0).await;
    drop(workers);
    drop(pulp);
    // The abandoned futures go when the runtime gets to them; until then the directory is locked.
    let pulp = loop {
        match build().await {
            Ok(pulp) => break pulp,
            Err(Error::Db(pulp_core::db::DbError::Locked(_))) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(pulp.tasks().find(ran).await.unwrap().error_text(), Some("Worker has gone missing."));
    let row = pulp.tasks().find(waits).await.unwrap();
    assert!(row.state() == TaskState::Waiting && row.unblocked_at.is_some());
    let workers = Workers::start(&pulp, 1).await.unwrap();
    assert_eq!(pulp.tasks().wait(waits).await.unwrap().state(), TaskState::Completed);
    workers.stop(Duration::from_secs(60)).await;
}

/// One tenant’s long queue does not hold up another’s only task.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_take_turns() {
    on_both(|engine| async move {
        let mut settings = Settings::default();
        settings.domain_enabled = true;
        let Some(given) = Probed::built(engine, |builder| builder.settings(settings)).await else { return };
        let pulp = given.pulp();
        let insert = Sql::new("insert into core_domain (pulp_id, pulp_created, name, storage_class) values ($1, $2, 'other', '')");
        let other = new_id();
        pulp.db().execute(insert.bind(other).bind(pulp.now())).await.unwrap();
        let other = Arc::new(Domain::find(pulp.db(), other).await.unwrap());
        let (id, world) = world();
        for number in 0..10 {
            dispatch(pulp, &Probe { world: id, number, act: Act::Gate, ..Probe::default() }).await;
        }
        let probe = Probe { world: id, number: 10, act: Act::Gate, ..Probe::default() };
        pulp.tasks().dispatch(probe, DispatchOptions { domain: Some(other), ..options() }).await.unwrap();
        let workers = Workers::start(pulp, 2).await.unwrap();
        world.begun(0).await;
        world.begun(10).await;
        assert_eq!(world.log().len(), 2);
        world.gate.add_permits(11);
        workers.stop(Duration::from_secs(60)).await;
    })
    .await;
}

/// Not a test of anything but speed: `cargo test --release -- --ignored --nocapture throughput`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    on_both(|engine| async move {
        let Some(given) = Probed::built(engine, |builder| builder).await else { return };
        let pulp = given.pulp();
        let (id, _) = world();
        let probe =
            |number| Probe { world: id, number, needs: Resources::none().exclusive(number % 50).shared("remote"), ..Probe::default() };
        for backlog in [500, 4_000] {
            let start = std::time::Instant::now();
            let mut last = None;
            for number in 0..backlog {
                last = Some(dispatch(pulp, &probe(number)).await.pulp_id);
            }
            let dispatched = start.elapsed();
            let workers = Workers::start(pulp, 2).await.unwrap();
            let start = std::time::Instant::now();
            pulp.tasks().wait(last.unwrap()).await.unwrap();
            let ran = start.elapsed();
            println!(
                "{engine:?}: backlog {backlog}: {:.0} dispatches/s, {:.0} tasks/s",
                backlog as f64 / dispatched.as_secs_f64(),
                backlog as f64 / ran.as_secs_f64()
            );
            let mut times = Vec::new();
            for number in 0..500 {
                let start = std::time::Instant::now();
                let row = dispatch(pulp, &probe(number)).await;
                pulp.tasks().wait(row.pulp_id).await.unwrap();
                times.push(start.elapsed());
            }
            times.sort();
            println!("{engine:?}: dispatch to finished p50 {:?} p95 {:?}", times[250], times[475]);
            workers.stop(Duration::from_secs(60)).await;
        }
    })
    .await;
}
