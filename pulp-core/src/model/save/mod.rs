//! Writing artifacts and content units, many at a time.
//!
//! Uniqueness is the database’s: every insert says what to do about a row that is there already, and asks for the key of the
//! row that won. Rows are inserted in the order of their natural keys, so that two writers wait for each other instead of
//! locking each other out.

mod artifacts;
mod files;
mod kind;
mod units;

pub use artifacts::{NewArtifact, find_artifacts, save_artifacts, touch_artifacts};
pub use files::{UnitFile, save_files};
pub use kind::{ContentKind, Unit, UnitKey};
pub use units::{SavedUnit, find_units, save_units};
