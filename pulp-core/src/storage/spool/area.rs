//! The directory of one spool, and the files in it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    super::{Result, StorageError, io::Crew},
    SpoolOptions,
    partial::{PartialKey, Partials},
};
use crate::digest::Algorithm;

/// Held while areas are made and swept, so that nobody sweeps an area that is not locked yet.
const GATE: &str = "lock";
/// Held, within an area, as long as its spool lives.
const HELD: &str = "held";
const PREFIX: &str = "area-";
/// Into how many directories the files of an area are spread: whoever makes a file and whoever moves one away lock its directory.
const DIRECTORIES: u64 = 16;

#[derive(Debug)]
pub(in super::super) struct Area {
    dir: PathBuf,
    // Released by the system however the process ends.
    _held: File,
    next: AtomicU64,
    quota: Option<u64>,
    used: AtomicU64,
    algorithms: Vec<Algorithm>,
    hashing: Arc<Semaphore>,
    writers: Crew,
    partials: Partials,
}

impl Area {
    pub(super) fn open(parent: &Path, options: SpoolOptions) -> Result<Self> {
        let failed = |error| StorageError::io("the spool directory", error);
        // What lies here is not verified yet: nobody else has to read it.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        let gate = lock_file(&parent.join(GATE)).map_err(failed)?;
        gate.lock().map_err(failed)?;
        let dir = parent.join(format!("{PREFIX}{}", Uuid::now_v7().simple()));
        fs::create_dir(&dir).map_err(failed)?;
        let held = lock_file(&dir.join(HELD)).map_err(failed)?;
        held.lock().map_err(failed)?;
        let partials = Partials::new(parent, options.partial);
        sweep(parent, &partials).map_err(failed)?;
        Ok(Self {
            dir,
            _held: held,
            next: AtomicU64::new(0),
            quota: options.quota,
            used: AtomicU64::new(0),
            algorithms: options.algorithms,
            hashing: Arc::new(Semaphore::new(options.hashing.max(1))),
            writers: Crew::new(options.hashing),
            partials,
        })
    }

    /// Removes what processes that are gone have left in the same directory; how many areas. Blocking.
    pub(super) fn sweep_others(&self) -> Result<usize> {
        let failed = |error| StorageError::io("the spool directory", error);
        let parent = self.dir.parent().unwrap_or(&self.dir);
        let gate = lock_file(&parent.join(GATE)).map_err(failed)?;
        gate.lock().map_err(failed)?;
        sweep(parent, &self.partials).map_err(failed)
    }

    /// Makes an empty file; with a key, one whose beginning is worth keeping. Blocking.
    pub(super) fn create(area: &Arc<Self>, key: Option<&PartialKey>) -> io::Result<(TempFile, File)> {
        let temp = Self::place(area, key);
        let file = match create_new(&temp.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The first file in this directory.
                create_directory(&area.directory(temp.number))?;
                create_new(&temp.path)
            }
            other => other,
        };
        match file {
            Ok(file) => Ok((temp, file)),
            Err(error) => {
                // There is nothing to remove.
                temp.moved();
                Err(error)
            }
        }
    }

    /// Whether there is something of a file to take up.
    pub(super) fn has_left(&self, key: &PartialKey) -> bool {
        self.partials.have(key)
    }

    /// Takes up what there is of a file of which no more than `limit` bytes are wanted: the file, to be written from its end on, and how
    /// much there is. Blocking.
    pub(super) fn resume(area: &Arc<Self>, key: &PartialKey, limit: u64) -> io::Result<Option<(TempFile, File, u64)>> {
        let temp = Self::place(area, Some(key));
        create_directory(&area.directory(temp.number))?;
        let Some(size) = area.partials.take(key, &temp.path, limit)? else {
            temp.moved();
            return Ok(None);
        };
        let mut file = OpenOptions::new().read(true).write(true).open(&temp.path)?;
        file.seek(SeekFrom::Start(size))?;
        temp.keep(true);
        Ok(Some((temp, file, size)))
    }

    /// Sees to it that there is room for so many bytes, as far as it can. Blocking.
    pub(super) fn make_room(&self, file: &File, bytes: u64) -> io::Result<()> {
        let is_room = || {
            let system = rustix::fs::fstatvfs(file)?;
            io::Result::Ok(system.f_bavail.saturating_mul(system.f_frsize) >= bytes)
        };
        if bytes == 0 || is_room()? {
            return Ok(());
        }
        self.forget_partials();
        if is_room()? { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    /// Removes all beginnings. Blocking.
    pub(super) fn forget_partials(&self) {
        if let Err(error) = self.partials.tidy(0) {
            tracing::warn!(%error, "the beginnings of files that did not come in whole could not be removed");
        }
    }

    /// A place for a file, which is not there yet.
    fn place(area: &Arc<Self>, key: Option<&PartialKey>) -> TempFile {
        let number = area.next.fetch_add(1, Ordering::Relaxed);
        let key = key.filter(|_| area.partials.are_kept());
        // With its key in its name, so that it can be told what it was if this process is killed.
        let name = key.map_or_else(|| number.to_string(), |key| format!("{number}.{key}"));
        TempFile {
            path: area.directory(number).join(name),
            number,
            key: key.cloned(),
            leaves: AtomicBool::new(true),
            kept: AtomicBool::new(false),
            area: Arc::clone(area),
        }
    }

    fn directory(&self, number: u64) -> PathBuf {
        self.dir.join((number % DIRECTORIES).to_string())
    }

    pub(super) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    pub(super) fn hashing(&self) -> &Arc<Semaphore> {
        &self.hashing
    }

    /// Who hashes and writes small files.
    pub(super) fn writers(&self) -> &Crew {
        &self.writers
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        let quota = self.quota.unwrap_or(u64::MAX);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(bytes).filter(|used| *used <= quota))
            .map(drop)
            .map_err(|_| StorageError::Quota { quota })
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // Every file holds the area, so there are none left. Directories that were never needed are not there.
        for number in 0..DIRECTORIES {
            let _ = fs::remove_dir(self.directory(number));
        }
        let removed = fs::remove_file(self.dir.join(HELD)).and_then(|()| fs::remove_dir(&self.dir));
        if let Err(error) = removed {
            tracing::debug!(%error, "a spool area stays until the next start");
        }
    }
}

/// Makes a directory that others may be making just now.
fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path).or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

/// Removes the areas that nobody holds, but for beginnings that are worth keeping; how many areas.
fn sweep(parent: &Path, partials: &Partials) -> io::Result<usize> {
    partials.tidy_up()?;
    let mut removed = 0;
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        if !entry.file_type()?.is_dir() || !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let dir = entry.path();
        match File::open(dir.join(HELD)) {
            Ok(held) => match held.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            },
            // Its process was killed before it could lock, or while it was leaving.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if partials.are_kept() {
            keep_partials(&dir, partials)?;
        }
        match fs::remove_dir_all(&dir) {
            Ok(()) => {
                removed += 1;
                tracing::info!(area = ?name, "removed spool files of a process that is gone");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// Saves the beginnings in an area that nobody holds.
fn keep_partials(area: &Path, partials: &Partials) -> io::Result<()> {
    for directory in fs::read_dir(area)? {
        let directory = directory?;
        if !directory.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(directory.path())? {
            let file = file?;
            if let Some(key) = file.file_name().to_str().and_then(PartialKey::of_file) {
                partials.keep(&file.path(), &key)?;
            }
        }
    }
    Ok(())
}

/// A file of the spool, removed on drop unless it was moved away, or is the beginning of one that somebody may go on with.
#[derive(Debug)]
pub(in super::super) struct TempFile {
    path: PathBuf,
    number: u64,
    key: Option<PartialKey>,
    leaves: AtomicBool,
    kept: AtomicBool,
    // Last, so that the area outlives the removal.
    area: Arc<Area>,
}

impl TempFile {
    pub(in super::super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file has moved away: nothing is left to remove.
    pub(in super::super) fn moved(&self) {
        self.leaves.store(false, Ordering::Relaxed);
    }

    /// Whether what is in the file now is to be kept, if it has a key.
    pub(super) fn keep(&self, keep: bool) {
        self.kept.store(keep, Ordering::Relaxed);
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.leaves.load(Ordering::Relaxed) {
            return;
        }
        let gone = match &self.key {
            Some(key) if self.kept.load(Ordering::Relaxed) => self.area.partials.keep(&self.path, key),
            _ => fs::remove_file(&self.path),
        };
        if let Err(error) = gone {
            tracing::warn!(%error, area = ?self.area.dir.file_name(), "a spool file could not be removed");
        }
    }
}

/// Bytes taken from the quota of an area, given back on drop.
#[derive(Debug)]
pub(super) struct Reserved {
    bytes: AtomicU64,
    area: Arc<Area>,
}

impl Reserved {
    pub(super) fn nothing(area: Arc<Area>) -> Self {
        Self { bytes: AtomicU64::new(0), area }
    }

    /// Sees to it that `total` bytes are reserved. Only the one writer of the file calls it.
    pub(super) fn up_to(&self, total: u64) -> Result<()> {
        let more = total.saturating_sub(self.bytes.load(Ordering::Relaxed));
        if more > 0 {
            self.area.reserve(more)?;
            self.bytes.fetch_add(more, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn give_back(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.area.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.give_back();
    }
}
