//! `pulp publication`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::repository::content_in;
use crate::args::{self, CreatedFilters};
use crate::context::Context;
use crate::error::Result;
use crate::list::Page;
use crate::reference::{Category, TypedReference};

#[derive(Debug, Subcommand)]
pub(crate) enum PublicationCommand {
    /// List publications
    List(List),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    /// Only publications that have any of these content units: JSON list of hrefs, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json_list)]
    content: Option<Value>,
    #[command(flatten)]
    created: CreatedFilters,
    /// Only publications of this repository version, by href or PRN
    #[arg(long, value_name = "HREF|PRN")]
    repository_version: Option<String>,
    /// Only publications of this repository: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<TypedReference>,
}

impl List {
    /// Lists the publications of a collection.
    pub(crate) async fn exec(&self, cx: &Context, path: &str, repositories: &Category) -> Result<()> {
        let repository = cx.target_if(repositories, self.repository.as_ref()).await?;
        let filters = content_in(self.content.as_ref())
            .and(self.created.query())
            .with("repository_version", self.repository_version.as_deref())
            .with("repository", repository.as_ref().and_then(Value::as_str));
        self.page.exec(cx, path, filters).await
    }
}

impl PublicationCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let Self::List(list) = self;
        list.exec(cx, "publications/", &Category::ANY_REPOSITORY).await
    }
}
