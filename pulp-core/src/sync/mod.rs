//! Sync: from what an upstream declares to the next version of a repository.
//!
//! A content type writes the [`FirstStage`] only: it reads the upstream’s metadata and declares units and their files. The rest
//! is a pipeline of stages that work side by side, joined by bounded channels:
//!
//! 1. *resolve*: what does the repository have already, just as it is declared? It goes no further. Of the rest, which files are stored? A few queries
//!    for a batch of thousands;
//! 2. *download* what is missing, from alternate content sources where one has it, so many at a time as the remote says, within a budget of bytes; skipped by the policies
//!    `on_demand` and `streamed`;
//! 3. *save*: adopt the files into the storage, durably, then write artifacts, units, files, sources and members of the
//!    version in one transaction per batch.
//!
//! A batch that is saved stays saved, whatever happens to the sync: the next one fetches only what is missing. The version
//! appears at the end, at once, or not at all.

mod alternate;
mod declared;
mod download;
mod meter;
mod resolve;
mod run;
mod save;
mod settle;
mod stage;

pub use declared::{Declared, DeclaredFile, FileSource};
pub(crate) use meter::Meters;
pub use meter::{Meter, Reading, Tally};
pub use run::{SyncOptions, synchronize};
pub use stage::{FirstStage, Sink, SyncContext, SyncEnded};
