//! `pulp group`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::PlainList;
use super::object_role::ObjectRoleCommand;
use super::role_assignment::{Holder, RoleAssignmentCommand};
use super::user::by_name;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::Page;
use crate::lookup::Lookup;
use crate::reference::Reference;
use crate::resource::{Body, Kind, text};

/// Groups of users.
const GROUP: Kind = Kind::known("group", "groups/");

/// Names a group. There is no `--group`: commands about roles take that for the groups that get one.
#[derive(Debug, Clone, Args)]
#[group(id = "which group", required = true, multiple = false)]
pub(crate) struct GroupLookup {
    /// Href or PRN of the group
    #[arg(id = "group href", long = "href", value_name = "HREF")]
    href: Option<Reference>,
    /// Name of the group
    #[arg(id = "group name", long = "name", value_name = "NAME")]
    name: Option<String>,
}

impl GroupLookup {
    fn reference(&self) -> Reference {
        match (&self.href, &self.name) {
            (Some(Reference::Name(href)), _) => Reference::Href(href.clone()),
            (Some(href), _) => href.clone(),
            (None, name) => Reference::Name(name.clone().unwrap_or_default()),
        }
    }
}

impl Lookup for GroupLookup {
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String> {
        cx.href(kind, &self.reference()).await
    }

    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value> {
        cx.find(kind, &self.reference()).await
    }
}

/// Names the group whose users or roles are meant.
#[derive(Debug, Args)]
pub(crate) struct GroupHolder {
    /// The group, by name, href or PRN
    #[arg(long, value_name = "NAME|HREF|PRN")]
    group: Reference,
}

impl Holder for GroupHolder {
    async fn href(&self, cx: &Context) -> Result<String> {
        cx.href(&GROUP, &self.group).await
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group
    Create(Create),
    /// List groups
    List(PlainList),
    /// Show a group
    Show(GroupLookup),
    /// Delete a group
    Destroy(GroupLookup),
    /// Users in a group
    #[command(subcommand)]
    User(GroupUserCommand),
    /// Roles that groups have
    #[command(subcommand)]
    RoleAssignment(RoleAssignmentCommand<GroupHolder>),
    /// Roles on a group
    #[command(subcommand)]
    Role(ObjectRoleCommand<GroupLookup>),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the group
    #[arg(long)]
    name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupUserCommand {
    /// Add a user
    Add(Member),
    /// Remove a user
    Remove(Member),
    /// List the users
    List(Members),
}

#[derive(Debug, Args)]
pub(crate) struct Member {
    #[command(flatten)]
    group: GroupHolder,
    /// Name of the user
    #[arg(long)]
    username: String,
}

#[derive(Debug, Args)]
pub(crate) struct Members {
    #[command(flatten)]
    group: GroupHolder,
    #[command(flatten)]
    page: Page,
}

impl GroupCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => cx.create(&GROUP, Body::new().with("name", Some(&create.name))).await,
            Self::List(list) => list.exec(cx, GROUP.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &GROUP).await?),
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &GROUP).await?).await,
            Self::User(command) => command.exec(cx).await,
            Self::RoleAssignment(command) => command.exec(cx).await,
            Self::Role(command) => command.exec(cx, &GROUP).await,
        }
    }
}

impl GroupUserCommand {
    async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Add(member) => {
                let path = format!("{}users/", member.group.href(cx).await?);
                let answer = cx.client.post(&path, Body::new().with("username", Some(&member.username)).into()).await?;
                cx.print(&answer.body)
            }
            Self::Remove(member) => {
                let user = by_name(cx, &member.username).await?;
                // The membership lies below the group, under the user's number.
                let id = text(&user, "pulp_href")?.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
                cx.destroy(&format!("{}users/{id}/", member.group.href(cx).await?)).await
            }
            Self::List(list) => list.page.exec(cx, &format!("{}users/", list.group.href(cx).await?), Query::new()).await,
        }
    }
}
