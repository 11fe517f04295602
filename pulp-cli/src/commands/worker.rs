//! `pulp worker`

use clap::{Args, Subcommand};

use crate::args::switch;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::{NameFilters, Page};
use crate::lookup::Lookup as _;
use crate::lookup::named_lookup;
use crate::resource::Kind;

/// Workers run the tasks.
pub(crate) static WORKER: Kind = Kind::known("worker", "workers/");

switch!(
    /// Whether to show workers whose heartbeat stopped.
    Missing, "missing", "not-missing", "Only workers whose heartbeat stopped"
);
switch!(
    /// Whether to show workers that are alive.
    Online, "online", "not-online", "Only workers that are alive"
);

named_lookup!(
    /// Names a worker.
    WorkerLookup, "worker", "worker-href"
);

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List workers
    List(List),
    /// Show a worker
    Show(WorkerLookup),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    name: NameFilters,
    #[command(flatten)]
    missing: Missing,
    #[command(flatten)]
    online: Online,
}

impl WorkerCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => {
                let filters = Query::new().with("missing", list.missing.get()).with("online", list.online.get());
                list.page.exec(cx, WORKER.path(), list.name.query().and(filters)).await
            }
            Self::Show(lookup) => cx.print(&lookup.find(cx, &WORKER).await?),
        }
    }
}
