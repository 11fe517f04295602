//! `pulp du`

use clap::Args;

use crate::client::Query;
use crate::context::Context;
use crate::error::Result;

/// Show which repositories hold which bytes, and what would become free.
#[derive(Debug, Args)]
pub(crate) struct DiskUsage {
    /// Show at most this many repositories, those that hold most first
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Skip this many repositories
    #[arg(long, value_name = "COUNT")]
    offset: Option<u64>,
}

impl DiskUsage {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let query = Query::new().with("limit", self.limit).with("offset", self.offset);
        cx.print(&cx.client.get("disk_usage/", &query).await?)
    }
}
