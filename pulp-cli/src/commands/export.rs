//! `pulp export`

use clap::{ArgAction, Args, Subcommand};
use serde_json::Value;

use super::crud::Fields;
use super::exporter::{self, ExporterLookup};
use super::repository::version_hrefs;
use super::transfer::{TransferCommand, Transfers};
use crate::args;
use crate::context::Context;
use crate::error::Result;
use crate::reference::Category;
use crate::resource::Body;

static PULP: Transfers = Transfers { noun: "Pulp export", owner: &exporter::PULP, collection: "exports" };
static FILESYSTEM: Transfers = Transfers { noun: "filesystem export", owner: &exporter::FILESYSTEM, collection: "exports" };

#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Exports into archives for another Pulp
    #[command(subcommand)]
    Pulp(TransferCommand<ExporterLookup, PulpExport>),
    /// Exports of files into a directory
    #[command(subcommand)]
    Filesystem(TransferCommand<ExporterLookup, FilesystemExport>),
}

#[derive(Debug, Args)]
pub(crate) struct PulpExport {
    /// Whether all files are written, or only those that the last export, or the --start-versions, did not have [default: true]
    #[arg(long, value_name = "BOOLEAN", value_parser = args::boolean)]
    full: Option<bool>,
    /// Write the archive in pieces of this size, like 512MB
    #[arg(long, value_name = "SIZE")]
    chunk_size: Option<String>,
    /// Version to export in place of the latest of its repository; may be repeated
    #[arg(long, value_names = ["NAME|HREF|PRN", "NUMBER"], num_args = 2, action = ArgAction::Append)]
    versions: Vec<String>,
    /// Version whose files are left out; may be repeated
    #[arg(long, value_names = ["NAME|HREF|PRN", "NUMBER"], num_args = 2, action = ArgAction::Append)]
    start_versions: Vec<String>,
    /// Notes for the table of contents: JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json)]
    meta: Option<Value>,
}

impl Fields for PulpExport {
    async fn body(&self, cx: &Context) -> Result<Body> {
        Ok(Body::new()
            .with("full", self.full)
            .with("chunk_size", self.chunk_size.as_ref())
            .with("versions", version_hrefs(cx, &Category::ANY_REPOSITORY, &self.versions).await?)
            .with("start_versions", version_hrefs(cx, &Category::ANY_REPOSITORY, &self.start_versions).await?)
            .with("meta", self.meta.as_ref()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct FilesystemExport {
    /// Publication to export, by href or PRN
    #[arg(long, value_name = "HREF|PRN", required_unless_present = "repository_version", conflicts_with = "repository_version")]
    publication: Option<String>,
    /// Repository version to export, by href or PRN
    #[arg(long, value_name = "HREF|PRN")]
    repository_version: Option<String>,
    /// Repository version whose files are left out, by href or PRN
    #[arg(long, value_name = "HREF|PRN")]
    start_repository_version: Option<String>,
}

impl Fields for FilesystemExport {
    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new()
            .with("publication", self.publication.as_ref())
            .with("repository_version", self.repository_version.as_ref())
            .with("start_repository_version", self.start_repository_version.as_ref()))
    }
}

impl ExportCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Pulp(command) => command.exec(cx, &PULP).await,
            Self::Filesystem(command) => command.exec(cx, &FILESYSTEM).await,
        }
    }
}
