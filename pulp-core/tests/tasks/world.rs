//! Tasks that do as they are told, and a Pulp that knows them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pulp_core::clock::ManualClock;
use pulp_core::db::ExecutorExt;
use pulp_core::ids::Prn;
use pulp_core::model::TaskRow;
use pulp_core::plugin::{Plugin, PluginDescriptor, Registry};
use pulp_core::settings::Settings;
use pulp_core::tasks::{Created, DispatchOptions, Resources, Task, TaskContext, TaskOutput, Workers};
use pulp_core::{Error, Pulp, PulpBuilder, Result};
use pulp_testkit::{Engine, Kit};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

/// What the probes of one test share with it.
pub struct World {
    /// The number of each probe that began, or (negative, less one) that ended.
    pub log: watch::Sender<Vec<i64>>,
    /// Lets probes that wait go on.
    pub gate: Semaphore,
}

static WORLDS: LazyLock<Mutex<HashMap<u64, Arc<World>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

pub fn world() -> (u64, Arc<World>) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let world = Arc::new(World { log: watch::channel(Vec::new()).0, gate: Semaphore::new(0) });
    WORLDS.lock().unwrap().insert(id, world.clone());
    (id, world)
}

impl World {
    pub fn note(&self, what: i64) {
        self.log.send_modify(|log| log.push(what));
    }

    pub fn log(&self) -> Vec<i64> {
        self.log.borrow().clone()
    }

    pub async fn begun(&self, number: i64) {
        self.log.subscribe().wait_for(|log| log.contains(&number)).await.unwrap();
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub enum Act {
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
pub struct Probe {
    pub world: u64,
    pub number: i64,
    pub needs: Resources,
    pub act: Act,
    pub password: Option<String>,
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

pub struct TestPlugin;

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
pub struct Probed(pub Kit);

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
    pub async fn built(engine: Engine, describe: impl FnOnce(PulpBuilder) -> PulpBuilder) -> Option<Self> {
        Some(Self(Kit::built(engine, |builder| describe(builder.plugin(TestPlugin))).await?))
    }

    pub fn pulp(&self) -> &Pulp {
        self.0.pulp()
    }

    /// A second process on the same database, where there can be one.
    pub async fn second(&self) -> Option<Pulp> {
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
pub struct Aged {
    pub probed: Probed,
    pub clock: ManualClock,
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
    pub async fn look_after(&self) {
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

pub fn options() -> DispatchOptions {
    DispatchOptions::default()
}

pub async fn reservations(pulp: &Pulp) -> i64 {
    pulp.db().scalar("select count(*) from core_taskreservation").await.unwrap()
}

pub async fn dispatch(pulp: &Pulp, probe: &Probe) -> TaskRow {
    pulp.tasks().dispatch(probe.clone(), options()).await.unwrap()
}

pub async fn on_both<F: Future<Output = ()>>(test: impl Fn(Engine) -> F) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        test(engine).await;
    }
}
