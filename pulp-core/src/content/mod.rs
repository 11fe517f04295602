//! Serving: what lies at a path below the content prefix, and how it looks on the wire.
//!
//! [`Pulp::content`](crate::Pulp::content) gives a [`Content`], whose [`handle`](Content::handle) takes a request and gives a response. A request goes
//! its way in steps that do not know of each other:
//!
//! 1. the distribution whose base path is the longest that the request’s path lies under;
//! 2. its [`ContentGuard`], at every request;
//! 3. the [`DistributionHandler`] of its type, which decides: a [`Served`] is a value. [`PublishedHandler`],
//!    [`PassThroughHandler`] and [`PullThroughHandler`] are what most types need, alone or in a [`Chain`];
//! 4. rendering: conditions, ranges, headers, bytes.
//!
//! Decisions about stored files are remembered in the process until a [`Change`] is announced.

mod artifact;
mod at_hand;
mod changes;
mod checkpoint;
pub(crate) mod conditional;
mod error;
mod freshness;
pub mod grace;
mod guard;
pub(crate) mod guards;
mod handler;
mod html;
mod lazy;
mod listing;
mod mime;
mod missing;
mod moment;
mod page;
mod path;
mod published;
mod pull_through;
pub(crate) mod range;
mod render;
mod served;
mod service;
mod state;
mod stored;
mod travel;
mod view;

pub(crate) use artifact::Artifacts;
pub use at_hand::AtHand;
pub use changes::Change;
pub use error::ServeError;
pub use freshness::check_cache_control;
pub use guard::{ContentGuard, Denied, GuardRequest};
pub use handler::{Chain, DistributionHandler, ServeContext};
pub use listing::{Entries, Entry, Listing};
pub use mime::media_type;
pub use moment::Moment;
pub use path::ContentPath;
pub use published::{PassThroughHandler, PublishedHandler};
pub use pull_through::{PullThrough, PullThroughHandler, Pulled};
pub use served::{Opened, Redirect, Representation, Served, ServedBytes, ServedFile, ServedStream, Source};
pub use service::Content;
pub(crate) use state::State;

use crate::model::TreeFile;
use crate::model::tree::Located;

/// A file of a tree, as it is served: from the store, or lazily.
async fn file_at(cx: &ServeContext<'_>, file: TreeFile) -> Result<Served, ServeError> {
    located_at(cx, Located { file, places: None }).await
}

/// What lies at the path of a file whose sources were looked up along with it.
async fn located_at(cx: &ServeContext<'_>, Located { file, places }: Located) -> Result<Served, ServeError> {
    let name = file.relative_path;
    match (file.artifact_id, file.file, file.size, file.sha256, file.stored) {
        (Some(artifact), Some(path), Some(size), Some(sha256), Some(stored)) => {
            let mut served = ServedFile::from_row(name, artifact, &path, size, &sha256, stored)?;
            served.representation.modified = Some(file.joined);
            Ok(Served::File(served))
        }
        _ => lazy::serve(cx, file.content_artifact_id, places, name, file.joined).await,
    }
}
