//! Imports: archives in Pulp’s own format, read without being believed.
//!
//! Paths lie below the directories that the operator allows; sizes and names are bounded before anything is allocated for
//! them; every artifact is hashed, every row checked by its content type; and nothing of an archive is held in memory as a
//! whole: it is read where it lies, artifact by artifact and row by row.

mod artifacts;
mod check;
mod list;
mod source;
mod start;
mod tape;
mod units;
mod version;

pub(crate) use check::{check_file, check_mapping};
pub use source::Source;
pub use start::PulpImport;
pub use version::ImportRepositoryVersion;

use crate::plugin::Registry;

/// Adds the tasks of this module.
pub(crate) fn register(registry: &mut Registry) {
    registry.task::<PulpImport>();
    registry.task::<ImportRepositoryVersion>();
}
