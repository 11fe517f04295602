//! `pulp content-guard`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::object_role::{self, ObjectRoleCommand};
use crate::args::{OrNull, text_or_file};
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::Page;
use crate::lookup::{Lookup as _, named_lookup};
use crate::reference::{Category, TypedReference};
use crate::resource::{Body, Kind};

/// The role that lets read what a guard protects.
const DOWNLOADER: &str = "core.rbaccontentguard_downloader";

named_lookup!(
    /// Names a content guard.
    GuardLookup, "content-guard", "content-guard-href"
);

#[derive(Debug, Subcommand)]
pub(crate) enum ContentGuardCommand {
    /// List content guards of all types
    List(List),
    /// Guards that ask all of several guards
    #[command(subcommand)]
    Composite(GuardCommand<Composite>),
    /// Guards that look at a header
    #[command(subcommand)]
    Header(GuardCommand<Header>),
    /// Guards that ask for a role
    #[command(subcommand)]
    Rbac(RbacCommand),
    /// Guards that ask for a signed address
    #[command(subcommand)]
    Redirect(GuardCommand<Plain>),
    /// Guards that ask for a certificate of Red Hat's subscriptions
    #[command(subcommand)]
    Rhsm(GuardCommand<Certificate>),
    /// Guards that ask for a certificate
    #[command(subcommand)]
    X509(GuardCommand<Certificate>),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    /// Only the one of this name
    #[arg(long)]
    name: Option<String>,
}

/// What is done with guards of one type.
#[derive(Debug, Subcommand)]
pub(crate) enum GuardCommand<F: Args> {
    /// Make a guard
    Create(Create<F>),
    /// List guards
    List(List),
    /// Show a guard
    Show(GuardLookup),
    /// Change a guard
    Update(Update<F>),
    /// Delete a guard
    Destroy(GuardLookup),
    /// Roles on a guard
    #[command(subcommand)]
    Role(ObjectRoleCommand<GuardLookup>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RbacCommand {
    #[command(flatten)]
    Guard(GuardCommand<Plain>),
    /// Let users and groups read what a guard protects
    Assign(Downloaders),
    /// Let them no longer read it
    Remove(Downloaders),
}

#[derive(Debug, Args)]
pub(crate) struct Downloaders {
    #[command(flatten)]
    lookup: GuardLookup,
    /// Name of a user; may be repeated
    #[arg(long = "user", value_name = "USERNAME")]
    users: Vec<String>,
    /// Name of a group; may be repeated
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Create<F: Args> {
    /// Name of the guard: no two have the same
    #[arg(id = "new name", long = "name", value_name = "NAME")]
    name: String,
    /// What it is for
    #[arg(long)]
    description: Option<OrNull<String>>,
    #[command(flatten)]
    fields: F,
}

#[derive(Debug, Args)]
pub(crate) struct Update<F: Args> {
    #[command(flatten)]
    lookup: GuardLookup,
    /// What it is for
    #[arg(long)]
    description: Option<OrNull<String>>,
    #[command(flatten)]
    fields: F,
}

/// What the guards of one type have beside name and description.
pub(crate) trait GuardFields {
    /// The fields that were given.
    ///
    /// # Errors
    /// When another resource is named that is not there.
    async fn body(&self, cx: &Context) -> Result<Body>;
}

/// Nothing more.
#[derive(Debug, Args)]
pub(crate) struct Plain {}

impl GuardFields for Plain {
    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Composite {
    /// A guard that is asked, as [PLUGIN:]TYPE:NAME or by href or PRN; may be repeated
    #[arg(long = "guard", value_name = "NAME|HREF|PRN")]
    guards: Vec<TypedReference>,
}

impl GuardFields for Composite {
    async fn body(&self, cx: &Context) -> Result<Body> {
        let mut hrefs: Vec<Value> = Vec::with_capacity(self.guards.len());
        for guard in &self.guards {
            hrefs.push(cx.target(&Category::CONTENT_GUARDS, guard).await?);
        }
        // A single empty text empties the list.
        let given = (!hrefs.is_empty()).then(|| hrefs.into_iter().filter(|href| !href.is_null()).collect::<Vec<_>>());
        Ok(Body::new().with("guards", given))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Header {
    /// Name of the header
    #[arg(long, value_name = "NAME")]
    header_name: Option<String>,
    /// Value that the header must have
    #[arg(long, value_name = "VALUE")]
    header_value: Option<String>,
    /// jq filter that is applied to the header first
    #[arg(long, value_name = "FILTER")]
    jq_filter: Option<OrNull<String>>,
}

impl GuardFields for Header {
    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new()
            .with("header_name", self.header_name.as_deref())
            .with("header_value", self.header_value.as_deref())
            .with("jq_filter", self.jq_filter.as_ref()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Certificate {
    /// PEM text, or @FILE, of the authority that signs the certificates of clients
    #[arg(long, value_name = "PEM", allow_hyphen_values = true, value_parser = text_or_file)]
    ca_certificate: Option<String>,
}

impl GuardFields for Certificate {
    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new().with("ca_certificate", self.ca_certificate.as_deref()))
    }
}

const COMPOSITE: Kind = Kind::known("composite content guard", "contentguards/core/composite/");
const HEADER: Kind = Kind::known("header content guard", "contentguards/core/header/");
const RBAC: Kind = Kind::known("RBAC content guard", "contentguards/core/rbac/");
const REDIRECT: Kind = Kind::known("content redirect content guard", "contentguards/core/content_redirect/");
const RHSM: Kind = Kind::known("RHSM certguard", "contentguards/certguard/rhsm/");
const X509: Kind = Kind::known("x509 certguard", "contentguards/certguard/x509/");

impl ContentGuardCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, "contentguards/").await,
            Self::Composite(command) => command.exec(cx, &COMPOSITE).await,
            Self::Header(command) => command.exec(cx, &HEADER).await,
            Self::Rbac(command) => command.exec(cx).await,
            Self::Redirect(command) => command.exec(cx, &REDIRECT).await,
            Self::Rhsm(command) => command.exec(cx, &RHSM).await,
            Self::X509(command) => command.exec(cx, &X509).await,
        }
    }
}

impl List {
    async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        self.page.exec(cx, path, Query::new().with("name", self.name.as_deref())).await
    }
}

impl<F: Args + GuardFields> GuardCommand<F> {
    async fn exec(&self, cx: &Context, kind: &Kind) -> Result<()> {
        match self {
            Self::Create(create) => {
                let body = Body::new().with("name", Some(&create.name)).with("description", create.description.as_ref());
                cx.create(kind, body.and(create.fields.body(cx).await?)).await
            }
            Self::List(list) => list.exec(cx, kind.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, kind).await?),
            Self::Update(update) => {
                let href = update.lookup.href(cx, kind).await?;
                let body = Body::new().with("description", update.description.as_ref()).and(update.fields.body(cx).await?);
                cx.update(&href, body).await
            }
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, kind).await?).await,
            Self::Role(command) => command.exec(cx, kind).await,
        }
    }
}

impl RbacCommand {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let (which, action) = match self {
            Self::Guard(command) => return command.exec(cx, &RBAC).await,
            Self::Assign(which) => (which, "add_role"),
            Self::Remove(which) => (which, "remove_role"),
        };
        let href = which.lookup.href(cx, &RBAC).await?;
        object_role::change(cx, &href, action, DOWNLOADER, &which.users, &which.groups).await
    }
}
