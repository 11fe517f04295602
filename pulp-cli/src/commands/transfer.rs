//! `run`, `list`, `show` and `destroy` of exports and imports, which lie below their exporter or importer.

use clap::{Args, Subcommand};

use super::crud::Fields;
use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::Page;
use crate::lookup::Lookup;
use crate::resource::Kind;

/// What is done with the exports of one kind of exporter, or the imports of one kind of importer.
#[derive(Debug, Subcommand)]
pub(crate) enum TransferCommand<L: Args, F: Args> {
    /// Start one and wait for its end
    Run(Run<L, F>),
    /// List those there were
    List(List<L>),
    /// Show one
    Show(TransferLookup),
    /// Delete the record of one; what it wrote stays
    Destroy(TransferLookup),
}

#[derive(Debug, Args)]
pub(crate) struct Run<L: Args, F: Args> {
    #[command(flatten)]
    owner: L,
    #[command(flatten)]
    fields: F,
}

#[derive(Debug, Args)]
pub(crate) struct List<L: Args> {
    #[command(flatten)]
    owner: L,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct TransferLookup {
    /// Href
    #[arg(long)]
    href: String,
}

/// Where the exports or imports lie.
#[derive(Debug)]
pub(super) struct Transfers {
    /// "Pulp export".
    pub(super) noun: &'static str,
    /// The kind of the exporter or importer.
    pub(super) owner: &'static Kind,
    /// What follows the href of the exporter or importer: `exports`.
    pub(super) collection: &'static str,
}

impl Transfers {
    /// The kind of what lies below the exporter or importer at the href.
    fn below(&self, owner: &str) -> Kind {
        let (_, owner) = owner.rsplit_once("/api/v3/").unwrap_or(("", owner));
        Kind::new(self.noun, format!("{owner}{}/", self.collection))
    }

    /// The href, if it is one of these: one of the exporter would delete that.
    fn checked<'a>(&self, href: &'a str) -> Result<&'a str> {
        let below = href.rsplit_once("/api/v3/").and_then(|(_, path)| path.strip_prefix(self.owner.path()));
        let parts: Vec<&str> = below.unwrap_or_default().trim_end_matches('/').split('/').collect();
        match parts[..] {
            [owner, collection, id] if !owner.is_empty() && collection == self.collection && !id.is_empty() => Ok(href),
            _ => Err(Error::usage(format!("'{href}' is not a valid HREF value for a {}", self.noun))),
        }
    }
}

impl<L: Args + Lookup, F: Args + Fields> TransferCommand<L, F> {
    pub(super) async fn exec(&self, cx: &Context, transfers: &Transfers) -> Result<()> {
        match self {
            Self::Run(run) => {
                let kind = transfers.below(&run.owner.href(cx, transfers.owner).await?);
                cx.create(&kind, run.fields.body(cx).await?).await
            }
            Self::List(list) => {
                let kind = transfers.below(&list.owner.href(cx, transfers.owner).await?);
                list.page.exec(cx, kind.path(), Query::new()).await
            }
            Self::Show(lookup) => cx.print(&cx.client.get(transfers.checked(&lookup.href)?, &Query::new()).await?),
            Self::Destroy(lookup) => cx.destroy(transfers.checked(&lookup.href)?).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_href_of_an_exporter_is_none_of_an_export() {
        let exports = Transfers { noun: "Pulp export", owner: &crate::commands::exporter::PULP, collection: "exports" };
        assert!(exports.checked("/pulp/api/v3/exporters/core/pulp/1/exports/2/").is_ok());
        for href in
            ["/pulp/api/v3/exporters/core/pulp/1/", "/pulp/api/v3/exporters/core/pulp/1/exports/", "prn:core.pulpexport:2", "exports/2"]
        {
            assert!(exports.checked(href).is_err(), "{href}");
        }
        assert_eq!(exports.below("/pulp/api/v3/exporters/core/pulp/1/").path(), "exporters/core/pulp/1/exports/");
    }
}
