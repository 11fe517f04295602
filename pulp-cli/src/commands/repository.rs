//! `pulp repository`

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::args;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::{LabelFilter, NameFilters, Page};

#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// List repositories
    List(List),
    /// Versions of repositories
    #[command(subcommand)]
    Version(VersionCommand),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    name: NameFilters,
    #[command(flatten)]
    label: LabelFilter,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VersionCommand {
    /// List versions of all repositories
    List(VersionList),
}

#[derive(Debug, Args)]
pub(crate) struct VersionList {
    #[command(flatten)]
    page: Page,
    /// Only versions that have any of these content units: JSON list of hrefs, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json_list)]
    content: Option<Value>,
}

impl List {
    /// Lists the repositories of a collection.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        self.page.exec(cx, path, self.name.query().and(self.label.query())).await
    }
}

impl VersionList {
    /// Lists the versions of a collection.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        self.page.exec(cx, path, content_in(self.content.as_ref())).await
    }
}

/// The filter for what has any of the content units.
pub(crate) fn content_in(list: Option<&Value>) -> Query {
    let hrefs: Vec<&str> = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    Query::new().with_all("content__in", &hrefs)
}

impl RepositoryCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, "repositories/").await,
            Self::Version(VersionCommand::List(list)) => list.exec(cx, "repository_versions/").await,
        }
    }
}
