//! Moving spooled files into the directory.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

use futures::future::try_join_all;

use super::{
    super::{ArtifactPath, Result, Spooled, StorageError, io::blocking},
    Durability, Inner,
};

/// From this many files on, one `syncfs` is cheaper than a `fsync` each, although it writes out what others
/// have written on the same file system.
const BATCH: usize = 16;

/// How many directories are remembered to be on the disk.
const REMEMBERED: usize = 65_536;

/// Adopts one file. Blocking.
pub(super) fn one(inner: &Inner, file: Spooled, to: &ArtifactPath) -> Result<()> {
    if inner.durability != Durability::None {
        sync_file(file.path()).map_err(|error| spooled_lost(to, error))?;
    }
    place(inner, file, to)?;
    if inner.durability == Durability::Full {
        sync_names(inner, to).map_err(|error| StorageError::io(to.as_str(), error))?;
    }
    Ok(())
}

/// Adopts many files, waiting for the disk once before and once after the renames.
pub(super) async fn many(inner: &Arc<Inner>, files: Vec<(Spooled, ArtifactPath)>) -> Result<()> {
    if files.len() < BATCH {
        // Side by side, since the file system puts concurrent syncs into one transaction.
        let each = files.into_iter().map(|(file, to)| {
            let inner = Arc::clone(inner);
            blocking(move || one(&inner, file, &to))
        });
        return try_join_all(each).await.map(drop);
    }
    let inner = Arc::clone(inner);
    blocking(move || {
        if inner.durability != Durability::None {
            let spools: Vec<_> = files.iter().map(|(file, _)| file.path()).collect();
            sync_all(&inner.root, &spools).map_err(|error| StorageError::io("a batch of files", error))?;
        }
        let mut placed = Vec::with_capacity(files.len());
        for (file, to) in files {
            place(&inner, file, &to)?;
            placed.push(to);
        }
        if inner.durability == Durability::Full {
            sync_all_names(&inner, &placed).map_err(|error| StorageError::io("a batch of files", error))?;
        }
        Ok(())
    })
    .await
}

/// Moves a file within the directory. Blocking.
pub(super) fn rename(inner: &Inner, from: &ArtifactPath, to: &ArtifactPath) -> Result<()> {
    let target = to.below(&inner.root);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(|error| StorageError::io(to.as_str(), error))?;
    }
    fs::rename(from.below(&inner.root), target).map_err(|error| StorageError::at(from, error))?;
    if inner.durability == Durability::Full {
        sync_names(inner, to).and_then(|()| sync_names(inner, from)).map_err(|error| StorageError::io(to.as_str(), error))?;
    }
    Ok(())
}

/// Renames the file to its place; a file that is there already is replaced by its equal.
fn place(inner: &Inner, file: Spooled, to: &ArtifactPath) -> Result<()> {
    let target = to.below(&inner.root);
    let mut moved = fs::rename(file.path(), &target);
    if matches!(&moved, Err(error) if error.kind() == io::ErrorKind::NotFound) {
        // Mostly it is the directory that is missing. If it is the file, the second rename says so.
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| StorageError::io(to.as_str(), error))?;
        }
        moved = fs::rename(file.path(), &target);
    }
    match moved {
        Ok(()) => {
            file.moved();
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(inner, &file, to, &target),
        Err(error) => Err(spooled_lost(to, error)),
    }
}

/// Copies the file within reach of a rename, and renames the copy.
fn copy(inner: &Inner, file: &Spooled, to: &ArtifactPath, target: &Path) -> Result<()> {
    let failed = |error| StorageError::io(to.as_str(), error);
    let mut from = File::open(file.path()).map_err(|error| spooled_lost(to, error))?;
    let (temp, mut copy) = inner.incoming.blocking_file().map_err(failed)?;
    let copied = io::copy(&mut from, &mut copy).map_err(failed)?;
    if copied != file.size() {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    if inner.durability != Durability::None {
        copy.sync_data().map_err(failed)?;
    }
    fs::rename(temp.path(), target).map_err(failed)?;
    temp.moved();
    Ok(())
}

fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_data()
}

/// Sees to it that the name of the file is on the disk, and the names of its directories.
fn sync_names(inner: &Inner, to: &ArtifactPath) -> io::Result<()> {
    let target = to.below(&inner.root);
    let Some(parent) = target.parent() else {
        return Ok(());
    };
    File::open(parent)?.sync_all()?;
    for dir in parent.ancestors().take_while(|dir| *dir != inner.root) {
        if inner.durable.lock().is_ok_and(|known| known.contains(dir)) {
            break;
        }
        if let Some(above) = dir.parent() {
            File::open(above)?.sync_all()?;
        }
        if let Ok(mut known) = inner.durable.lock() {
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(dir.to_owned());
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn sync_all(root: &Path, spooled: &[&Path]) -> io::Result<()> {
    // A spool on another file system is not reached by this; its files are copied, and each copy is synced.
    let _ = spooled;
    Ok(rustix::fs::syncfs(File::open(root)?)?)
}

#[cfg(target_os = "linux")]
fn sync_all_names(inner: &Inner, placed: &[ArtifactPath]) -> io::Result<()> {
    let _ = placed;
    Ok(rustix::fs::syncfs(File::open(&inner.root)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all(root: &Path, spooled: &[&Path]) -> io::Result<()> {
    let _ = root;
    spooled.iter().try_for_each(|path| sync_file(path))
}

#[cfg(not(target_os = "linux"))]
fn sync_all_names(inner: &Inner, placed: &[ArtifactPath]) -> io::Result<()> {
    placed.iter().try_for_each(|to| sync_names(inner, to))
}

/// A spooled file that is not there is no missing artifact.
fn spooled_lost(to: &ArtifactPath, error: io::Error) -> StorageError {
    if error.kind() == io::ErrorKind::NotFound {
        StorageError::Backend {
            what: to.to_string(),
            reason: "its spooled file is gone: is the spool directory cleaned by somebody else?".to_owned(),
            source: error.into(),
        }
    } else {
        StorageError::io(to.as_str(), error)
    }
}
