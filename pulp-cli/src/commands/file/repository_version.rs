//! `pulp file repository version`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::repository::REPOSITORY;
use crate::client::Query;
use crate::commands::repository::VersionList;
use crate::context::{Context, Followed};
use crate::error::{Error, Result};
use crate::lookup::{Lookup as _, RepositoryLookup};
use crate::resource::{Body, text};

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
