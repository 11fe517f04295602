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
pub(crate) use units::note_use;
pub use units::{SavedUnit, find_units, save_units};

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::Executor;
use crate::digest::Expected;
use crate::{Error, Pulp, Result};

/// Makes a unit of one file that is stored, or finds the unit; a file that the unit lacked is filled in.
///
/// # Errors
/// If the database cannot be reached.
pub async fn save_unit(pulp: &Pulp, domain: Uuid, unit: &Unit, relative_path: &str, artifact: Uuid) -> Result<SavedUnit> {
    let tx = pulp.db().begin().await?;
    let saved = save_unit_in(&tx, domain, unit, relative_path, artifact, pulp.now()).await?;
    tx.commit().await?;
    Ok(saved)
}

/// As [`save_unit`], as part of a transaction.
///
/// # Errors
/// If the database cannot be reached.
pub async fn save_unit_in<E: Executor + ?Sized>(
    executor: &E,
    domain: Uuid,
    unit: &Unit,
    relative_path: &str,
    artifact: Uuid,
    now: Timestamp,
) -> Result<SavedUnit> {
    let saved = save_units(executor, unit.kind, &[unit], domain, now, now).await?;
    let saved = *saved.get(&unit.key()).ok_or_else(|| Error::Internal("a saved unit has no key".to_owned()))?;
    let file = UnitFile { unit: saved, relative_path, artifact: Some(artifact), source: None, expected: &Expected::default() };
    save_files(executor, &[file], domain, now).await?;
    Ok(saved)
}
