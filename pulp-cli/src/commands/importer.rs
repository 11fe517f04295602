//! `pulp importer`

use std::collections::BTreeMap;

use clap::{ArgAction, Args, Subcommand};

use super::crud::{CrudCommand, Fields};
use crate::context::Context;
use crate::error::Result;
use crate::lookup::named_lookup;
use crate::resource::{Body, Kind};

/// Read the archives of another Pulp.
pub(super) static PULP: Kind = Kind::known("Pulp importer", "importers/core/pulp/");

named_lookup!(
    /// Names an importer.
    ImporterLookup, "importer", "importer-href"
);

#[derive(Debug, Subcommand)]
pub(crate) enum ImporterCommand {
    /// Importers of the archives that another Pulp exported
    #[command(subcommand)]
    Pulp(CrudCommand<ImporterLookup, RepoMap>),
}

/// Which repository gets the content of which.
#[derive(Debug, Args)]
pub(crate) struct RepoMap {
    /// Name of an exported repository, and of the one here that gets its content; may be repeated
    #[arg(long = "repo-map", value_names = ["SOURCE", "DESTINATION"], num_args = 2, action = ArgAction::Append)]
    names: Vec<String>,
}

impl RepoMap {
    /// From source to destination; none if nothing was given.
    pub(super) fn get(&self) -> Option<BTreeMap<&str, &str>> {
        let pairs = self.names.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
        (!self.names.is_empty()).then(|| pairs.collect())
    }
}

impl Fields for RepoMap {
    const UPDATE_SHOWS: bool = true;

    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new().with("repo_mapping", self.get()))
    }
}

impl ImporterCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let Self::Pulp(command) = self;
        command.exec(cx, &PULP).await
    }
}
