//! `pulp content`

use clap::Subcommand;

use super::PlainList;
use crate::context::Context;
use crate::error::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// List content units
    List(PlainList),
}

impl ContentCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let Self::List(list) = self;
        list.exec(cx, "content/").await
    }
}
