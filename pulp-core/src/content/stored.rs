//! Reading stored files: small ones are kept in memory, larger ones are read ahead by one block on blocking threads, or left to the front
//! end, with the file kept open for the next request.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;
use quick_cache::Weighter;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{ServeError, ServedFile};
use crate::body::{Body, FilePart, OpenFile};
use crate::storage::{Storage, StorageError};

/// Files up to this size are kept in memory.
const SMALL: u64 = 64 << 10;
/// A front end that sends files itself gets those that are larger than this as files.
const SENT: u64 = 16 << 10;
/// Files that are kept open, and for how long: what was removed behind our back must not hold its room on the disk for ever.
const OPEN: u64 = 512;
const KEPT_OPEN: Duration = Duration::from_secs(60);
/// Bytes of the small files that are kept.
const KEPT: u64 = 64 << 20;
/// So many small files are expected; there may be more.
const FEW: usize = 4_096;
/// How much is read at a time. A response holds two blocks at most: one on its way to the client, and the next.
const BLOCK: u64 = 256 << 10;

/// Small files, and open ones, by the key of their artifact: artifacts never change.
#[derive(Debug)]
pub(super) struct SmallFiles {
    bytes: quick_cache::sync::Cache<Uuid, Bytes, Weight>,
    open: Cache<Uuid, Arc<OpenFile>>,
}

/// The bytes of a file, and what its entry costs beside them.
#[derive(Debug, Clone, Copy)]
struct Weight;

impl Weighter<Uuid, Bytes> for Weight {
    fn weight(&self, _: &Uuid, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + 128
    }
}

impl Default for SmallFiles {
    fn default() -> Self {
        Self {
            bytes: quick_cache::sync::Cache::with_weighter(FEW, KEPT, Weight),
            open: Cache::builder().max_capacity(OPEN).time_to_live(KEPT_OPEN).build(),
        }
    }
}

impl SmallFiles {
    /// Forgets all of them: some may have been replaced.
    pub(super) fn clear(&self) {
        self.bytes.clear();
        self.open.invalidate_all();
    }

    /// The bytes of a stored file, if they are in memory, and few enough to be sent from there.
    pub(super) fn at_hand(&self, file: &ServedFile) -> Option<Bytes> {
        self.bytes.get(&file.artifact).filter(|_| file.size <= SENT)
    }

    /// The bytes of a stored file, or of a part of it; with `as_file`, as a part of the open file where that is worth it.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when it is not there any more, and [`ServeError::Internal`] when it is not as the database says:
    /// a file that was damaged is not served.
    pub(super) async fn read(
        &self,
        storage: &Arc<dyn Storage>,
        file: &ServedFile,
        range: Option<Range<u64>>,
        as_file: bool,
    ) -> Result<Body, ServeError> {
        if as_file
            && file.size > SENT
            && let Some(open) = self.open(storage, file).await?
        {
            return Ok(Body::file(FilePart::new(open, range.unwrap_or(0..file.size))));
        }
        if file.size <= SMALL {
            let bytes = match self.bytes.get(&file.artifact) {
                Some(bytes) => bytes,
                None => {
                    let bytes = Box::pin(whole(storage, file)).await?;
                    self.bytes.insert(file.artifact, bytes.clone());
                    bytes
                }
            };
            return Ok(match range {
                None => bytes.into(),
                Some(range) => slice(&bytes, &range).into(),
            });
        }
        let range = range.unwrap_or(0..file.size);
        match storage.local_file(&file.path) {
            Some(path) => Box::pin(local(path, file, range)).await,
            None => Ok(Body::stream(storage.open(&file.path, Some(range)).await?)),
        }
    }

    /// A file on this host, which was there and whole a moment ago.
    async fn open(&self, storage: &Arc<dyn Storage>, file: &ServedFile) -> Result<Option<Arc<OpenFile>>, ServeError> {
        if let Some(open) = self.open.get(&file.artifact)
            && open.file().metadata().is_ok_and(|now| now.nlink() > 0 && now.len() == file.size)
        {
            return Ok(Some(open));
        }
        let Some(path) = storage.local_file(&file.path) else { return Ok(None) };
        let (opened, size) = blocking(|| sized(path)).await.map_err(|error| missing(file.path.clone(), error))?;
        if size != file.size {
            return Err(damaged(file));
        }
        let open = Arc::new(OpenFile::new(opened, Some(size)));
        self.open.insert(file.artifact, Arc::clone(&open));
        Ok(Some(open))
    }
}

fn sized(path: PathBuf) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// A part of what is in memory; its bounds were checked against the size.
pub(super) fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
}

async fn whole(storage: &Arc<dyn Storage>, file: &ServedFile) -> Result<Bytes, ServeError> {
    let bytes: Bytes = match storage.local_file(&file.path) {
        Some(path) => {
            let (at, limit) = (file.path.clone(), file.size);
            let read = move || {
                let file = File::open(path)?;
                if file.metadata()?.len() > limit {
                    return Ok(None);
                }
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut &file, &mut bytes)?;
                Ok(Some(Bytes::from(bytes)))
            };
            blocking(read).await.map_err(|error| missing(at, error))?.ok_or_else(|| damaged(file))?
        }
        None => {
            let mut all = BytesMut::new();
            let mut chunks = storage.open(&file.path, None).await?;
            while let Some(chunk) = chunks.try_next().await? {
                if all.len() + chunk.len() > usize::try_from(file.size).unwrap_or(usize::MAX) {
                    return Err(damaged(file));
                }
                all.extend_from_slice(&chunk);
            }
            all.freeze()
        }
    };
    if bytes.len() as u64 == file.size { Ok(bytes) } else { Err(damaged(file)) }
}

/// A file on this host: the next block is read while the client takes the last.
async fn local(path: PathBuf, file: &ServedFile, range: Range<u64>) -> Result<Body, ServeError> {
    let (open, size) = blocking(|| sized(path)).await.map_err(|error| missing(file.path.clone(), error))?;
    if size != file.size {
        return Err(damaged(file));
    }
    let open = Arc::new(open);
    let first = ahead(&open, &range);
    let blocks = stream::try_unfold((open, first, range), |(file, block, range)| async move {
        let Some(block) = block else {
            return Ok::<_, io::Error>(None);
        };
        let bytes = block.await.map_err(io::Error::other)??;
        let rest = range.start + bytes.len() as u64..range.end;
        let next = ahead(&file, &rest);
        Ok(Some((bytes, (file, next, rest))))
    });
    Ok(Body::stream(blocks.boxed()))
}

/// Begins to read the next block.
fn ahead(file: &Arc<File>, rest: &Range<u64>) -> Option<JoinHandle<io::Result<Bytes>>> {
    if rest.is_empty() {
        return None;
    }
    let (file, start, len) = (Arc::clone(file), rest.start, (rest.end - rest.start).min(BLOCK));
    Some(tokio::task::spawn_blocking(move || {
        let mut block = BytesMut::zeroed(usize::try_from(len).unwrap_or(0));
        file.read_exact_at(&mut block, start)?;
        Ok(block.freeze())
    }))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn missing(path: crate::storage::ArtifactPath, error: io::Error) -> ServeError {
    match error.kind() {
        io::ErrorKind::NotFound => ServeError::Storage(StorageError::NotFound { path }),
        _ => ServeError::Internal(format!("{path} cannot be read: {error}")),
    }
}

fn damaged(file: &ServedFile) -> ServeError {
    ServeError::Internal(format!("{} is not of the recorded size of {} bytes: it is damaged", file.path, file.size))
}
