//! A task that tells what it does, in a table: when it began, and when it ended.

use std::time::Duration;

use pulp_core::prelude::*;
use pulp_migrations::{Migration, MigrationSet};
use serde::{Deserialize, Serialize};

/// Where probes are dispatched, below the API's root.
pub const DISPATCH: &str = "probes/dispatch/";

/// The table. `at` is the moment by the clock of the machine, which is one for all processes here.
const TABLE: &str = "create table probe_step (number bigint not null, what text not null, task uuid not null, fence bigint not null, \
                     at timestamptz not null default clock_timestamp())";

const FIRST: Migration = Migration { name: "0001_initial", postgres: TABLE, sqlite: "select 1" };

/// What a later release adds: columns in tables that every process uses.
const SECOND: Migration = Migration {
    name: "0002_more",
    postgres: "alter table probe_step add column release text not null default 'earlier';
               alter table core_task add column later text not null default 'nothing';
               alter table core_taskschedule add column later text;
               alter table core_appstatus add column later text;
               alter table core_repository add column later text;
               alter table core_repositoryversion add column later text;
               alter table core_remote add column later text;
               alter table core_publication add column later text;
               alter table core_distribution add column later text;
               alter table core_artifact add column later text;
               alter table core_domain add column later text;
               alter table auth_user add column later text;
               alter table file_filerepository add column later text;
               create index probe_step_release on probe_step (release);",
    sqlite: "select 1",
};

pub const MIGRATIONS: MigrationSet = MigrationSet { component: "probe", migrations: &[FIRST] };

const LATER_MIGRATIONS: MigrationSet = MigrationSet { component: "probe", migrations: &[FIRST, SECOND] };

/// Says that it begins, works for a while, says that it ends; both only as long as it holds its claim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    pub number: i64,
    pub needs: Resources,
    pub milliseconds: u64,
    /// Whether the process that dispatches it may run it.
    pub immediate: bool,
}

#[async_trait]
impl Task for Probe {
    const NAME: &'static str = "probe.step";

    fn resources(&self) -> Resources {
        self.needs.clone()
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        note(&cx, self.number, "begin", None).await?;
        tokio::time::sleep(Duration::from_millis(self.milliseconds)).await;
        note(&cx, self.number, "end", None).await?;
        Ok(TaskOutput { result: Some(self.number.into()) })
    }
}

async fn note(cx: &TaskContext, number: i64, what: &str, release: Option<&str>) -> Result<()> {
    let tx = cx.pulp().db().begin().await?;
    cx.hold(&tx).await?;
    let insert = match release {
        None => Sql::new("insert into probe_step (number, what, task, fence) values ($1, $2, $3, $4)"),
        Some(_) => Sql::new("insert into probe_step (number, what, task, fence, release) values ($1, $2, $3, $4, $5)"),
    };
    let mut insert = insert.bind(number).bind(what).bind(cx.id()).bind(cx.fence());
    if let Some(release) = release {
        insert = insert.bind(release);
    }
    tx.execute(insert).await?;
    Ok(tx.commit().await?)
}

/// The same kind of task in a later release: it has to say which release it is, and an earlier one would not.
#[derive(Debug, Serialize, Deserialize)]
struct LaterProbe {
    #[serde(flatten)]
    probe: Probe,
    /// None in tasks of the earlier release.
    says: Option<String>,
}

#[async_trait]
impl Task for LaterProbe {
    const NAME: &'static str = Probe::NAME;
    const VERSION: i64 = 2;

    fn resources(&self) -> Resources {
        self.probe.resources()
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let (number, says) = (self.probe.number, self.says.as_deref().or(Some("on behalf of the earlier")));
        note(&cx, number, "begin", says).await?;
        tokio::time::sleep(Duration::from_millis(self.probe.milliseconds)).await;
        note(&cx, number, "end", says).await?;
        Ok(TaskOutput { result: Some(number.into()) })
    }
}

/// Says to a process which release it is.
pub const RELEASE: &str = "TESTED_RELEASE";
pub const LATER: &str = "later";

pub struct Probes {
    later: bool,
}

impl Probes {
    pub fn of_this_release() -> Self {
        Self { later: std::env::var(RELEASE).is_ok_and(|release| release == LATER) }
    }
}

impl Plugin for Probes {
    fn descriptor(&self) -> PluginDescriptor {
        let version = if self.later { "2.0.0" } else { "1.0.0" };
        PluginDescriptor { label: "probe", version, package: "probe", module: "probe", domain_compatible: true }
    }

    fn migrations(&self) -> MigrationSet {
        if self.later { LATER_MIGRATIONS } else { MIGRATIONS }
    }

    fn register(&self, registry: &mut Registry) {
        if self.later {
            registry.task::<LaterProbe>();
        } else {
            registry.task::<Probe>();
        }
        let fields = [Field::json("task").required().help("The task.")];
        let handler = Dispatch { later: self.later };
        let dispatch = Action::post("dispatch", handler).on_collection().body("ProbeDispatch", fields).help("Dispatches a probe.");
        registry.resource(Resource::new("probes", "core_task", "probe.Probe").action(dispatch));
    }
}

struct Dispatch {
    later: bool,
}

#[async_trait]
impl ActionHandler for Dispatch {
    async fn handle(&self, cx: &Context, _: Option<Uuid>, input: Input) -> Result<Reply> {
        let task = input.get("task").cloned().unwrap_or_default();
        let probe: Probe = serde_json::from_value(task).map_err(|error| Error::field("task", error.to_string()))?;
        let options = DispatchOptions { immediate: Some(probe.immediate), ..cx.dispatch_options() };
        if self.later {
            cx.dispatch_with(LaterProbe { probe, says: Some(LATER.to_owned()) }, options).await
        } else {
            cx.dispatch_with(probe, options).await
        }
    }
}
