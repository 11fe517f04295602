//! `pulp upload`

use clap::{Args, Subcommand};

use super::PlainList;
use crate::context::Context;
use crate::error::Result;
use crate::lookup::{HrefLookup, Lookup as _};
use crate::resource::Kind;

/// Uploads are files that arrive in pieces and are not committed yet.
static UPLOAD: Kind = Kind::known("upload", "uploads/");

/// Names an upload.
#[derive(Debug, Args)]
#[command(mut_arg("href", |arg| arg.visible_alias("upload")))]
pub(crate) struct UploadLookup {
    #[command(flatten)]
    upload: HrefLookup,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UploadCommand {
    /// List unfinished uploads
    List(PlainList),
    /// Show an unfinished upload
    Show(UploadLookup),
    /// Delete an unfinished upload
    Destroy(UploadLookup),
}

impl UploadCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx, UPLOAD.path()).await,
            Self::Show(lookup) => cx.print(&lookup.upload.find(cx, &UPLOAD).await?),
            Self::Destroy(lookup) => cx.destroy(&lookup.upload.href(cx, &UPLOAD).await?).await,
        }
    }
}
