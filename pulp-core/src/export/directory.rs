//! Directories held by handles: what is written into one stays below it, whoever swaps links meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

use crate::Error;

/// An open directory. All calls block.
#[derive(Debug)]
pub(super) struct Directory {
    handle: OwnedFd,
    path: PathBuf,
}

const FOLLOW_NOTHING: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

impl Directory {
    /// Opens a directory by a path without links; what is missing is made.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::openat(CWD, "/", FOLLOW_NOTHING, Mode::empty())?;
        let mut at = Self { handle: root, path: PathBuf::from("/") };
        for part in path.components() {
            match part {
                Component::RootDir => {}
                Component::Normal(name) => at = at.enter(name)?,
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        Ok(at)
    }

    /// Opens a directory in this one, made if it is missing.
    pub(super) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let open = || rustix::fs::openat(&self.handle, name, FOLLOW_NOTHING, Mode::empty());
        let handle = match open() {
            Err(rustix::io::Errno::NOENT) => {
                match rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                open()?
            }
            other => other?,
        };
        Ok(Self { handle, path: self.path.join(name) })
    }

    /// Makes a directory in this one, which must not be there.
    pub(super) fn make_new(&self, name: &OsStr) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(0o777))?;
        self.enter(name)
    }

    /// Where it was found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a file, which must not be there.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o666))?))
    }

    /// Gives a file another name, in this directory.
    pub(super) fn link(&self, file: &Path, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, file, &self.handle, name, AtFlags::empty())?)
    }

    /// Makes a symbolic link to a file.
    pub(super) fn symlink(&self, file: &Path, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(file, &self.handle, name)?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// Whether there is something of this name.
    pub(super) fn has(&self, name: &OsStr) -> bool {
        rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Gives something in this directory another name, which must be free.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let moved = rustix::fs::renameat_with(self.handle.as_fd(), from, self.handle.as_fd(), to, RenameFlags::NOREPLACE);
        match moved {
            // Not all file systems can tell by themselves whether the name is free.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !self.has(to) => {
                Ok(rustix::fs::renameat(&self.handle, from, &self.handle, to)?)
            }
            other => Ok(other?),
        }
    }
}

/// What the system refused, in the words of Pulp’s tasks; the path is the one that the client gave.
pub(crate) fn refused(path: &str, error: &io::Error) -> Error {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let words = text.split(" (os error").next().unwrap_or(&text);
            Error::BadRequest(format!("[Errno {number}] {words}: '{path}'"))
        }
        None => Error::BadRequest(format!("{text}: '{path}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        std::os::unix::fs::symlink(outside.join("new"), inside.join("file")).unwrap();
        let real = inside.canonicalize().unwrap();
        let directory = Directory::make(&real).unwrap();
        assert!(directory.enter(OsStr::new("link")).is_err());
        assert!(Directory::make(&real.join("link/x")).is_err());
        assert!(directory.create(OsStr::new("file")).is_err());
        assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
        directory.enter(OsStr::new("made")).unwrap().create(OsStr::new("file")).unwrap();
        assert!(inside.join("made/file").exists());
        assert!(directory.make_new(OsStr::new("made")).is_err());
        directory.create(OsStr::new("one")).unwrap();
        assert!(directory.rename(OsStr::new("one"), OsStr::new("made")).is_err());
        directory.rename(OsStr::new("one"), OsStr::new("two")).unwrap();
        assert!(inside.join("two").exists());
    }
}
