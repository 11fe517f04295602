//! Removing what is old, whoever adopts the same file at that moment.

use std::{
    fs::{self, Metadata},
    io,
    time::SystemTime,
};

use super::{
    super::{ArtifactPath, Result, StorageError},
    Inner,
};

/// Removes a file that was written before a moment; whether it did. Blocking.
///
/// The file is taken aside before it is judged for good: another process may adopt its equal just now, which must not be removed in its place.
pub(super) fn remove(inner: &Inner, at: &ArtifactPath, than: SystemTime) -> Result<bool> {
    let failed = |error| StorageError::at(at, error);
    let place = at.below(&inner.root);
    match fs::metadata(&place) {
        Ok(about) if is_older(&about, than).map_err(failed)? => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    }
    // Removed when it is dropped.
    let (aside, _) = inner.incoming.blocking_file().map_err(failed)?;
    match fs::rename(&place, aside.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        moved => moved.map_err(failed)?,
    }
    if fs::metadata(aside.path()).and_then(|about| is_older(&about, than)).map_err(failed)? {
        return Ok(true);
    }
    // One that has come meanwhile is its equal.
    fs::rename(aside.path(), &place).map_err(failed)?;
    aside.moved();
    Ok(false)
}

fn is_older(about: &Metadata, than: SystemTime) -> io::Result<bool> {
    Ok(about.is_file() && about.modified()? < than)
}
