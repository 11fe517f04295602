//! `pulp file repository version`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::REPOSITORIES;
use super::repository::REPOSITORY;
use crate::client::Query;
use crate::commands::repository::VersionList;
use crate::context::{Context, Followed};
use crate::error::{Error, Result};
use crate::lookup::{Lookup as _, RepositoryLookup};
use crate::output;
use crate::reference::TypedReference;
use crate::resource::{Body, text};

/// Units that `--paths` asks for at a time.
const BATCH: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum VersionCommand {
    /// List the versions
    List(List),
    /// Show a version
    Show(Version),
    /// Delete a version; what it added and the next one has stays
    Destroy(Version),
    /// Check the files of a version, and fetch broken ones again
    Repair(Version),
    /// Show what a version has that another has not, and the other way round
    Diff(Diff),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    lookup: RepositoryLookup,
    #[command(flatten)]
    list: VersionList,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    #[command(flatten)]
    lookup: RepositoryLookup,
    /// Number of the version [default: the latest]
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    version: Version,
    /// Repository of the version to compare with, if it is another: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long, value_name = "REPOSITORY", requires = "base_version")]
    base_repository: Option<TypedReference>,
    /// Number of the version to compare with [default: the one before]
    #[arg(long, value_name = "NUMBER")]
    base_version: Option<u64>,
    /// Show at most this many units
    #[arg(long, value_name = "COUNT", conflicts_with = "paths")]
    limit: Option<u64>,
    /// Print the paths of all files that were removed (-) or added (+), a line each
    #[arg(long)]
    paths: bool,
}

impl VersionCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => {
                let repository = list.lookup.find(cx, &REPOSITORY).await?;
                list.list.exec(cx, text(&repository, "versions_href")?).await
            }
            Self::Show(version) => cx.print(&version.find(cx).await?),
            Self::Destroy(version) => {
                if version.version.is_none() {
                    return Err(Error::usage("say which version to delete with --version"));
                }
                cx.destroy(text(&version.find(cx).await?, "pulp_href")?).await
            }
            Self::Repair(version) => {
                let found = version.find(cx).await?;
                match cx.act(text(&found, "pulp_href")?, "repair", Body::new()).await? {
                    Followed::Ended(task) => cx.print(&task),
                    Followed::NoTask | Followed::Background => Ok(()),
                }
            }
            Self::Diff(diff) => diff.exec(cx).await,
        }
    }
}

impl Version {
    async fn find(&self, cx: &Context) -> Result<Value> {
        let repository = self.lookup.find(cx, &REPOSITORY).await?;
        let href = version_href(&repository, self.version)?;
        match cx.client.get(&href, &Query::new()).await {
            Err(Error::Server { status, .. }) if status == http::StatusCode::NOT_FOUND => Err(not_found(&repository, self.version)),
            answer => answer,
        }
    }
}

impl Diff {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let repository = self.version.lookup.find(cx, &REPOSITORY).await?;
        let path = format!("{}diff/", version_href(&repository, self.version.version)?);
        let base = match (&self.base_repository, self.base_version) {
            (_, None) => None,
            (None, Some(number)) => Some(version_href(&repository, Some(number))?),
            (Some(TypedReference::Nothing), _) => return Err(Error::usage("--base-repository: name a repository")),
            (Some(other), Some(number)) => {
                let href = cx.target(&REPOSITORIES, other).await?;
                Some(format!("{}versions/{number}/", href.as_str().unwrap_or_default()))
            }
        };
        let query = Query::new().with("base", base);
        if !self.paths {
            return cx.print(&cx.client.get(&path, &query.with("limit", self.limit)).await?);
        }
        let mut after = None;
        loop {
            let page = cx.client.get(&path, &query.clone().with("limit", Some(BATCH)).with("after", after)).await?;
            for unit in page.get("changes").and_then(Value::as_array).into_iter().flatten() {
                let sign = if unit.get("change").and_then(Value::as_str) == Some("added") { '+' } else { '-' };
                for file in unit.get("files").and_then(Value::as_array).into_iter().flatten() {
                    output::line(&format!("{sign} {}", file.get("relative_path").and_then(Value::as_str).unwrap_or("?")))?;
                }
            }
            after = next(&page);
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Where the next page begins, if there is one.
fn next(page: &Value) -> Option<String> {
    let url = page.get("next").and_then(Value::as_str)?;
    let (_, query) = url.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "after").map(|(_, value)| value.into_owned())
}

fn not_found(repository: &Value, version: Option<u64>) -> Error {
    let name = repository.get("name").and_then(Value::as_str).unwrap_or("?");
    Error::NotFound {
        noun: "repository version".to_owned(),
        criteria: match version {
            Some(number) => format!("number {number} in repository '{name}'"),
            None => format!("any number in repository '{name}'"),
        },
    }
}

/// The href of a version of the repository, the latest if none is named.
///
/// # Errors
/// When the repository has no version at all.
pub(super) fn version_href(repository: &Value, version: Option<u64>) -> Result<String> {
    match version {
        Some(number) => Ok(format!("{}{number}/", text(repository, "versions_href")?)),
        None => repository.get("latest_version_href").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| not_found(repository, None)),
    }
}
