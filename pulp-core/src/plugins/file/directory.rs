//! A local directory without a manifest, taken in as it is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use url::Url;

use super::content::declared;
use super::manifest::{Entry, Fault, check_path};
use crate::prelude::*;

/// Directories within directories that are followed: each costs an open file.
const MAX_DEPTH: usize = 200;

/// Names that the thread that walks may be ahead of those that read.
const AHEAD: usize = 256;

/// Files that are read at the same time: reading is bound by processors here, not by waiting.
const READERS: usize = 4;

/// Makes a version of what the directory of a `file://` remote holds. See [`Repo::sync_directory`](super::Repo::sync_directory).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDirectory {
    /// The repository.
    pub repository: Prn,
    /// The remote.
    pub remote: Prn,
    /// Whether what the directory no longer has is removed.
    #[serde(default)]
    pub mirror: bool,
}

#[async_trait]
impl Task for IndexDirectory {
    const NAME: &'static str = "pulp_file.app.tasks.indexing.index_directory";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.repository).shared(&self.remote)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let db = cx.pulp().db();
        let repository = Repository::find(db, self.repository.id).await?;
        let remote = Remote::find(db, self.remote.id).await?;
        let sync = SyncContext::new(cx.clone(), remote)?.metered(repository.pulp_id);
        let url = sync.url()?;
        let (allowed, data) = (cx.pulp().settings().allowed_import_paths.clone(), cx.pulp().data_dir().to_owned());
        let tree = tokio::task::spawn_blocking(move || Tree::open(&url, &allowed, &data));
        let tree = tree.await.map_err(|error| Error::Internal(error.to_string()))??;
        synchronize(&sync, &repository, Box::new(tree), SyncOptions::default().mirror(self.mirror)).await?;
        Ok(().into())
    }
}

/// A directory that may be read.
#[derive(Debug, Clone)]
struct Tree {
    /// Links resolved.
    root: PathBuf,
    /// Where this Pulp keeps its own files.
    without: Option<PathBuf>,
}

/// What walking finds.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A file that can be published.
    File { relative_path: String, size: u64 },
    /// Neither file nor directory of the tree: its path.
    Skipped(PathBuf),
}

/// Why a directory cannot be taken in. Paths are relative to it.
#[derive(Debug, thiserror::Error)]
enum DirectoryError {
    #[error("\"{}\": its name is not UTF-8, so that it cannot be published: rename it", .0.display())]
    NotUtf8(PathBuf),
    #[error("{path:?} {fault}, so that it cannot be published: rename it")]
    Name { path: String, fault: Fault },
    #[error("{0:?} lies more than {MAX_DEPTH} directories deep")]
    Depth(String),
    #[error("{path:?} cannot be read: {source}")]
    Read { path: String, source: io::Error },
}

impl Tree {
    /// The directory at a `file://` address.
    fn open(url: &Url, allowed: &[PathBuf], data: &Path) -> Result<Self> {
        let named = url.to_file_path().map_err(|()| Error::field("url", "The remote's url is not a file:// URL of a directory."))?;
        let root = named.canonicalize().map_err(|_| DownloadError::NotFound { url: RedactedUrl::new(url) });
        let is_allowed = |path: &Path| allowed.iter().filter_map(|root| root.canonicalize().ok()).any(|root| path.starts_with(root));
        match root {
            Ok(root) if !is_allowed(&root) => Err(DownloadError::NotAllowed { url: RedactedUrl::new(url) }.into()),
            Ok(root) if !root.is_dir() => Err(Error::BadRequest(format!("{}: this is no directory.", redact_url(url)))),
            Ok(root) => Ok(Self { root, without: data.canonicalize().ok() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Walks through all of it, until `each` says that nobody listens any more.
    fn walk(&self, mut each: impl FnMut(Found) -> bool) -> Result<(), DirectoryError> {
        let unreadable = |path: &str| {
            let path = path.to_owned();
            |source| DirectoryError::Read { path, source }
        };
        let mut open = vec![(fs::read_dir(&self.root).map_err(unreadable("."))?, String::new())];
        while let Some((entries, above)) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            let entry = entry.map_err(unreadable(above))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { return Err(DirectoryError::NotUtf8(Path::new(above).join(name))) };
            let relative = format!("{above}{name}");
            check_path(&relative).map_err(|fault| DirectoryError::Name { path: relative.clone(), fault })?;
            let path = entry.path();
            if self.is_own(&path) {
                continue;
            }
            let kind = entry.file_type().map_err(unreadable(&relative))?;
            let found = if kind.is_dir() {
                if open.len() >= MAX_DEPTH {
                    return Err(DirectoryError::Depth(relative));
                }
                let inner = fs::read_dir(&path).map_err(unreadable(&relative))?;
                open.push((inner, relative + "/"));
                continue;
            } else if kind.is_file() || (kind.is_symlink() && self.leads_to_a_file(&path)) {
                match fs::metadata(&path) {
                    Ok(file) => Found::File { relative_path: relative, size: file.len() },
                    // Gone since it was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(source) => return Err(DirectoryError::Read { path: relative, source }),
                }
            } else {
                Found::Skipped(relative.into())
            };
            if !each(found) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_own(&self, path: &Path) -> bool {
        self.without.as_deref().is_some_and(|own| path.starts_with(own))
    }

    /// Whether a link ends at a file of this tree. Links to directories are not followed: they may lead around in circles.
    fn leads_to_a_file(&self, link: &Path) -> bool {
        link.canonicalize().is_ok_and(|end| end.starts_with(&self.root) && !self.is_own(&end) && end.is_file())
    }

    /// The entry that a manifest would have for this file; none if it is gone.
    async fn read(self, relative_path: String) -> Result<Option<Entry>> {
        let path = self.root.join(&relative_path);
        let unreadable = |source| Error::from(DirectoryError::Read { path: relative_path.clone(), source });
        let file = match tokio::task::spawn_blocking(move || File::open(path)).await.map_err(io::Error::other).flatten() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let (digests, size) = hash_file(&[Algorithm::Sha256], file).await.map_err(unreadable)?;
        let sha256 = digests.sha256().ok_or_else(|| Error::Internal("a sha256 was not computed".to_owned()))?;
        Ok(Some(Entry { relative_path, sha256, size }))
    }

    fn url(&self, relative_path: &str) -> Result<Url> {
        // The root is absolute: links are resolved.
        Url::from_file_path(self.root.join(relative_path)).map_err(|()| Error::Internal("a path is not absolute".to_owned()))
    }
}

impl From<DirectoryError> for Error {
    fn from(error: DirectoryError) -> Self {
        Error::BadRequest(format!("{error}."))
    }
}

#[async_trait]
impl FirstStage for Tree {
    async fn run(self: Box<Self>, out: Sink, cx: &SyncContext) -> Result<()> {
        let report = cx.task().progress("Indexing Files", "sync.indexing.files");
        let ended = |error: tokio::task::JoinError| Error::Internal(format!("the thread that walks the directory ended: {error}"));
        if let Some(meter) = cx.meter() {
            let tree = self.clone();
            let (files, bytes) = tokio::task::spawn_blocking(move || tree.sum()).await.map_err(ended)??;
            meter.announce(files, bytes);
        }
        let (sender, mut found) = mpsc::channel(AHEAD);
        let tree = self.clone();
        let walking = tokio::task::spawn_blocking(move || tree.walk(|found| sender.blocking_send(found).is_ok()));
        let mut read = stream::poll_fn(move |task| found.poll_recv(task))
            .map(|found| {
                let tree = Tree::clone(&self);
                async move {
                    match found {
                        Found::File { relative_path, .. } => tree.read(relative_path).await,
                        Found::Skipped(path) => {
                            tracing::warn!(path = %path.display(), "passed over: neither a file nor a directory of the tree");
                            if let Some(meter) = cx.meter() {
                                meter.skip();
                            }
                            Ok(None)
                        }
                    }
                }
            })
            .buffer_unordered(READERS);
        while let Some(entry) = read.next().await {
            let Some(entry) = entry? else { continue };
            let source = FileSource::Url(self.url(&entry.relative_path)?);
            out.send(declared(entry, source)).await?;
            report.increment();
        }
        walking.await.map_err(ended)??;
        report.finish();
        Ok(())
    }
}

impl Tree {
    /// Files and bytes in it.
    fn sum(&self) -> Result<(u64, u64), DirectoryError> {
        let mut sum = (0, 0_u64);
        self.walk(|found| {
            if let Found::File { size, .. } = found {
                sum = (sum.0 + 1, sum.1.saturating_add(size));
            }
            true
        })?;
        Ok(sum)
    }
}
