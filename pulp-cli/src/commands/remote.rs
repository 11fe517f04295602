//! `pulp remote`

use clap::{Args, Subcommand};

use crate::args::moment;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::{LabelFilter, NameFilters, Page};

#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// List remotes
    List(List),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    name: NameFilters,
    #[command(flatten)]
    label: LabelFilter,
    /// Only those changed at this time (UTC) or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    updated_after: Option<String>,
    /// Only those changed at this time (UTC) or earlier
    #[arg(long, value_name = "TIME", value_parser = moment)]
    updated_before: Option<String>,
}

impl List {
    /// Lists the remotes of a collection.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        let updated = Query::new()
            .with("pulp_last_updated__gte", self.updated_after.as_deref())
            .with("pulp_last_updated__lte", self.updated_before.as_deref());
        let filters = self.name.query().and(self.label.query()).and(updated);
        self.page.exec(cx, path, filters).await
    }
}

impl RemoteCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let Self::List(list) = self;
        list.exec(cx, "remotes/").await
    }
}
