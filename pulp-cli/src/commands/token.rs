//! `pulp token`

use clap::{Args, Subcommand};

use crate::args::{moment, switch};
use crate::context::Context;
use crate::error::Result;
use crate::list::NamedList;
use crate::lookup::{Lookup as _, named_lookup};
use crate::resource::{Body, Kind};

/// Tokens with which programs sign in.
const TOKEN: Kind = Kind::known("token", "tokens/");

named_lookup!(
    /// Names a token.
    TokenLookup, "token", "token-href"
);
switch!(
    /// Whether the token is for reading alone.
    ReadOnly, "read-only", "read-write", "Nothing can be changed with the token"
);

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; its secret is shown this once
    Create(Create),
    /// List tokens
    List(NamedList),
    /// Show a token, without its secret
    Show(TokenLookup),
    /// Delete a token: from then on it is not valid
    Destroy(TokenLookup),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is for
    #[arg(long)]
    name: String,
    /// Name of the user whose it is to be, for administrators
    #[arg(long)]
    username: Option<String>,
    #[command(flatten)]
    read_only: ReadOnly,
    /// Permission that its user has with it at most, as APP.CODENAME; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    /// From when on (UTC) it is not valid; without, it is valid until it is deleted
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<String>,
}

impl Create {
    fn body(&self) -> Body {
        Body::new()
            .with("name", Some(&self.name))
            .with("username", self.username.as_deref())
            .with("read_only", self.read_only.get())
            .with("permissions", (!self.permissions.is_empty()).then_some(&self.permissions))
            .with("expires", self.expires.as_deref())
    }
}

impl TokenCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => cx.create(&TOKEN, create.body()).await,
            Self::List(list) => list.exec(cx, TOKEN.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &TOKEN).await?),
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &TOKEN).await?).await,
        }
    }
}
