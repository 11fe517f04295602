//! `pulp upload`

use clap::Subcommand;

use super::PlainList;
use crate::context::Context;
use crate::error::Result;
use crate::lookup::{HrefLookup, Lookup as _};
use crate::resource::Kind;

/// Uploads are files that arrive in pieces and are not committed yet.
static UPLOAD: Kind = Kind::known("upload", "uploads/");

#[derive(Debug, Subcommand)]
pub(crate) enum UploadCommand {
    /// List unfinished uploads
    List(PlainList),
    /// Show an unfinished upload
    Show(HrefLookup),
    /// Delete an unfinished upload
    Destroy(HrefLookup),
}

impl UploadCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, UPLOAD.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &UPLOAD).await?),
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &UPLOAD).await?).await,
        }
    }
}
