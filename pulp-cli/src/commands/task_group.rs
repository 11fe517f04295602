//! `pulp task-group`

use clap::{Args, Subcommand};

use super::PlainList;
use crate::context::Context;
use crate::error::Result;
use crate::lookup::{Lookup as _, UuidLookup};
use crate::output;
use crate::resource::Kind;
use crate::wait;

/// Groups of tasks that one request started.
const TASK_GROUP: Kind = Kind::known("task group", "task-groups/");

#[derive(Debug, Subcommand)]
pub(crate) enum TaskGroupCommand {
    /// List groups of tasks
    List(PlainList),
    /// Show a group of tasks
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    lookup: UuidLookup,
    /// Wait until all tasks of the group have ended
    #[arg(long, short)]
    wait: bool,
}

impl TaskGroupCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, TASK_GROUP.path()).await,
            Self::Show(show) if show.wait => {
                let href = show.lookup.href(cx, &TASK_GROUP).await?;
                output::note(&format!("Waiting for task group {href}"));
                cx.print(&wait::group(cx, &href).await?)
            }
            Self::Show(show) => cx.print(&show.lookup.find(cx, &TASK_GROUP).await?),
        }
    }
}
