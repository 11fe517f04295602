//! `pulp upstream-pulp`

use clap::{Args, Subcommand, ValueEnum};

use super::connection::{self, Connection};
use super::crud::{CrudCommand, Fields};
use super::object_role::ObjectRoleCommand;
use crate::args::{OrNull, switch};
use crate::context::Context;
use crate::error::Result;
use crate::lookup::{Lookup as _, named_lookup};
use crate::resource::{Body, Kind};

/// Upstreams are other Pulps, whose distributions are replicated.
const UPSTREAM: Kind = Kind::known("upstream pulp", "upstream-pulps/");

named_lookup!(
    /// Names an upstream.
    UpstreamLookup, "upstream-pulp", "upstream-pulp-href", "id"
);
switch!(
    /// Whether the certificate of the upstream is checked.
    TlsValidation, "tls-validation", "no-tls-validation", "Check the certificate of the upstream"
);

#[derive(Debug, Subcommand)]
pub(crate) enum UpstreamPulpCommand {
    #[command(flatten)]
    Crud(Box<CrudCommand<UpstreamLookup, UpstreamFields>>),
    /// Take over the distributions of the upstream; by its policy, what the upstream does not have is deleted here
    Replicate(Replicate),
    /// Roles on an upstream
    #[command(subcommand)]
    Role(ObjectRoleCommand<UpstreamLookup>),
}

/// What a replication deletes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Policy {
    /// What the upstream does not have
    All,
    /// Of that, what the upstream's label is on
    Labeled,
    /// Nothing
    Nodelete,
}

/// What can be said of an upstream; the empty text takes a value away again.
#[derive(Debug, Args)]
pub(crate) struct UpstreamFields {
    /// Scheme, host and port of the upstream
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Path below which its API lies, like /pulp/
    #[arg(long, value_name = "PATH")]
    api_root: Option<String>,
    /// Name of its domain, if it has domains
    #[arg(long)]
    domain: Option<OrNull<String>>,
    #[command(flatten)]
    tls_validation: TlsValidation,
    #[command(flatten)]
    connection: Connection,
    /// Which distributions to replicate, as the filter q of a list has it, like pulp_label_select="stage=prod"
    #[arg(long, value_name = "Q")]
    q_select: Option<OrNull<String>>,
    /// What a replication deletes here
    #[arg(long, value_enum)]
    policy: Option<Policy>,
    /// When the remotes that are made fetch files
    #[arg(long, value_enum)]
    remote_policy: Option<connection::Policy>,
}

impl Fields for UpstreamFields {
    const REQUIRED: &'static [&'static str] = &["base_url", "api_root"];

    async fn body(&self, _: &Context) -> Result<Body> {
        Ok(self
            .connection
            .body()
            .with("base_url", self.base_url.as_ref())
            .with("api_root", self.api_root.as_ref())
            .with("domain", self.domain.as_ref())
            .with("tls_validation", self.tls_validation.get())
            .with("q_select", self.q_select.as_ref())
            .with("policy", self.policy)
            .with("remote_policy", self.remote_policy))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Replicate {
    #[command(flatten)]
    lookup: UpstreamLookup,
    /// Which distributions to replicate this time, in place of those that the upstream is set to
    #[arg(long, value_name = "Q")]
    q_select: Option<String>,
}

impl UpstreamPulpCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Crud(command) => command.exec(cx, &UPSTREAM).await,
            Self::Replicate(replicate) => {
                let href = replicate.lookup.href(cx, &UPSTREAM).await?;
                cx.act(&href, "replicate", Body::new().with("q_select", replicate.q_select.as_ref())).await.map(drop)
            }
            Self::Role(command) => command.exec(cx, &UPSTREAM).await,
        }
    }
}
