//! `pulp repository`

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::args;
use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::{LabelledList, Page};
use crate::reference::{Category, TypedReference};
use crate::resource::Body;

#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// List repositories
    List(LabelledList),
    /// Remove files that a remote can give again from the storage
    Reclaim(Reclaim),
    /// Versions of repositories
    #[command(subcommand)]
    Version(VersionCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Reclaim {
    /// Repository, as [[PLUGIN:]TYPE:]NAME or by href or PRN; may be repeated
    #[arg(long = "repository", value_name = "NAME|HREF|PRN", required_unless_present = "all")]
    repositories: Vec<TypedReference>,
    /// All repositories
    #[arg(long, conflicts_with = "repositories")]
    all: bool,
    /// Version whose content keeps its files, as REPOSITORY NUMBER; may be repeated
    #[arg(long = "keep-version", value_names = ["NAME|HREF|PRN", "NUMBER"], num_args = 2, action = clap::ArgAction::Append)]
    keep: Vec<String>,
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

/// The hrefs of versions that were given as pairs of a repository and a number; none if there is no pair.
pub(super) async fn version_hrefs(cx: &Context, category: &Category, pairs: &[String]) -> Result<Option<Vec<String>>> {
    let mut hrefs = Vec::with_capacity(pairs.len() / 2);
    for pair in pairs.chunks_exact(2) {
        let repository: TypedReference = pair[0].parse().unwrap_or_else(|never| match never {});
        let number: u64 = pair[1].parse().map_err(|_| Error::usage(format!("'{}' is no number of a version", pair[1])))?;
        let href = cx.target(category, &repository).await?;
        hrefs.push(format!("{}versions/{number}/", href.as_str().unwrap_or_default()));
    }
    Ok((!pairs.is_empty()).then_some(hrefs))
}

impl Reclaim {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let mut hrefs = cx.targets(&Category::ANY_REPOSITORY, &self.repositories).await?.unwrap_or_default();
        if self.all {
            hrefs.push("*".into());
        }
        let keep = version_hrefs(cx, &Category::ANY_REPOSITORY, &self.keep).await?;
        let body = Body::new().with("repo_hrefs", Some(hrefs)).with("repo_versions_keeplist", keep);
        let answer = cx.client.post("repositories/reclaim_space/", body.into()).await?;
        cx.follow(&answer).await.map(drop)
    }
}

impl RepositoryCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, "repositories/").await,
            Self::Reclaim(reclaim) => reclaim.exec(cx).await,
            Self::Version(VersionCommand::List(list)) => list.exec(cx, "repository_versions/").await,
        }
    }
}
