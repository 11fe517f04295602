//! `pulp file remote`

use clap::{Args, Subcommand, ValueEnum};

use crate::args::{self, Labels, OrNull};
use crate::commands::connection::{Connection, Policy};
use crate::commands::label::LabelCommand;
use crate::commands::object_role::ObjectRoleCommand;
use crate::commands::remote::{List, show};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lookup::{Lookup as _, RemoteLookup};
use crate::resource::{Body, Kind};

static FILE: Kind = Kind::known("file remote", "remotes/file/file/");
static GIT: Kind = Kind::known("file git remote", "remotes/file/git/");

/// The types of remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    /// A manifest and the files that it names
    File,
    /// A Git repository
    Git,
}

#[derive(Debug, Args)]
pub(crate) struct RemoteGroup {
    /// Type of the remote
    #[arg(long = "type", short = 't', value_enum, default_value_t = Type::File)]
    remote_type: Type,
    #[command(subcommand)]
    command: RemoteCommand,
}

#[derive(Debug, Subcommand)]
enum RemoteCommand {
    /// Make a remote
    Create(Box<Create>),
    /// List remotes
    List(List),
    /// Show a remote
    Show(RemoteLookup),
    /// Change a remote
    Update(Box<Update>),
    /// Delete a remote
    Destroy(RemoteLookup),
    /// Tell which repositories and distributions would lose content if the remote were deleted
    Dependents(RemoteLookup),
    /// Labels of a remote
    #[command(subcommand)]
    Label(LabelCommand<RemoteLookup>),
    /// Roles on a remote
    #[command(subcommand)]
    Role(ObjectRoleCommand<RemoteLookup>),
}

#[derive(Debug, Args)]
struct Create {
    /// Name of the remote
    #[arg(long)]
    name: String,
    /// URL of the manifest, or of the Git repository
    #[arg(long)]
    url: String,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    lookup: RemoteLookup,
    /// URL of the manifest, or of the Git repository
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// What can be said of a remote; the empty text takes a value away again.
#[derive(Debug, Args)]
struct Options {
    /// When files are fetched
    #[arg(long, value_enum)]
    policy: Option<Policy>,
    #[command(flatten)]
    connection: Connection,
    /// URL of a proxy
    #[arg(long, value_name = "URL")]
    proxy_url: Option<OrNull<String>>,
    /// Name to sign in with at the proxy
    #[arg(long, value_name = "USERNAME")]
    proxy_username: Option<OrNull<String>>,
    /// Password to sign in with at the proxy
    #[arg(long, value_name = "PASSWORD", allow_hyphen_values = true)]
    proxy_password: Option<OrNull<String>>,
    /// Whether the certificate of the remote is checked
    #[arg(long, value_name = "BOOLEAN", value_parser = args::boolean)]
    tls_validation: Option<bool>,
    /// How many requests there may be in a second
    #[arg(long, value_name = "COUNT")]
    rate_limit: Option<OrNull<u64>>,
    /// Header for every request, written name:value; may be repeated
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Labels: JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::labels)]
    labels: Option<Labels>,
    /// Branch, tag or commit of a Git repository
    #[arg(long, value_name = "REF")]
    git_ref: Option<String>,
}

impl Options {
    fn body(&self, remote_type: Type) -> Result<Body> {
        if self.git_ref.is_some() && remote_type != Type::Git {
            return Err(Error::usage("--git-ref is for Git repositories: `pulp file remote --type git …`"));
        }
        Ok(self
            .connection
            .body()
            .with("policy", self.policy)
            .with("proxy_url", self.proxy_url.as_ref())
            .with("proxy_username", self.proxy_username.as_ref())
            .with("proxy_password", self.proxy_password.as_ref())
            .with("tls_validation", self.tls_validation)
            .with("rate_limit", self.rate_limit.as_ref())
            .with("headers", args::headers(&self.header)?)
            .with("pulp_labels", self.labels.as_ref())
            .with("git_ref", self.git_ref.as_ref()))
    }
}

impl RemoteGroup {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let kind = match self.remote_type {
            Type::File => &FILE,
            Type::Git => &GIT,
        };
        match &self.command {
            RemoteCommand::Create(create) => {
                let body =
                    Body::new().with("name", Some(&create.name)).with("url", Some(&create.url)).and(create.options.body(self.remote_type)?);
                cx.create(kind, body).await
            }
            RemoteCommand::List(list) => list.exec(cx, kind.path()).await,
            RemoteCommand::Show(lookup) => cx.print(&lookup.find(cx, kind).await?),
            RemoteCommand::Update(update) => {
                let body = Body::new().with("url", update.url.as_ref()).and(update.options.body(self.remote_type)?);
                cx.update(&update.lookup.href(cx, kind).await?, body).await
            }
            RemoteCommand::Destroy(lookup) => cx.destroy(&lookup.href(cx, kind).await?).await,
            RemoteCommand::Dependents(lookup) => show(cx, &lookup.href(cx, kind).await?).await,
            RemoteCommand::Label(command) => command.exec(cx, kind).await,
            RemoteCommand::Role(command) => command.exec(cx, kind).await,
        }
    }
}
