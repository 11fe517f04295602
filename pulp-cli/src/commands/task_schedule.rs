//! `pulp task-schedule`

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::object_role::ObjectRoleCommand;
use crate::args::switch;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::Page;
use crate::lookup::{Lookup as _, named_lookup};
use crate::reference::{Category, TypedReference};
use crate::resource::{Body, Kind, text};

/// Tasks that recur.
const SCHEDULE: Kind = Kind::known("task schedule", "task-schedules/");

named_lookup!(
    /// Names a schedule.
    ScheduleLookup, "task-schedule", "task-schedule-href"
);
switch!(
    /// Whether a sync removes what the remote does not have.
    Mirror, "mirror", "no-mirror", "Remove what the remote does not have"
);
switch!(
    /// Whether a sync that would change nothing is skipped.
    Optimize, "optimize", "no-optimize", "Skip a sync that would change nothing"
);
switch!(
    /// Whether the schedule has turns.
    Enabled, "enabled", "disabled", "Whether it has turns"
);

#[derive(Debug, Subcommand)]
pub(crate) enum TaskScheduleCommand {
    /// Have a repository synced again and again
    Create(Box<Create>),
    /// List schedules
    List(List),
    /// Show a schedule
    Show(ScheduleLookup),
    /// Change a schedule; from then on it is done in your name
    Update(Box<Update>),
    /// Delete a schedule
    Destroy(ScheduleLookup),
    /// Roles on a schedule
    #[command(subcommand)]
    Role(ObjectRoleCommand<ScheduleLookup>),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the schedule
    #[arg(long)]
    name: String,
    /// Repository to sync: PLUGIN:TYPE:NAME, href or PRN
    #[arg(long)]
    repository: TypedReference,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: ScheduleLookup,
    #[command(flatten)]
    options: Options,
}

/// What can be said of a schedule.
#[derive(Debug, Args)]
struct Options {
    /// Time from one turn to the next: seconds, HH:MM:SS or "DAYS HH:MM:SS"
    #[arg(long, value_name = "TIME", conflicts_with = "cron")]
    interval: Option<String>,
    /// Turns by a cron expression, in UTC: "MINUTE HOUR DAY MONTH WEEKDAY"
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Seconds by which a turn may be late, at random
    #[arg(long, value_name = "SECONDS")]
    jitter: Option<u32>,
    /// Remote to sync from, if not that of the repository: PLUGIN:TYPE:NAME, href or PRN; the empty text for that of the repository
    #[arg(long)]
    remote: Option<TypedReference>,
    #[command(flatten)]
    mirror: Mirror,
    #[command(flatten)]
    optimize: Optimize,
    #[command(flatten)]
    enabled: Enabled,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    /// Only the one of this name
    #[arg(long)]
    name: Option<String>,
    /// Only those whose name contains this
    #[arg(long, value_name = "TEXT")]
    name_contains: Option<String>,
    /// Only those of this task
    #[arg(long, value_name = "NAME")]
    task_name: Option<String>,
    /// Only those of tasks whose name contains this
    #[arg(long, value_name = "TEXT")]
    task_name_contains: Option<String>,
}

impl Options {
    /// What is given; of the options of the sync, those are kept that are not.
    async fn body(&self, cx: &Context, options: Map<String, Value>) -> Result<Body> {
        let given = self.sync(cx, options).await?;
        Ok(Body::new()
            .with("dispatch_interval", self.interval.as_deref())
            .with("cron", self.cron.as_deref())
            .with("jitter", self.jitter)
            .with("options", given.map(Value::Object))
            .with("enabled", self.enabled.get()))
    }

    /// The options of the sync; nothing if none is given.
    async fn sync(&self, cx: &Context, mut options: Map<String, Value>) -> Result<Option<Map<String, Value>>> {
        let remote = cx.target_if(&Category::ANY_REMOTE, self.remote.as_ref()).await?;
        let flags = [("mirror", self.mirror.get()), ("optimize", self.optimize.get())];
        let given = [("remote", remote)].into_iter().chain(flags.map(|(name, value)| (name, value.map(Value::Bool))));
        let mut any = false;
        for (name, value) in given {
            match value {
                None => continue,
                Some(Value::Null) => drop(options.remove(name)),
                Some(value) => drop(options.insert(name.to_owned(), value)),
            }
            any = true;
        }
        Ok(any.then_some(options))
    }
}

impl TaskScheduleCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => {
                let repository = cx.target(&Category::ANY_REPOSITORY, &create.repository).await?;
                let body = Body::new().with("name", Some(&create.name)).with("repository", Some(repository));
                cx.create(&SCHEDULE, body.and(create.options.body(cx, Map::new()).await?)).await
            }
            Self::List(list) => list.exec(cx).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &SCHEDULE).await?),
            Self::Update(update) => {
                let current = update.lookup.find(cx, &SCHEDULE).await?;
                let options = current.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
                cx.update(text(&current, "pulp_href")?, update.options.body(cx, options).await?).await
            }
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &SCHEDULE).await?).await,
            Self::Role(command) => command.exec(cx, &SCHEDULE).await,
        }
    }
}

impl List {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let filters = Query::new()
            .with("name", self.name.as_deref())
            .with("name__contains", self.name_contains.as_deref())
            .with("task_name", self.task_name.as_deref())
            .with("task_name__contains", self.task_name_contains.as_deref());
        self.page.exec(cx, SCHEDULE.path(), filters).await
    }
}
