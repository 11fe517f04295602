//! `pulp file acs`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{REMOTES, one_type_group};
use crate::commands::crud::{CrudCommand, Fields};
use crate::commands::object_role::ObjectRoleCommand;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lookup::{Lookup as _, named_lookup};
use crate::reference::TypedReference;
use crate::resource::{Body, Kind, text};

static ACS: Kind = Kind::known("file ACS", "acs/file/file/");

one_type_group!(
    /// `pulp file acs`
    AcsGroup, AcsCommand
);
named_lookup!(
    /// Names an alternate content source.
    AcsLookup, "acs", "acs-href"
);

#[derive(Debug, Subcommand)]
pub(crate) enum AcsCommand {
    #[command(flatten)]
    Crud(CrudCommand<AcsLookup, Options>),
    /// Paths of an alternate content source
    #[command(subcommand)]
    Path(PathCommand),
    /// Read anew which files lie at its paths
    Refresh(AcsLookup),
    /// Roles on an alternate content source
    #[command(subcommand)]
    Role(ObjectRoleCommand<AcsLookup>),
}

/// What can be said of an alternate content source.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Remote to fetch by, whose policy must be on_demand: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long)]
    remote: Option<TypedReference>,
    /// Path of a manifest below the URL of the remote; may be repeated
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
}

impl Fields for Options {
    const REQUIRED: &'static [&'static str] = &["remote"];

    async fn body(&self, cx: &Context) -> Result<Body> {
        let paths = (!self.paths.is_empty()).then_some(&self.paths);
        Ok(Body::new().with("remote", cx.target_if(&REMOTES, self.remote.as_ref()).await?).with("paths", paths))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum PathCommand {
    /// Add paths
    Add(Paths),
    /// Remove paths
    Remove(Paths),
}

#[derive(Debug, Args)]
pub(crate) struct Paths {
    #[command(flatten)]
    lookup: AcsLookup,
    /// The path; may be repeated
    #[arg(long = "path", value_name = "PATH", required = true)]
    paths: Vec<String>,
}

impl AcsCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Crud(command) => command.exec(cx, &ACS).await,
            Self::Path(command) => command.exec(cx).await,
            Self::Refresh(lookup) => cx.act(&lookup.href(cx, &ACS).await?, "refresh", Body::new()).await.map(drop),
            Self::Role(command) => command.exec(cx, &ACS).await,
        }
    }
}

impl PathCommand {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let (Self::Add(given) | Self::Remove(given)) = self;
        let acs = given.lookup.find(cx, &ACS).await?;
        let mut paths: Vec<&str> = acs.get("paths").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        for path in &given.paths {
            let place = paths.iter().position(|known| known == path);
            match (self, place) {
                (Self::Add(_), None) => paths.push(path),
                (Self::Remove(_), Some(place)) => drop(paths.remove(place)),
                (Self::Add(_), Some(_)) => return Err(Error::usage(format!("the ACS has the path '{path}' already"))),
                (Self::Remove(_), None) => return Err(Error::usage(format!("the ACS has no path '{path}'"))),
            }
        }
        cx.update(text(&acs, "pulp_href")?, Body::new().with("paths", Some(paths))).await
    }
}
