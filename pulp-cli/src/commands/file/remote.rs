//! `pulp file remote`

use clap::{Args, Subcommand, ValueEnum};

use crate::args::{self, Labels, OrNull, text_or_file_or_null};
use crate::commands::label::LabelCommand;
use crate::commands::remote::List;
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

/// When files are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Policy {
    /// With the sync
    Immediate,
    /// When first asked for, and kept
    OnDemand,
    /// Whenever asked for, and not kept
    Streamed,
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
    /// Labels of a remote
    #[command(subcommand)]
    Label(LabelCommand<RemoteLookup>),
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
    /// PEM text, or @FILE, of the authority that signed the certificate of the remote
    #[arg(long, value_name = "PEM", allow_hyphen_values = true, value_parser = text_or_file_or_null)]
    ca_cert: Option<OrNull<String>>,
    /// PEM text, or @FILE, of the certificate to sign in with
    #[arg(long, value_name = "PEM", allow_hyphen_values = true, value_parser = text_or_file_or_null)]
    client_cert: Option<OrNull<String>>,
    /// PEM text, or @FILE, of the key of that certificate
    #[arg(long, value_name = "PEM", allow_hyphen_values = true, value_parser = text_or_file_or_null)]
    client_key: Option<OrNull<String>>,
    /// Name to sign in with
    #[arg(long)]
    username: Option<OrNull<String>>,
    /// Password to sign in with
    #[arg(long, allow_hyphen_values = true)]
    password: Option<OrNull<String>>,
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
    /// How many connections there may be at once
    #[arg(long, value_name = "COUNT")]
    download_concurrency: Option<OrNull<u64>>,
    /// How many requests there may be in a second
    #[arg(long, value_name = "COUNT")]
    rate_limit: Option<OrNull<u64>>,
    /// How often a failed download is tried again
    #[arg(long, value_name = "COUNT")]
    max_retries: Option<OrNull<u64>>,
    /// Seconds for all of a download
    #[arg(long, value_name = "SECONDS")]
    total_timeout: Option<OrNull<f64>>,
    /// Seconds until there is a connection, waiting for a free one included
    #[arg(long, value_name = "SECONDS")]
    connect_timeout: Option<OrNull<f64>>,
    /// Seconds until a new connection stands
    #[arg(long, value_name = "SECONDS")]
    sock_connect_timeout: Option<OrNull<f64>>,
    /// Seconds between two pieces of an answer
    #[arg(long, value_name = "SECONDS")]
    sock_read_timeout: Option<OrNull<f64>>,
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
        Ok(Body::new()
            .with("policy", self.policy)
            .with("ca_cert", self.ca_cert.as_ref())
            .with("client_cert", self.client_cert.as_ref())
            .with("client_key", self.client_key.as_ref())
            .with("username", self.username.as_ref())
            .with("password", self.password.as_ref())
            .with("proxy_url", self.proxy_url.as_ref())
            .with("proxy_username", self.proxy_username.as_ref())
            .with("proxy_password", self.proxy_password.as_ref())
            .with("tls_validation", self.tls_validation)
            .with("download_concurrency", self.download_concurrency.as_ref())
            .with("rate_limit", self.rate_limit.as_ref())
            .with("max_retries", self.max_retries.as_ref())
            .with("total_timeout", self.total_timeout.as_ref())
            .with("connect_timeout", self.connect_timeout.as_ref())
            .with("sock_connect_timeout", self.sock_connect_timeout.as_ref())
            .with("sock_read_timeout", self.sock_read_timeout.as_ref())
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
            RemoteCommand::Label(command) => command.exec(cx, kind).await,
        }
    }
}
