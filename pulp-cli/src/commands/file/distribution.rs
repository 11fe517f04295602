//! `pulp file distribution`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::publication::version_of;
use super::{REPOSITORIES, one_type_group};
use crate::args::{self, Labels, OrNull, switch};
use crate::commands::distribution::List;
use crate::commands::label::LabelCommand;
use crate::commands::object_role::ObjectRoleCommand;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lookup::{DistributionLookup, Lookup as _};
use crate::reference::{Category, TypedReference};
use crate::resource::{Body, Kind, text};

static DISTRIBUTION: Kind = Kind::known("file distribution", "distributions/file/file/");

/// Publications have no names, so their type need never be said.
const PUBLICATIONS: Category = Category { noun: "publication", path: "publications", plugin: Some("file"), resource_type: Some("file") };

one_type_group!(
    /// `pulp file distribution`
    DistributionGroup, DistributionCommand
);
switch!(
    /// Whether checkpoints are served.
    Checkpoint, "checkpoint", "not-checkpoint", "Serve the checkpoints of the repository, each under its time"
);
switch!(
    /// Whether earlier moments can be read.
    TimeTravel, "time-travel", "no-time-travel", "Let earlier versions of the repository be read at @NUMBER/, and what it had at a time, at @TIME/"
);

#[derive(Debug, Subcommand)]
pub(crate) enum DistributionCommand {
    /// Make a distribution
    Create(Create),
    /// List distributions
    List(List),
    /// Show a distribution
    Show(DistributionLookup),
    /// Change a distribution
    Update(Update),
    /// Delete a distribution
    Destroy(DistributionLookup),
    /// Labels of a distribution
    #[command(subcommand)]
    Label(LabelCommand<DistributionLookup>),
    /// Roles on a distribution
    #[command(subcommand)]
    Role(ObjectRoleCommand<DistributionLookup>),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the distribution
    #[arg(long)]
    name: String,
    /// Path under which it is served
    #[arg(long, value_name = "PATH")]
    base_path: String,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: DistributionLookup,
    /// Path under which it is served
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// What can be said of a distribution; the empty text takes a value away again.
#[derive(Debug, Args)]
struct Options {
    /// Publication to serve, by href or PRN; in place of a repository
    #[arg(long, value_name = "HREF|PRN")]
    publication: Option<TypedReference>,
    /// Repository whose latest publication to serve, in place of a publication: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long)]
    repository: Option<TypedReference>,
    /// Number of the repository's version to serve, in place of the latest
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// Content guard that decides who may fetch: [PLUGIN:]TYPE:NAME, href or PRN
    #[arg(long)]
    content_guard: Option<TypedReference>,
    /// Labels: JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::labels)]
    labels: Option<Labels>,
    #[command(flatten)]
    checkpoint: Checkpoint,
    #[command(flatten)]
    time_travel: TimeTravel,
    /// Cache-Control of its files: "public, max-age=3600"; as the server's settings say if unset
    #[arg(long, value_name = "DIRECTIVES")]
    cache_control: Option<OrNull<String>>,
    /// Whether clients are sent to the object storage for stored files; as the domain says if unset
    #[arg(long, value_name = "BOOLEAN", value_parser = args::boolean_or_null)]
    redirect_to_object_storage: Option<OrNull<bool>>,
}

impl Options {
    /// The body; `current` is the distribution as it is, if there is one.
    async fn body(&self, cx: &Context, current: Option<&Value>) -> Result<Body> {
        if let Some(TypedReference::Typed { reference: crate::reference::Reference::Name(name), .. }) = &self.publication {
            return Err(Error::usage(format!("--publication: '{name}' is no href and no PRN; publications have no names")));
        }
        Ok(self
            .source(cx, current)
            .await?
            .with("content_guard", cx.target_if(&Category::CONTENT_GUARDS, self.content_guard.as_ref()).await?)
            .with("pulp_labels", self.labels.as_ref())
            .with("checkpoint", self.checkpoint.get())
            .with("time_travel", self.time_travel.get())
            .with("cache_control", self.cache_control.as_ref())
            .with("redirect_to_object_storage", self.redirect_to_object_storage.as_ref()))
    }

    /// What is served. A distribution has one source, so naming one takes the others away.
    async fn source(&self, cx: &Context, current: Option<&Value>) -> Result<Body> {
        let publication = cx.target_if(&PUBLICATIONS, self.publication.as_ref()).await?;
        let mut repository = cx.target_if(&REPOSITORIES, self.repository.as_ref()).await?;
        if let Some(number) = self.version {
            let served = current.and_then(|current| current.get("repository")).filter(|href| !href.is_null());
            let Some(Value::String(href)) = repository.take().or_else(|| served.cloned()) else {
                return Err(Error::usage("--version: say of which repository with --repository"));
            };
            repository = Some(Value::Null);
            let version = version_of(cx, &href, Some(number)).await?;
            let body = Body::new().with("repository", repository).with("repository_version", Some(version));
            return Ok(without(body, current, &["publication"]));
        }
        let named = |target: &Option<Value>| target.as_ref().is_some_and(|value| !value.is_null());
        let others: &[&str] = match (named(&publication), named(&repository)) {
            (true, true) => {
                return Err(Error::usage("--publication and --repository: a distribution serves one of them"));
            }
            (true, false) => &["repository", "repository_version"],
            (false, true) => &["publication", "repository_version"],
            (false, false) => &[],
        };
        let body = Body::new().with("publication", publication).with("repository", repository);
        Ok(without(body, current, others))
    }
}

/// The body with null for those fields that the distribution has now.
fn without(body: Body, current: Option<&Value>, fields: &[&str]) -> Body {
    fields.iter().fold(body, |body, field| {
        let set = current.and_then(|current| current.get(*field)).is_some_and(|value| !value.is_null());
        body.with(field, set.then_some(Value::Null))
    })
}

impl DistributionCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => {
                let body = Body::new()
                    .with("name", Some(&create.name))
                    .with("base_path", Some(&create.base_path))
                    .and(create.options.body(cx, None).await?);
                cx.create(&DISTRIBUTION, body).await
            }
            Self::List(list) => list.exec(cx, DISTRIBUTION.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &DISTRIBUTION).await?),
            Self::Update(update) => {
                let current = update.lookup.find(cx, &DISTRIBUTION).await?;
                let body = Body::new().with("base_path", update.base_path.as_ref()).and(update.options.body(cx, Some(&current)).await?);
                cx.update(text(&current, "pulp_href")?, body).await
            }
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &DISTRIBUTION).await?).await,
            Self::Label(command) => command.exec(cx, &DISTRIBUTION).await,
            Self::Role(command) => command.exec(cx, &DISTRIBUTION).await,
        }
    }
}
