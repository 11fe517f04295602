//! `pulp signing-service`

use clap::{Args, Subcommand};

use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::Page;
use crate::lookup::{Lookup as _, named_lookup};
use crate::resource::Kind;

/// Signing services sign metadata.
const SIGNING_SERVICE: Kind = Kind::known("signing service", "signing-services/");

named_lookup!(
    /// Names a signing service.
    SigningServiceLookup, "signing-service", "signing-service-href"
);

#[derive(Debug, Subcommand)]
pub(crate) enum SigningServiceCommand {
    /// List signing services
    List(List),
    /// Show a signing service
    Show(SigningServiceLookup),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    /// Only the one of this name
    #[arg(long)]
    name: Option<String>,
}

impl SigningServiceCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.page.exec(cx, SIGNING_SERVICE.path(), Query::new().with("name", list.name.as_deref())).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &SIGNING_SERVICE).await?),
        }
    }
}
