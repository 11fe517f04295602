//! `pulp scrub`

use clap::{Args, Subcommand};

use crate::args::CreatedFilters;
use crate::client::Query;
use crate::context::{Context, Followed};
use crate::error::Result;
use crate::list::Page;
use crate::lookup::{HrefLookup, Lookup as _};
use crate::resource::{Body, Kind};

/// Stored files that were wrong.
const FINDING: Kind = Kind::known("scrub finding", "scrub/");

#[derive(Debug, Subcommand)]
pub(crate) enum ScrubCommand {
    /// Show how far it has come, and how many files are lost
    Status,
    /// List stored files that were found to be lost or damaged, the latest first
    List(List),
    /// Show a finding
    Show(HrefLookup),
    /// Look at all stored files now
    Run(Run),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    /// Only findings in this state: lost, repaired, restored or dropped
    #[arg(long)]
    state: Option<String>,
    /// Only files of which this was wrong: missing, size, digest or unreadable
    #[arg(long)]
    problem: Option<String>,
    #[command(flatten)]
    created: CreatedFilters,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Read so many bytes a second at most, 0 for as many as can be
    #[arg(long, value_name = "BYTES")]
    bytes_per_second: Option<u32>,
}

impl ScrubCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Status => cx.print(&cx.client.get("scrub/status/", &Query::new()).await?),
            Self::List(list) => {
                let query = Query::new().with("state", list.state.as_deref()).with("problem", list.problem.as_deref());
                list.page.exec(cx, FINDING.path(), query.and(list.created.query())).await
            }
            Self::Show(lookup) => cx.print(&lookup.find(cx, &FINDING).await?),
            Self::Run(run) => {
                let answer = cx.client.post("scrub/run/", Body::new().with("bytes_per_second", run.bytes_per_second).into()).await?;
                match cx.follow(&answer).await? {
                    Followed::Ended(task) => cx.print(&task),
                    Followed::NoTask => cx.print(&answer.body),
                    Followed::Background => Ok(()),
                }
            }
        }
    }
}
