//! `label` of any resource that has labels.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::lookup::Lookup;
use crate::output;
use crate::resource::{Body, Kind};

#[derive(Debug, Subcommand)]
pub(crate) enum LabelCommand<L: Args> {
    /// Set a label
    Set(Set<L>),
    /// Remove a label
    Unset(Key<L>),
    /// Show the value of a label
    Show(Key<L>),
}

#[derive(Debug, Args)]
pub(crate) struct Set<L: Args> {
    #[command(flatten)]
    key: Key<L>,
    /// Value of the label
    #[arg(long, allow_hyphen_values = true)]
    value: String,
}

#[derive(Debug, Args)]
pub(crate) struct Key<L: Args> {
    /// Key of the label
    #[arg(long)]
    key: String,
    #[command(flatten)]
    lookup: L,
}

impl<L: Args + Lookup> LabelCommand<L> {
    /// Runs the command on a resource of the kind.
    pub(crate) async fn exec(&self, cx: &Context, kind: &Kind) -> Result<()> {
        match self {
            Self::Set(set) => {
                let href = set.key.lookup.href(cx, kind).await?;
                let body = Body::new().with("key", Some(&set.key.key)).with("value", Some(&set.value));
                cx.act(&href, "set_label", body).await.map(drop)
            }
            Self::Unset(unset) => {
                let href = unset.lookup.href(cx, kind).await?;
                cx.act(&href, "unset_label", Body::new().with("key", Some(&unset.key))).await.map(drop)
            }
            Self::Show(show) => {
                let resource = show.lookup.find(cx, kind).await?;
                match resource.pointer("/pulp_labels").and_then(|labels| labels.get(&show.key)) {
                    Some(Value::String(text)) => output::line(text),
                    Some(Value::Null) => output::line(""),
                    _ => Err(Error::NotFound { noun: "label".to_owned(), criteria: format!("key '{}'", show.key) }),
                }
            }
        }
    }
}
