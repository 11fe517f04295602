//! `create`, `list`, `show`, `update` and `destroy` of resources that have a name.

use clap::{Arg, Args, Subcommand};

use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::NamedList;
use crate::lookup::Lookup;
use crate::resource::{Body, Kind};

/// What can be said of a resource of one kind beside its name, or of a call.
pub(crate) trait Fields {
    /// The arguments that must be given to make a resource, by their ids; to change one, all can be left out.
    const REQUIRED: &'static [&'static str] = &[];

    /// Whether a change prints what became of the resource, as the Python client does for some kinds.
    const UPDATE_SHOWS: bool = false;

    /// The fields that were given.
    ///
    /// # Errors
    /// When another resource is named that is not there.
    async fn body(&self, cx: &Context) -> Result<Body>;
}

/// What is done with resources of one kind.
#[derive(Debug, Subcommand)]
pub(crate) enum CrudCommand<L: Args, F: Args + Fields> {
    /// Make one
    Create(Create<F>),
    /// List them
    List(NamedList),
    /// Show one
    Show(L),
    /// Change one
    Update(Update<L, F>),
    /// Delete one
    Destroy(L),
}

#[derive(Debug, Args)]
#[command(mut_args(required::<F>))]
pub(crate) struct Create<F: Args + Fields> {
    /// The name: no two have the same
    #[arg(id = "new name", long = "name", value_name = "NAME")]
    name: String,
    #[command(flatten)]
    fields: F,
}

#[derive(Debug, Args)]
pub(crate) struct Update<L: Args, F: Args> {
    #[command(flatten)]
    lookup: L,
    #[command(flatten)]
    fields: F,
}

fn required<F: Fields>(arg: Arg) -> Arg {
    let required = arg.is_required_set() || F::REQUIRED.contains(&arg.get_id().as_str());
    arg.required(required)
}

impl<L: Args + Lookup, F: Args + Fields> CrudCommand<L, F> {
    /// Runs the command on resources of the kind.
    pub(crate) async fn exec(&self, cx: &Context, kind: &Kind) -> Result<()> {
        match self {
            Self::Create(create) => {
                let body = Body::new().with("name", Some(&create.name)).and(create.fields.body(cx).await?);
                cx.create(kind, body).await
            }
            Self::List(list) => list.exec(cx, kind.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, kind).await?),
            Self::Update(update) => {
                let href = update.lookup.href(cx, kind).await?;
                cx.update(&href, update.fields.body(cx).await?).await?;
                if F::UPDATE_SHOWS && !cx.background {
                    cx.print(&cx.client.get(&href, &Query::new()).await?)?;
                }
                Ok(())
            }
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, kind).await?).await,
        }
    }
}
