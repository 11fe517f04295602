//! `pulp show`

use clap::Args;

use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::prn::Prn;

/// Show any resource.
#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false)]
pub(crate) struct Show {
    /// Href of the resource
    #[arg(long)]
    href: Option<String>,
    /// PRN of the resource
    #[arg(long)]
    prn: Option<Prn>,
}

impl Show {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let path = match (&self.prn, &self.href) {
            (Some(prn), _) => prn
                .path()
                .ok_or_else(|| Error::usage(format!("'{prn}': this client does not know where a {} lies; use --href", prn.model)))?,
            (None, Some(href)) if href.starts_with('/') => href.clone(),
            (None, href) => {
                let href = href.as_deref().unwrap_or_default();
                return Err(Error::usage(format!("'{href}' is not an href: it must begin with {}", cx.client.api())));
            }
        };
        cx.print(&cx.client.get(&path, &Query::new()).await?)
    }
}
