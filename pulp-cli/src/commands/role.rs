//! `pulp role`

use clap::{Args, Subcommand};

use crate::args::switch;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::{NameFilters, Page};
use crate::lookup::{Lookup as _, named_lookup};
use crate::resource::{Body, Kind};

/// Roles are sets of permissions.
const ROLE: Kind = Kind::known("role", "roles/");

named_lookup!(
    /// Names a role.
    RoleLookup, "role", "role-href"
);
switch!(
    /// Which roles to show.
    Locked, "locked", "unlocked", "Only roles that are part of Pulp and cannot be changed"
);

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Make a role
    Create(Create),
    /// List roles
    List(List),
    /// Show a role
    Show(RoleLookup),
    /// Change a role
    Update(Update),
    /// Delete a role
    Destroy(RoleLookup),
}

#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Permission, as APP.CODENAME; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION", conflicts_with = "none")]
    permissions: Vec<String>,
    /// No permission at all
    #[arg(id = "none", long = "no-permission")]
    none: bool,
}

impl Fields {
    fn body(&self) -> Body {
        let permissions = (self.none || !self.permissions.is_empty()).then_some(&self.permissions);
        Body::new().with("description", self.description.as_deref()).with("permissions", permissions)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the role
    #[arg(long)]
    name: String,
    #[command(flatten)]
    fields: Fields,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: RoleLookup,
    #[command(flatten)]
    fields: Fields,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    name: NameFilters,
    #[command(flatten)]
    locked: Locked,
}

impl RoleCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => cx.create(&ROLE, Body::new().with("name", Some(&create.name)).and(create.fields.body())).await,
            Self::List(list) => {
                let query = list.name.query().and(Query::new().with("locked", list.locked.get()));
                list.page.exec(cx, ROLE.path(), query).await
            }
            Self::Show(lookup) => cx.print(&lookup.find(cx, &ROLE).await?),
            Self::Update(update) => cx.update(&update.lookup.href(cx, &ROLE).await?, update.fields.body()).await,
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &ROLE).await?).await,
        }
    }
}
