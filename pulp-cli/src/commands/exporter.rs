//! `pulp exporter`

use clap::{Args, Subcommand, ValueEnum};

use super::crud::{CrudCommand, Fields};
use crate::context::Context;
use crate::error::Result;
use crate::lookup::named_lookup;
use crate::reference::{Category, TypedReference};
use crate::resource::{Body, Kind};

/// Write archives for another Pulp.
pub(super) static PULP: Kind = Kind::known("Pulp exporter", "exporters/core/pulp/");

/// Write files into a directory.
pub(super) static FILESYSTEM: Kind = Kind::known("filesystem exporter", "exporters/core/filesystem/");

named_lookup!(
    /// Names an exporter.
    ExporterLookup, "exporter", "exporter-href"
);

#[derive(Debug, Subcommand)]
pub(crate) enum ExporterCommand {
    /// Exporters that write repositories into archives, which another Pulp imports
    #[command(subcommand)]
    Pulp(CrudCommand<ExporterLookup, PulpFields>),
    /// Exporters that write the files of a publication or version into a directory
    #[command(subcommand)]
    Filesystem(CrudCommand<ExporterLookup, FilesystemFields>),
}

#[derive(Debug, Args)]
pub(crate) struct PulpFields {
    /// Directory of the server to write to
    #[arg(long)]
    path: Option<String>,
    /// Repository to export: [PLUGIN:]TYPE:NAME, href or PRN; may be repeated
    #[arg(long = "repository", alias = "repository-href", value_name = "REPOSITORY")]
    repositories: Vec<TypedReference>,
}

impl Fields for PulpFields {
    const REQUIRED: &'static [&'static str] = &["path"];

    async fn body(&self, cx: &Context) -> Result<Body> {
        let repositories = cx.targets(&Category::ANY_REPOSITORY, &self.repositories).await?;
        Ok(Body::new().with("path", self.path.as_ref()).with("repositories", repositories))
    }
}

/// How a file gets into the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    /// As a copy
    Write,
    /// As a hard link to the artifact
    Hardlink,
    /// As a symbolic link to the artifact
    Symlink,
}

#[derive(Debug, Args)]
pub(crate) struct FilesystemFields {
    /// Directory of the server to write to
    #[arg(long)]
    path: Option<String>,
    /// How files are written
    #[arg(long, value_enum)]
    method: Option<Method>,
}

impl Fields for FilesystemFields {
    const REQUIRED: &'static [&'static str] = &["path"];

    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new().with("path", self.path.as_ref()).with("method", self.method))
    }
}

impl ExporterCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Pulp(command) => command.exec(cx, &PULP).await,
            Self::Filesystem(command) => command.exec(cx, &FILESYSTEM).await,
        }
    }
}
