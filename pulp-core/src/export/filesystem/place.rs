//! The directory that is filled.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::super::directory::{Directory, refused};
use super::Method;
use crate::storage::ArtifactPath;
use crate::{Error, Pulp, Result};

/// A directory that is being filled, beside its place. Dropped before its end, it is removed.
#[derive(Debug)]
pub(super) struct Staging {
    /// As the client named it.
    shown: String,
    parent: Arc<Directory>,
    name: OsString,
    own: OsString,
    directory: Arc<Directory>,
    done: bool,
}

impl Staging {
    /// Begins a directory at an allowed path, which must be free.
    pub(super) async fn begin(shown: &str, resolved: PathBuf, task: Uuid) -> Result<Self> {
        let shown = shown.to_owned();
        blocking(move || {
            let failed = |error: &io::Error| refused(&shown, error);
            let (Some(above), Some(name)) = (resolved.parent(), resolved.file_name()) else {
                return Err(failed(&io::Error::from_raw_os_error(rustix::io::Errno::EXIST.raw_os_error())));
            };
            let parent = Directory::make(above).map_err(|error| failed(&error))?;
            if parent.has(name) {
                return Err(failed(&io::Error::from_raw_os_error(rustix::io::Errno::EXIST.raw_os_error())));
            }
            let own = OsString::from(format!(".pulp-export-{task}"));
            let directory = parent.make_new(&own).map_err(|error| failed(&error))?;
            let name = name.to_owned();
            Ok(Self { shown, parent: Arc::new(parent), name, own, directory: Arc::new(directory), done: false })
        })
        .await
    }

    /// Where files are put.
    pub(super) fn place(&self, pulp: &Pulp, method: Method) -> Place {
        Place { pulp: pulp.clone(), shown: self.shown.clone(), directory: Arc::clone(&self.directory), method }
    }

    /// Gives it its name.
    pub(super) async fn finish(mut self) -> Result<()> {
        let (parent, own, name, shown) = (Arc::clone(&self.parent), self.own.clone(), self.name.clone(), self.shown.clone());
        blocking(move || parent.rename(&own, &name).map_err(|error| refused(&shown, &error))).await?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let path = self.parent.path().join(&self.own);
        std::thread::spawn(move || {
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "what a failed export has written stays");
            }
        });
    }
}

/// Where a file comes from.
#[derive(Debug)]
pub(super) enum From {
    /// The storage.
    Storage(ArtifactPath),
    /// A file that was fetched for this export.
    Fetched(crate::storage::Spooled),
}

/// Puts files into a directory that is being filled.
#[derive(Debug)]
pub(super) struct Place {
    pulp: Pulp,
    shown: String,
    directory: Arc<Directory>,
    method: Method,
}

impl Place {
    /// How files come to their places.
    pub(super) fn method(&self) -> Method {
        self.method
    }

    /// Puts files under their paths. Of several with one path the first stays.
    pub(super) async fn put(&self, files: Vec<(String, From)>) -> Result<()> {
        let mut local: Vec<(String, PathBuf)> = Vec::with_capacity(files.len());
        let mut fetched = Vec::new();
        for (path, from) in files {
            check_relative(&path)?;
            match from {
                From::Storage(at) => match self.pulp.storage().local_file(&at) {
                    Some(file) => local.push((path, file)),
                    None => self.stream(&path, &at).await?,
                },
                From::Fetched(spooled) => {
                    local.push((path, spooled.path().to_owned()));
                    fetched.push(spooled);
                }
            }
        }
        let (directory, method, shown) = (Arc::clone(&self.directory), self.method, self.shown.clone());
        blocking(move || {
            for (path, file) in &local {
                one(&directory, method, path, file).map_err(|error| refused(&format!("{}/{path}", shown.trim_end_matches('/')), &error))?;
            }
            drop(fetched);
            Ok(())
        })
        .await
    }

    /// Copies a file out of a storage that has no files of this host.
    async fn stream(&self, path: &str, at: &ArtifactPath) -> Result<()> {
        if self.method != Method::Write {
            return Err(Error::BadRequest(
                "Links need artifacts that lie on this host's file system: use an exporter with the method 'write'.".to_owned(),
            ));
        }
        let (directory, relative) = (Arc::clone(&self.directory), path.to_owned());
        let shown = format!("{}/{path}", self.shown.trim_end_matches('/'));
        let made = tokio::task::spawn_blocking(move || within(&directory, &relative, |directory, name| directory.create(name))).await;
        let file = match made.map_err(|error| Error::Internal(error.to_string()))? {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            other => other.map_err(|error| refused(&shown, &error))?,
        };
        let mut file = tokio::fs::File::from_std(file);
        let mut bytes = self.pulp.storage().open(at, None).await?;
        while let Some(chunk) = bytes.next().await {
            file.write_all(&chunk?).await.map_err(|error| refused(&shown, &error))?;
        }
        file.flush().await.map_err(|error| refused(&shown, &error))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))?
}

/// Paths come from metadata of upstreams: none may lead out of the directory.
fn check_relative(path: &str) -> Result<()> {
    if path.is_empty() || path.contains('\0') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::BadRequest(format!("the path \"{}\" of a file cannot be exported", path.escape_debug())));
    }
    Ok(())
}

fn one(directory: &Directory, method: Method, path: &str, file: &Path) -> io::Result<()> {
    let placed = within(directory, path, |directory, name| match method {
        Method::Write => io::copy(&mut std::fs::File::open(file)?, &mut directory.create(name)?).map(|_| ()),
        Method::Hardlink => directory.link(file, name),
        Method::Symlink => directory.symlink(file, name),
    });
    match placed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Does something in the directory that a path names, with the name that is left.
fn within<T>(directory: &Directory, path: &str, work: impl FnOnce(&Directory, &OsStr) -> io::Result<T>) -> io::Result<T> {
    let Some((above, name)) = path.rsplit_once('/') else { return work(directory, OsStr::new(path)) };
    let mut parts = above.split('/');
    let mut at = directory.enter(OsStr::new(parts.next().unwrap_or_default()))?;
    for part in parts {
        at = at.enter(OsStr::new(part))?;
    }
    work(&at, OsStr::new(name))
}
