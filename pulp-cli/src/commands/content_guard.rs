//! `pulp content-guard`

use clap::{Args, Subcommand};

use super::crud::{CrudCommand, Fields};
use super::object_role::{self, ObjectRoleCommand};
use crate::args::{OrNull, text_or_file};
use crate::context::Context;
use crate::error::Result;
use crate::list::NamedList;
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
    List(NamedList),
    /// Guards that ask all of several guards
    #[command(subcommand)]
    Composite(GuardCommand<Composite>),
    /// Guards that compare a header with an environment variable of the server
    #[command(subcommand)]
    EnvvarHeader(GuardCommand<EnvvarHeader>),
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
    Rhsm(CrudCommand<GuardLookup, Guard<Certificate>>),
    /// Guards that ask for a certificate
    #[command(subcommand)]
    X509(CrudCommand<GuardLookup, Guard<Certificate>>),
}

/// What is done with guards of one type.
#[derive(Debug, Subcommand)]
pub(crate) enum GuardCommand<F: Args + Fields> {
    #[command(flatten)]
    Guard(CrudCommand<GuardLookup, Guard<F>>),
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

/// What all guards have beside the name, and what those of one type have.
#[derive(Debug, Args)]
pub(crate) struct Guard<F: Args> {
    /// What it is for
    #[arg(long)]
    description: Option<OrNull<String>>,
    #[command(flatten)]
    fields: F,
}

impl<F: Args + Fields> Fields for Guard<F> {
    const REQUIRED: &'static [&'static str] = F::REQUIRED;

    async fn body(&self, cx: &Context) -> Result<Body> {
        Ok(Body::new().with("description", self.description.as_ref()).and(self.fields.body(cx).await?))
    }
}

/// Nothing more.
#[derive(Debug, Args)]
pub(crate) struct Plain {}

impl Fields for Plain {
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

impl Fields for Composite {
    async fn body(&self, cx: &Context) -> Result<Body> {
        Ok(Body::new().with("guards", cx.targets(&Category::CONTENT_GUARDS, &self.guards).await?))
    }
}

#[derive(Debug, Args)]
pub(crate) struct EnvvarHeader {
    /// Name of the header
    #[arg(long, value_name = "NAME")]
    header_name: Option<String>,
    /// Name of the environment variable, one of those that the server's settings allow
    #[arg(long, value_name = "NAME")]
    env_var: Option<String>,
}

impl Fields for EnvvarHeader {
    const REQUIRED: &'static [&'static str] = &["header_name", "env_var"];

    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new().with("header_name", self.header_name.as_deref()).with("env_var", self.env_var.as_deref()))
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

impl Fields for Header {
    const REQUIRED: &'static [&'static str] = &["header_name", "header_value"];

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

impl Fields for Certificate {
    const REQUIRED: &'static [&'static str] = &["ca_certificate"];

    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(Body::new().with("ca_certificate", self.ca_certificate.as_deref()))
    }
}

const COMPOSITE: Kind = Kind::known("composite content guard", "contentguards/core/composite/");
const ENVVAR_HEADER: Kind = Kind::known("environment variable header content guard", "contentguards/core/envvar_header/");
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
            Self::EnvvarHeader(command) => command.exec(cx, &ENVVAR_HEADER).await,
            Self::Header(command) => command.exec(cx, &HEADER).await,
            Self::Rbac(command) => command.exec(cx).await,
            Self::Redirect(command) => command.exec(cx, &REDIRECT).await,
            Self::Rhsm(command) => command.exec(cx, &RHSM).await,
            Self::X509(command) => command.exec(cx, &X509).await,
        }
    }
}

impl<F: Args + Fields> GuardCommand<F> {
    async fn exec(&self, cx: &Context, kind: &Kind) -> Result<()> {
        match self {
            Self::Guard(command) => command.exec(cx, kind).await,
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
