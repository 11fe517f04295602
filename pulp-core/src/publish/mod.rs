//! Publishing: frozen metadata and a map of paths for one version of a repository, complete or not there at all.

mod writer;

pub use writer::{PublicationKind, PublicationWriter};
