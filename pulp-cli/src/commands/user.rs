//! `pulp user`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::PlainList;
use super::role_assignment::{Holder, RoleAssignmentCommand};
use crate::args::{OrNull, switch};
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::lookup::Lookup;
use crate::reference::Reference;
use crate::resource::{Body, Kind, text};

/// Users sign in.
const USER: Kind = Kind::known("user", "users/");

switch!(
    /// Whether the user may sign in to the administration.
    Staff, "staff", "no-staff", "The user may sign in to the administration pages"
);
switch!(
    /// Whether the user may sign in at all.
    Active, "active", "inactive", "The user may sign in"
);

/// Names a user.
#[derive(Debug, Clone, Args)]
#[group(id = "whom", required = true, multiple = false)]
pub(crate) struct UserLookup {
    /// Href or PRN of the user
    #[arg(long)]
    href: Option<String>,
    /// Name of the user
    #[arg(long)]
    username: Option<String>,
}

impl Lookup for UserLookup {
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String> {
        match &self.href {
            Some(href) => cx.href(kind, &reference(href)).await,
            None => Ok(text(&self.find(cx, kind).await?, "pulp_href")?.to_owned()),
        }
    }

    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value> {
        match (&self.href, &self.username) {
            (Some(href), _) => cx.find(kind, &reference(href)).await,
            (None, name) => by_name(cx, name.as_deref().unwrap_or_default()).await,
        }
    }
}

fn reference(href: &str) -> Reference {
    if href.starts_with("prn:") { Reference::Prn(href.to_owned()) } else { Reference::Href(href.to_owned()) }
}

/// The user of this name.
pub(super) async fn by_name(cx: &Context, name: &str) -> Result<Value> {
    cx.find_one(&USER, &Query::new().with("username", Some(name)), &format!("username '{name}'")).await
}

/// Names the user whose roles are meant.
#[derive(Debug, Args)]
pub(crate) struct UserHolder {
    /// Name of the user
    #[arg(long)]
    username: String,
}

impl Holder for UserHolder {
    async fn href(&self, cx: &Context) -> Result<String> {
        Ok(text(&by_name(cx, &self.username).await?, "pulp_href")?.to_owned())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user
    Create(Create),
    /// List users
    List(PlainList),
    /// Show a user
    Show(UserLookup),
    /// Change a user
    Update(Update),
    /// Delete a user
    Destroy(UserLookup),
    /// Roles that users have
    #[command(subcommand)]
    RoleAssignment(RoleAssignmentCommand<UserHolder>),
}

#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// Password; empty for none, so that nobody can sign in with one
    #[arg(long, allow_hyphen_values = true)]
    password: Option<OrNull<String>>,
    /// First name
    #[arg(long)]
    first_name: Option<String>,
    /// Last name
    #[arg(long)]
    last_name: Option<String>,
    /// Address for e-mail
    #[arg(long)]
    email: Option<String>,
    #[command(flatten)]
    staff: Staff,
    #[command(flatten)]
    active: Active,
}

impl Fields {
    fn body(&self) -> Body {
        Body::new()
            .with("password", self.password.as_ref())
            .with("first_name", self.first_name.as_deref())
            .with("last_name", self.last_name.as_deref())
            .with("email", self.email.as_deref())
            .with("is_staff", self.staff.get())
            .with("is_active", self.active.get())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the user
    #[arg(long)]
    username: String,
    #[command(flatten)]
    fields: Fields,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: UserLookup,
    #[command(flatten)]
    fields: Fields,
}

impl UserCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => cx.create(&USER, Body::new().with("username", Some(&create.username)).and(create.fields.body())).await,
            Self::List(list) => list.exec(cx, USER.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &USER).await?),
            Self::Update(update) => cx.update(&update.lookup.href(cx, &USER).await?, update.fields.body()).await,
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &USER).await?).await,
            Self::RoleAssignment(command) => command.exec(cx).await,
        }
    }
}
