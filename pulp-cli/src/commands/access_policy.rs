//! `pulp access-policy`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::PlainList;
use crate::args;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::lookup::Lookup;
use crate::reference::Reference;
use crate::resource::{Body, Kind, text};

/// Access policies say who may do what.
const ACCESS_POLICY: Kind = Kind::known("access policy", "access_policies/");

/// Names an access policy.
#[derive(Debug, Clone, Args)]
#[group(id = "which policy", required = true, multiple = false)]
pub(crate) struct PolicyLookup {
    /// Href or PRN of the access policy
    #[arg(long)]
    href: Option<String>,
    /// What it is about, like repositories/file/file
    #[arg(long, value_name = "NAME")]
    viewset_name: Option<String>,
}

impl Lookup for PolicyLookup {
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String> {
        Ok(text(&self.find(cx, kind).await?, "pulp_href")?.to_owned())
    }

    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value> {
        match (&self.href, &self.viewset_name) {
            (Some(href), _) if href.starts_with("prn:") => cx.find(kind, &Reference::Prn(href.clone())).await,
            (Some(href), _) => cx.find(kind, &Reference::Href(href.clone())).await,
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                cx.find_one(kind, &Query::new().with("viewset_name", Some(name)), &format!("viewset_name '{name}'")).await
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccessPolicyCommand {
    /// List access policies
    List(PlainList),
    /// Show an access policy
    Show(PolicyLookup),
    /// Change an access policy
    Update(Update),
    /// Set an access policy back to what it was at first
    Reset(PolicyLookup),
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: PolicyLookup,
    /// The statements: JSON list, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json)]
    statements: Option<Value>,
    /// What happens when an object is made: JSON list, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = args::json)]
    creation_hooks: Option<Value>,
}

impl AccessPolicyCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, ACCESS_POLICY.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &ACCESS_POLICY).await?),
            Self::Update(update) => {
                let href = update.lookup.href(cx, &ACCESS_POLICY).await?;
                let body =
                    Body::new().with("statements", update.statements.as_ref()).with("creation_hooks", update.creation_hooks.as_ref());
                cx.update(&href, body).await
            }
            Self::Reset(lookup) => {
                let href = lookup.href(cx, &ACCESS_POLICY).await?;
                let answer = cx.client.post(&format!("{href}reset/"), Body::new().into()).await?;
                cx.print(&answer.body)
            }
        }
    }
}
