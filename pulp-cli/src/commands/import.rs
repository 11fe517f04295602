//! `pulp import`

use clap::{Args, Subcommand};

use super::crud::Fields;
use super::importer::{self, ImporterLookup, RepoMap};
use super::transfer::{TransferCommand, Transfers};
use crate::context::Context;
use crate::error::Result;
use crate::resource::Body;

static PULP: Transfers = Transfers { noun: "Pulp import", owner: &importer::PULP, collection: "imports" };

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Imports of archives that another Pulp exported
    #[command(subcommand)]
    Pulp(PulpImportCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PulpImportCommand {
    #[command(flatten)]
    Transfer(TransferCommand<ImporterLookup, Import>),
    /// Tell whether the server can read an archive, without importing it
    Check(Check),
}

/// Names an archive.
#[derive(Debug, Args)]
#[group(id = "archive", required = true, multiple = false)]
struct Archive {
    /// Path of the archive on the server
    #[arg(long)]
    path: Option<String>,
    /// Path on the server of the table of contents, of an archive in pieces
    #[arg(long, value_name = "PATH")]
    toc: Option<String>,
}

impl Archive {
    fn body(&self) -> Body {
        Body::new().with("path", self.path.as_ref()).with("toc", self.toc.as_ref())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    archive: Archive,
    /// Make the repositories that are not there; otherwise they are passed over
    #[arg(long)]
    create_repositories: bool,
}

impl Fields for Import {
    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(self.archive.body().with("create_repositories", self.create_repositories.then_some(true)))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    archive: Archive,
    #[command(flatten)]
    repo_map: RepoMap,
}

impl Check {
    async fn exec(&self, cx: &Context) -> Result<()> {
        // The API takes the mapping as a text here.
        let mapping = self.repo_map.get().map(|map| serde_json::json!(map).to_string());
        let body = self.archive.body().with("repo_mapping", mapping);
        let answer = cx.client.post("importers/core/pulp/import-check/", body.into()).await?;
        cx.print(&answer.body)
    }
}

impl ImportCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Pulp(PulpImportCommand::Transfer(command)) => command.exec(cx, &PULP).await,
            Self::Pulp(PulpImportCommand::Check(check)) => check.exec(cx).await,
        }
    }
}
