//! `pulp task-schedule`

use clap::{Args, Subcommand};

use super::object_role::ObjectRoleCommand;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::Page;
use crate::lookup::{Lookup as _, named_lookup};
use crate::resource::Kind;

/// Tasks that recur.
const SCHEDULE: Kind = Kind::known("task schedule", "task-schedules/");

named_lookup!(
    /// Names a schedule.
    ScheduleLookup, "task-schedule", "task-schedule-href"
);

#[derive(Debug, Subcommand)]
pub(crate) enum TaskScheduleCommand {
    /// List schedules
    List(List),
    /// Show a schedule
    Show(ScheduleLookup),
    /// Roles on a schedule
    #[command(subcommand)]
    Role(ObjectRoleCommand<ScheduleLookup>),
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

impl TaskScheduleCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &SCHEDULE).await?),
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
