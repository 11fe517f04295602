//! `pulp remote`

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::args::moment;
use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::{LabelFilter, NameFilters, Page};
use crate::reference::{Category, TypedReference};

#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// List remotes
    List(List),
    /// Tell which repositories and distributions would lose content if a remote were deleted
    Dependents(Dependents),
}

#[derive(Debug, Args)]
pub(crate) struct Dependents {
    /// The remote: PLUGIN:TYPE:NAME, href or PRN
    #[arg(long)]
    remote: TypedReference,
}

impl Dependents {
    async fn exec(&self, cx: &Context) -> Result<()> {
        match cx.target(&Category::ANY_REMOTE, &self.remote).await? {
            Value::String(href) if href.starts_with("prn:") => {
                Err(Error::usage(format!("'{href}' is of a type that is not known here: name the remote by its href")))
            }
            Value::String(href) => show(cx, &href).await,
            _ => Err(Error::usage("--remote: say which one")),
        }
    }
}

/// Shows who depends on the remote with this href.
pub(crate) async fn show(cx: &Context, href: &str) -> Result<()> {
    cx.print(&cx.client.get(&format!("{href}dependents/"), &Query::new()).await?)
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    name: NameFilters,
    #[command(flatten)]
    label: LabelFilter,
    /// Only those changed at this time (UTC) or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    updated_after: Option<String>,
    /// Only those changed at this time (UTC) or earlier
    #[arg(long, value_name = "TIME", value_parser = moment)]
    updated_before: Option<String>,
}

impl List {
    /// Lists the remotes of a collection.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        let updated = Query::new()
            .with("pulp_last_updated__gte", self.updated_after.as_deref())
            .with("pulp_last_updated__lte", self.updated_before.as_deref());
        let filters = self.name.query().and(self.label.query()).and(updated);
        self.page.exec(cx, path, filters).await
    }
}

impl RemoteCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, "remotes/").await,
            Self::Dependents(dependents) => dependents.exec(cx).await,
        }
    }
}
