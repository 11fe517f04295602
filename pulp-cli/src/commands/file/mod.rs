//! `pulp file`

mod acs;
mod content;
mod distribution;
mod publication;
mod remote;
mod repository;
mod repository_content;
mod repository_version;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Result;
use crate::reference::Category;

/// Repositories whose type may go unsaid.
const REPOSITORIES: Category = Category::repositories("file");

/// Remotes whose type may go unsaid.
const REMOTES: Category = Category::remotes("file");

#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Alternate content sources: where files are fetched from in place of a remote
    Acs(acs::AcsGroup),
    /// Content units: a file at a path
    Content(content::ContentGroup),
    /// Distributions: where publications or repositories are served
    Distribution(distribution::DistributionGroup),
    /// Publications: repository versions with their manifest
    Publication(publication::PublicationGroup),
    /// Remotes: where to sync from
    Remote(remote::RemoteGroup),
    /// Repositories
    Repository(repository::RepositoryGroup),
}

impl FileCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Acs(group) => group.command.exec(cx).await,
            Self::Content(group) => group.command.exec(cx).await,
            Self::Distribution(group) => group.command.exec(cx).await,
            Self::Publication(group) => group.command.exec(cx).await,
            Self::Remote(group) => group.exec(cx).await,
            Self::Repository(group) => group.command.exec(cx).await,
        }
    }
}

/// Defines a group of commands with the option `--type`, which has one value.
macro_rules! one_type_group {
    ($(#[$doc:meta])* $group:ident, $command:ty) => {
        $(#[$doc])*
        #[derive(Debug, clap::Args)]
        pub(crate) struct $group {
            /// Type of the resource
            #[arg(long = "type", short = 't', default_value = "file", value_parser = ["file"])]
            _type: String,
            #[command(subcommand)]
            pub(crate) command: $command,
        }
    };
}
pub(crate) use one_type_group;
