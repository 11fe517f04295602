//! `pulp file publication`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::repository_version::version_href;
use super::{REPOSITORIES, one_type_group};
use crate::client::Query;
use crate::commands::object_role::ObjectRoleCommand;
use crate::commands::publication::List;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lookup::{HrefLookup, Lookup as _};
use crate::reference::TypedReference;
use crate::resource::{Body, Kind};

/// Publications of files.
pub(super) static PUBLICATION: Kind = Kind::known("file publication", "publications/file/file/");

one_type_group!(
    /// `pulp file publication`
    PublicationGroup, PublicationCommand
);

#[derive(Debug, Subcommand)]
pub(crate) enum PublicationCommand {
    /// Publish a repository version
    Create(Create),
    /// List publications
    List(List),
    /// Show a publication
    Show(HrefLookup),
    /// Delete a publication
    Destroy(HrefLookup),
    /// Roles on a publication
    #[command(subcommand)]
    Role(ObjectRoleCommand<HrefLookup>),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Repository to publish: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long)]
    repository: TypedReference,
    /// Number of the version [default: the latest]
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// File name of the manifest
    #[arg(long, value_name = "FILENAME")]
    manifest: Option<String>,
    /// Make it a checkpoint, which can be served as of its time
    #[arg(long)]
    checkpoint: bool,
}

impl PublicationCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => create.exec(cx).await,
            Self::List(list) => list.exec(cx, PUBLICATION.path(), &REPOSITORIES).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &PUBLICATION).await?),
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &PUBLICATION).await?).await,
            Self::Role(command) => command.exec(cx, &PUBLICATION).await,
        }
    }
}

impl Create {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let Value::String(repository) = cx.target(&REPOSITORIES, &self.repository).await? else {
            return Err(Error::usage("--repository: name a repository"));
        };
        let body = match self.version {
            Some(_) => Body::new().with("repository_version", Some(version_of(cx, &repository, self.version).await?)),
            None => Body::new().with("repository", Some(repository)),
        };
        let body = body.with("manifest", self.manifest.as_ref()).with("checkpoint", self.checkpoint.then_some(true));
        cx.create(&PUBLICATION, body).await
    }
}

/// The href of a version of the repository at the href.
pub(super) async fn version_of(cx: &Context, repository: &str, version: Option<u64>) -> Result<String> {
    version_href(&cx.client.get(repository, &Query::new()).await?, version)
}
