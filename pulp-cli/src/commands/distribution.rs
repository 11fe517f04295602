//! `pulp distribution`

use clap::{Args, Subcommand};

use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::{LabelFilter, NameFilters, Page};

#[derive(Debug, Subcommand)]
pub(crate) enum DistributionCommand {
    /// List distributions
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
    /// Only the one at this base path
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    /// Only those whose base path contains this, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    base_path_contains: Option<String>,
}

impl List {
    /// Lists the distributions of a collection.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        let base_path =
            Query::new().with("base_path", self.base_path.as_deref()).with("base_path__icontains", self.base_path_contains.as_deref());
        let filters = self.name.query().and(self.label.query()).and(base_path);
        self.page.exec(cx, path, filters).await
    }
}

impl DistributionCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let Self::List(list) = self;
        list.exec(cx, "distributions/").await
    }
}
