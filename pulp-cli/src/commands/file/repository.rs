//! `pulp file repository`

use clap::{Args, Subcommand};

use super::repository_content::ContentGroup;
use super::repository_version::VersionCommand;
use super::{REMOTES, REPOSITORIES, one_type_group};
use crate::args::{self, Labels, OrNull, switch};
use crate::client::Query;
use crate::commands::label::LabelCommand;
use crate::commands::object_role::ObjectRoleCommand;
use crate::commands::repository::version_hrefs;
use crate::commands::task;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::{LabelledList, Page};
use crate::lookup::{Lookup as _, RepositoryLookup};
use crate::reference::TypedReference;
use crate::resource::{Body, Kind, text};

/// Repositories of files.
pub(super) static REPOSITORY: Kind = Kind::known("file repository", "repositories/file/file/");

switch!(
    /// Whether new versions are published at once.
    Autopublish, "autopublish", "no-autopublish", "Publish every new version at once"
);
switch!(
    /// Whether a sync removes what the remote does not have.
    Mirror, "mirror", "no-mirror", "Remove what the remote does not have"
);

one_type_group!(
    /// `pulp file repository`
    RepositoryGroup, RepositoryCommand
);

#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// Make a repository
    Create(Create),
    /// List repositories
    List(LabelledList),
    /// Show a repository
    Show(RepositoryLookup),
    /// Change a repository
    Update(Update),
    /// Delete a repository
    Destroy(RepositoryLookup),
    /// Fetch from a remote what it has, as a new version
    Sync(Sync),
    /// Make a new version of versions, as sets are made of sets
    Compose(Compose),
    /// Content of a repository
    Content(ContentGroup),
    /// Versions of a repository
    #[command(subcommand)]
    Version(VersionCommand),
    /// Labels of a repository
    #[command(subcommand)]
    Label(LabelCommand<RepositoryLookup>),
    /// Roles on a repository
    #[command(subcommand)]
    Role(ObjectRoleCommand<RepositoryLookup>),
    /// Tasks of a repository
    #[command(subcommand)]
    Task(TaskCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the repository
    #[arg(long)]
    name: String,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: RepositoryLookup,
    #[command(flatten)]
    options: Options,
}

/// What can be said of a repository; the empty text takes a value away again.
#[derive(Debug, Args)]
struct Options {
    /// Description
    #[arg(long, allow_hyphen_values = true)]
    description: Option<OrNull<String>>,
    /// Remote to sync from: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long)]
    remote: Option<TypedReference>,
    /// File name of the manifest in publications
    #[arg(long, value_name = "FILENAME")]
    manifest: Option<OrNull<String>>,
    #[command(flatten)]
    autopublish: Autopublish,
    /// How many versions to keep
    #[arg(long, value_name = "COUNT")]
    retain_repo_versions: Option<OrNull<u64>>,
    /// How many checkpoint publications to keep
    #[arg(long, value_name = "COUNT")]
    retain_checkpoints: Option<OrNull<u64>>,
    /// Labels: JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::labels)]
    labels: Option<Labels>,
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    lookup: RepositoryLookup,
    /// Remote to sync from, if not that of the repository: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long)]
    remote: Option<TypedReference>,
    #[command(flatten)]
    mirror: Mirror,
}

#[derive(Debug, Args)]
pub(crate) struct Compose {
    #[command(flatten)]
    lookup: RepositoryLookup,
    /// union: what any version has; intersection: what all have; difference: what the first has, and none of the others
    #[arg(long, value_parser = ["union", "intersection", "difference"])]
    operation: String,
    /// A version, as REPOSITORY NUMBER; may be repeated
    #[arg(long = "version", value_names = ["NAME|HREF|PRN", "NUMBER"], num_args = 2, action = clap::ArgAction::Append, required = true)]
    versions: Vec<String>,
    /// Of files of one path, keep as many of those that were made last
    #[arg(long, value_name = "COUNT")]
    newest: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List tasks that need the repository
    List(TaskList),
}

#[derive(Debug, Args)]
pub(crate) struct TaskList {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    filters: task::Filters,
    /// The repository by name, href or PRN
    #[arg(long, value_name = "NAME|HREF|PRN", alias = "repository-href")]
    repository: crate::reference::Reference,
}

impl Options {
    async fn body(&self, cx: &Context) -> Result<Body> {
        Ok(Body::new()
            .with("description", self.description.as_ref())
            .with("remote", cx.target_if(&REMOTES, self.remote.as_ref()).await?)
            .with("manifest", self.manifest.as_ref())
            .with("autopublish", self.autopublish.get())
            .with("retain_repo_versions", self.retain_repo_versions.as_ref())
            .with("retain_checkpoints", self.retain_checkpoints.as_ref())
            .with("pulp_labels", self.labels.as_ref()))
    }
}

impl RepositoryCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => {
                let body = Body::new().with("name", Some(&create.name)).and(create.options.body(cx).await?);
                cx.create(&REPOSITORY, body).await
            }
            Self::List(list) => list.exec(cx, REPOSITORY.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &REPOSITORY).await?),
            Self::Update(update) => {
                let href = update.lookup.href(cx, &REPOSITORY).await?;
                cx.update(&href, update.options.body(cx).await?).await
            }
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &REPOSITORY).await?).await,
            Self::Sync(sync) => sync.exec(cx).await,
            Self::Compose(compose) => compose.exec(cx).await,
            Self::Content(group) => group.command.exec(cx).await,
            Self::Version(command) => command.exec(cx).await,
            Self::Label(command) => command.exec(cx, &REPOSITORY).await,
            Self::Role(command) => command.exec(cx, &REPOSITORY).await,
            Self::Task(TaskCommand::List(list)) => list.exec(cx).await,
        }
    }
}

impl Compose {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let href = self.lookup.href(cx, &REPOSITORY).await?;
        let versions = version_hrefs(cx, &REPOSITORIES, &self.versions).await?;
        let body = Body::new().with("operation", Some(&self.operation)).with("versions", versions).with("newest", self.newest);
        cx.act(&href, "compose", body).await.map(drop)
    }
}

impl Sync {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let (href, body) = match &self.remote {
            Some(TypedReference::Nothing) => return Err(Error::usage("--remote: name a remote")),
            Some(remote) => {
                let href = self.lookup.href(cx, &REPOSITORY).await?;
                (href, Body::new().with("remote", Some(cx.target(&REMOTES, remote).await?)))
            }
            None => {
                // The server would take the call and fail the task.
                let repository = self.lookup.find(cx, &REPOSITORY).await?;
                if repository.get("remote").is_none_or(serde_json::Value::is_null) {
                    let name = text(&repository, "name")?;
                    return Err(Error::usage(format!("repository '{name}' has no remote: name one with --remote")));
                }
                (text(&repository, "pulp_href")?.to_owned(), Body::new())
            }
        };
        cx.act(&href, "sync", body.with("mirror", self.mirror.get())).await.map(drop)
    }
}

impl TaskList {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let href = cx.href(&REPOSITORY, &self.repository).await?;
        let filters = self.filters.query(cx).await?.and(Query::new().with("reserved_resources", Some(href)));
        self.page.exec(cx, task::TASK.path(), filters).await
    }
}
