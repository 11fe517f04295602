//! `pulp orphan`

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::args;
use crate::context::{Context, Followed};
use crate::error::Result;
use crate::resource::Body;

#[derive(Debug, Subcommand)]
pub(crate) enum OrphanCommand {
    /// Delete content and artifacts that belong to no repository
    Cleanup(Cleanup),
}

#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    /// Only these content units: JSON list of hrefs, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json_list)]
    content_hrefs: Option<Value>,
    /// Keep what was last used less than this many minutes ago
    #[arg(long, value_name = "MINUTES")]
    protection_time: Option<u64>,
}

impl OrphanCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let Self::Cleanup(cleanup) = self;
        let body =
            Body::new().with("content_hrefs", cleanup.content_hrefs.as_ref()).with("orphan_protection_time", cleanup.protection_time);
        let answer = cx.client.post("orphans/cleanup/", body.into()).await?;
        match cx.follow(&answer).await? {
            Followed::Ended(task) => cx.print(&task),
            Followed::NoTask => cx.print(&answer.body),
            Followed::Background => Ok(()),
        }
    }
}
