//! `role` of any resource that has roles.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lookup::Lookup;
use crate::resource::{Body, Kind};

#[derive(Debug, Subcommand)]
pub(crate) enum ObjectRoleCommand<L: Args> {
    /// Give users or groups a role on it
    Add(Change<L>),
    /// Take a role on it away from users or groups
    Remove(Change<L>),
    /// Show who has which role on it
    List(L),
    /// Show what the one who asks may do with it
    MyPermissions(L),
}

#[derive(Debug, Args)]
pub(crate) struct Change<L: Args> {
    /// Name of the role
    #[arg(long)]
    role: String,
    /// Name of a user; may be repeated
    #[arg(long = "user", value_name = "USERNAME")]
    users: Vec<String>,
    /// Name of a group; may be repeated
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    #[command(flatten)]
    lookup: L,
}

impl<L: Args + Lookup> ObjectRoleCommand<L> {
    /// Runs the command on a resource of the kind.
    pub(crate) async fn exec(&self, cx: &Context, kind: &Kind) -> Result<()> {
        match self {
            Self::Add(change) => change.exec(cx, kind, "add_role").await,
            Self::Remove(change) => change.exec(cx, kind, "remove_role").await,
            Self::List(lookup) => {
                let shown = cx.client.get(&format!("{}list_roles/", lookup.href(cx, kind).await?), &Query::new()).await?;
                cx.print(&shown)
            }
            Self::MyPermissions(lookup) => {
                let shown = cx.client.get(&format!("{}my_permissions/", lookup.href(cx, kind).await?), &Query::new()).await?;
                cx.print(&shown)
            }
        }
    }
}

impl<L: Args + Lookup> Change<L> {
    async fn exec(&self, cx: &Context, kind: &Kind, action: &str) -> Result<()> {
        let href = self.lookup.href(cx, kind).await?;
        change(cx, &href, action, &self.role, &self.users, &self.groups).await
    }
}

/// Gives users and groups a role on an object, or takes it away, and prints what became of it.
pub(crate) async fn change(cx: &Context, href: &str, action: &str, role: &str, users: &[String], groups: &[String]) -> Result<()> {
    if users.is_empty() && groups.is_empty() {
        return Err(Error::usage("say whose role it is: --user or --group"));
    }
    let body = Body::new().with("role", Some(role)).with("users", Some(json!(users))).with("groups", Some(json!(groups)));
    let answer = cx.client.post(&format!("{href}{action}/"), body.into()).await?;
    cx.print(&answer.body)
}
