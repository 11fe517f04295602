//! `pulp domain`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::label::LabelCommand;
use crate::args::{self, Labels, OrNull, name, switch};
use crate::context::{Context, Followed};
use crate::error::Result;
use crate::list::LabelledList;
use crate::lookup::{Lookup as _, named_lookup};
use crate::reference::{Category, TypedReference};
use crate::resource::{Body, Kind};

/// Domains separate the content of tenants.
pub(super) const DOMAIN: Kind = Kind::known("domain", "domains/");

named_lookup!(
    /// Names a domain.
    DomainLookup, "domain", "domain-href"
);
switch!(
    /// Whether clients are sent to the storage.
    Redirect, "redirect", "no-redirect", "Send clients to the object storage for files"
);
switch!(
    /// Whether listings show what is guarded.
    HideDistributions, "hide-distributions", "show-distributions", "Leave guarded distributions out of listings"
);

/// Where a domain keeps its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StorageClass {
    /// In a directory of the server
    #[value(name = "pulpcore.app.models.storage.FileSystem")]
    FileSystem,
    /// With S3
    #[value(name = "storages.backends.s3.S3Storage")]
    S3,
    /// With S3, by the name that older servers have for it
    #[value(name = "storages.backends.s3boto3.S3Boto3Storage")]
    S3Boto3,
    /// With Azure
    #[value(name = "storages.backends.azure_storage.AzureStorage")]
    Azure,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DomainCommand {
    /// Make a domain
    Create(Create),
    /// List domains
    List(LabelledList),
    /// Show a domain
    Show(DomainLookup),
    /// Change a domain
    Update(Update),
    /// Delete a domain
    Destroy(DomainLookup),
    /// Move the files of the domain that the call is made in to another storage
    Migrate(Storage),
    /// Labels of a domain
    #[command(subcommand)]
    Label(LabelCommand<DomainLookup>),
}

#[derive(Debug, Args)]
pub(crate) struct Storage {
    /// Kind of the storage
    #[arg(long, value_enum, ignore_case = true)]
    storage_class: StorageClass,
    /// Settings of the storage: JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json, default_value = "{}")]
    storage_settings: Value,
}

impl Storage {
    fn body(&self) -> Body {
        Body::new().with("storage_class", Some(name(&self.storage_class))).with("storage_settings", Some(&self.storage_settings))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the domain
    #[arg(long)]
    name: String,
    #[command(flatten)]
    storage: Storage,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: DomainLookup,
    /// Settings of the storage: JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json)]
    storage_settings: Option<Value>,
    #[command(flatten)]
    options: Options,
}

/// What can be said of a domain; the empty text takes a value away again.
#[derive(Debug, Args)]
struct Options {
    /// What it is for
    #[arg(long)]
    description: Option<OrNull<String>>,
    #[command(flatten)]
    redirect: Redirect,
    #[command(flatten)]
    hide_distributions: HideDistributions,
    /// Content guard of distributions that are made without one: [PLUGIN:]TYPE:NAME, href or PRN
    #[arg(long)]
    default_content_guard: Option<TypedReference>,
    /// Labels: JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::labels)]
    labels: Option<Labels>,
}

impl Options {
    async fn body(&self, cx: &Context) -> Result<Body> {
        Ok(Body::new()
            .with("description", self.description.as_ref())
            .with("redirect_to_object_storage", self.redirect.get())
            .with("hide_guarded_distributions", self.hide_distributions.get())
            .with("default_content_guard", cx.target_if(&Category::CONTENT_GUARDS, self.default_content_guard.as_ref()).await?)
            .with("pulp_labels", self.labels.as_ref()))
    }
}

impl DomainCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => {
                let body = Body::new().with("name", Some(&create.name)).and(create.storage.body());
                cx.create(&DOMAIN, body.and(create.options.body(cx).await?)).await
            }
            Self::List(list) => list.exec(cx, DOMAIN.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &DOMAIN).await?),
            Self::Update(update) => {
                let href = update.lookup.href(cx, &DOMAIN).await?;
                let body = Body::new().with("storage_settings", update.storage_settings.as_ref());
                cx.update(&href, body.and(update.options.body(cx).await?)).await
            }
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &DOMAIN).await?).await,
            Self::Migrate(storage) => migrate(cx, storage).await,
            Self::Label(command) => command.exec(cx, &DOMAIN).await,
        }
    }
}

async fn migrate(cx: &Context, storage: &Storage) -> Result<()> {
    let answer = cx.client.post("domains/migrate/", storage.body().into()).await?;
    match cx.follow(&answer).await? {
        Followed::Ended(task) => cx.print(&task),
        Followed::NoTask | Followed::Background => Ok(()),
    }
}
