//! Writing a spool file.

use std::{fs::File, io, mem, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot, watch},
    task::{JoinHandle, spawn_blocking},
};

use super::{
    super::{
        Result, StorageError,
        io::{BLOCK, PIECE, blocking, write_chunks},
    },
    area::{Area, Reserved, TempFile},
    partial::{PartialKey, WORTH},
    spooled::Spooled,
    tail::{SpoolTail, Watermark},
};
use crate::digest::{Algorithm, Digests, Hasher};

/// How far the digests may fall behind the writing before a thread is sent to catch up.
const HASH_STEP: u64 = 1024 * 1024;

const WHAT: &str = "a spooled file";

/// What is known or wanted of a file that is about to be written.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NewFile {
    /// Takes this many bytes from the spool's quota at once, when the first byte is written.
    pub reserve: Option<u64>,
    /// Refuses a file of more bytes.
    pub limit: Option<u64>,
    /// Digests besides those of the spool: those that were announced, say.
    pub algorithms: Vec<Algorithm>,
    /// Digests that are computed while it is written; the others follow when it is complete, so that who waits for these need not wait for
    /// those. None: all of them at once.
    pub first: Vec<Algorithm>,
    /// Leaves out the others: the file is not to be kept.
    pub first_only: bool,
    /// What it is, so that whoever begins the same file later can [go on](super::Spool::resume) where this one broke off.
    pub partial: Option<PartialKey>,
}

impl NewFile {
    /// A file whose size was announced: reserves that much, and refuses more.
    #[must_use]
    pub fn sized(size: u64) -> Self {
        Self { reserve: Some(size), limit: Some(size), ..Self::default() }
    }

    /// Sets [`limit`](Self::limit), in bytes.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Sets [`algorithms`](Self::algorithms).
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Sets [`first`](Self::first), and [`first_only`](Self::first_only).
    #[must_use]
    pub fn first(mut self, algorithms: Vec<Algorithm>, only: bool) -> Self {
        (self.first, self.first_only) = (algorithms, only);
        self
    }

    /// Sets [`partial`](Self::partial).
    #[must_use]
    pub fn partial(mut self, key: Option<PartialKey>) -> Self {
        self.partial = key;
        self
    }
}

/// A spool file that is being written. Dropping it removes it, unless it has a [key](NewFile::partial) and some MiB of it are there.
///
/// The first 256 KiB stay in memory, so that a small file costs one hop to a blocking thread, which hashes and writes it.
/// A larger one is written in blocks of that size: while one is on its way into the file, the next may be received. Who has written a block hashes
/// it, as long as the digests keep up and fewer files are hashed than may be; else another thread computes them from the file, behind the writer.
/// Neither a slow disk nor a slow digest makes memory grow.
#[derive(Debug)]
#[must_use = "a spool file is removed unless it is finished"]
pub struct SpoolFile {
    area: Arc<Area>,
    reserve: u64,
    limit: u64,
    reserved: Arc<Reserved>,
    // Received, and not in the file yet.
    pending: Vec<Bytes>,
    pending_len: usize,
    size: u64,
    disk: Option<Disk>,
    /// Bytes that are in the file.
    written: u64,
    writing: Writing,
    hashing: Hashing,
    shared: bool,
    partial: Option<PartialKey>,
    /// Digests that are computed once the file is complete.
    later: Vec<Algorithm>,
    /// The others, once it is.
    settled: Option<Digests>,
}

#[derive(Debug)]
struct Disk {
    temp: Arc<TempFile>,
    file: Arc<File>,
    watermark: watch::Sender<Watermark>,
}

impl Disk {
    fn new(temp: TempFile, file: File, flushed: u64) -> Self {
        let watermark = watch::Sender::new(Watermark { flushed, complete: false });
        Self { temp: Arc::new(temp), file: Arc::new(file), watermark }
    }
}

/// Where a block is on its way into the file.
#[derive(Debug)]
enum Writing {
    None,
    /// So many bytes, by a thread. The file is made with its first block, or [before](SpoolFile::prepare).
    Running(u64, oneshot::Receiver<Result<Option<(TempFile, File)>>>),
    /// A block did not get there.
    Failed,
}

#[derive(Debug)]
enum Hashing {
    Idle(Box<Hasher>),
    /// By the thread that writes a block.
    Along(JoinHandle<io::Result<Box<Hasher>>>),
    /// By one that reads the file.
    Behind(JoinHandle<io::Result<Box<Hasher>>>),
    /// A digest thread failed, or its result was lost with a dropped future.
    Lost,
}

impl SpoolFile {
    pub(super) fn new(area: Arc<Area>, options: NewFile) -> Self {
        let mut along = [area.algorithms(), &options.algorithms].concat();
        let mut later = Vec::new();
        if !options.first.is_empty() {
            later = along.into_iter().filter(|algorithm| !options.first_only && !options.first.contains(algorithm)).collect();
            along = options.first;
        }
        Self {
            reserve: options.reserve.unwrap_or(0),
            limit: options.limit.unwrap_or(u64::MAX),
            reserved: Arc::new(Reserved::nothing(Arc::clone(&area))),
            pending: Vec::new(),
            pending_len: 0,
            size: 0,
            disk: None,
            written: 0,
            writing: Writing::None,
            hashing: Hashing::Idle(Box::new(Hasher::new(&along))),
            shared: false,
            partial: options.partial,
            later,
            settled: None,
            area,
        }
    }

    /// With what an earlier one of the same key has left, if there is something.
    pub(super) async fn resumed(area: Arc<Area>, options: NewFile) -> Result<Self> {
        let mut new = Self::new(area, options);
        let Some(key) = new.partial.clone().filter(|_| !(1..WORTH).contains(&new.reserve)) else { return Ok(new) };
        let (area, limit) = (Arc::clone(&new.area), new.limit);
        if !area.has_left(&key) {
            return Ok(new);
        }
        let left = blocking(move || Area::resume(&area, &key, limit).map_err(failed)).await?;
        if let Some((temp, file, size)) = left {
            new.reserved.up_to(size.max(new.reserve))?;
            (new.size, new.written) = (size, size);
            new.disk = Some(Disk::new(temp, file, size));
        }
        Ok(new)
    }

    /// How many bytes it took so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many of them are in the file, where [tails](Self::share) see them.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether some are on their way into the file.
    pub fn is_writing(&self) -> bool {
        matches!(self.writing, Writing::Running(..))
    }

    /// Appends a chunk. Once this returns, the memory of at most 256 KiB is held, and of as much that is on its way into the file.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], [`StorageError::Quota`], [`StorageError::Full`], [`StorageError::Backend`], for this chunk or the one
    /// before. After an error, drop the file: [`StorageError::Interrupted`] is all that it says from then on. A call that is dropped before its
    /// end has taken the chunk all the same.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.write_all(vec![chunk]).await
    }

    /// Appends chunks, which are written in one go.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_all(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        if matches!(self.writing, Writing::Failed) || self.settled.is_some() {
            return Err(StorageError::Interrupted);
        }
        let len: usize = chunks.iter().map(Bytes::len).sum();
        if len == 0 {
            return Ok(());
        }
        let size = self.size.saturating_add(len as u64);
        if size > self.limit {
            return Err(StorageError::TooLarge { limit: self.limit });
        }
        self.reserved.up_to(size.max(self.reserve))?;
        self.size = size;
        self.pending_len += len;
        self.pending.extend(chunks);
        if self.shared || self.pending_len >= BLOCK {
            self.flush().await?;
        }
        Ok(())
    }

    /// Has the file made, and looked whether there is room for it, without waiting for that: where the first bytes are still to come, that
    /// time is not lost.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn prepare(&mut self) -> Result<()> {
        if self.disk.is_some() || !matches!(self.writing, Writing::None) {
            return Ok(());
        }
        self.reserved.up_to(self.reserve)?;
        self.flush().await
    }

    /// A reader that follows the writing. From now on every chunk is on its way into the file when [`write`](Self::write) returns.
    ///
    /// # Errors
    /// As `write`.
    pub async fn share(&mut self) -> Result<SpoolTail> {
        self.flush().await?;
        self.catch_up().await?;
        self.shared = true;
        match &self.disk {
            Some(disk) => Ok(SpoolTail {
                temp: Arc::clone(&disk.temp),
                file: Arc::clone(&disk.file),
                watermark: disk.watermark.subscribe(),
                _reserved: Arc::clone(&self.reserved),
            }),
            None => Err(StorageError::Interrupted),
        }
    }

    /// Completes the file: its [first](NewFile::first) digests. Nothing can be written to it any more; [`finish`](Self::finish) has all
    /// digests.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn settle(&mut self) -> Result<Digests> {
        if let Some(digests) = &self.settled {
            return Ok(digests.clone());
        }
        self.flush().await?;
        self.catch_up().await?;
        let (digests, _) = self.all_hashed().await?.finish();
        self.hashing = Hashing::Idle(Box::new(Hasher::new(&self.later)));
        self.settled = Some(digests.clone());
        Ok(digests)
    }

    /// Completes the file and its digests.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish(mut self) -> Result<Spooled> {
        if self.disk.is_none() && self.later.is_empty() && matches!(self.writing, Writing::None) {
            return self.finish_small().await;
        }
        let mut digests = self.settle().await?;
        if !self.later.is_empty() {
            digests.extend(&self.all_hashed().await?.finish().0);
        }
        let size = self.size;
        let Some(disk) = self.disk.take() else {
            return Err(StorageError::Interrupted);
        };
        disk.temp.keep(false);
        disk.watermark.send_modify(|mark| mark.complete = true);
        Ok(Spooled { temp: disk.temp, size, digests, reserved: self.reserved })
    }

    /// Removes it: what is in it is wrong.
    pub fn discard(self) {
        if let Some(disk) = &self.disk {
            disk.temp.keep(false);
        }
    }

    /// Hashes and writes what is in memory, in one go.
    async fn finish_small(self) -> Result<Spooled> {
        let Hashing::Idle(mut hasher) = self.hashing else {
            return Err(StorageError::Interrupted);
        };
        let (area, chunks, reserved) = (self.area, self.pending, self.reserved);
        let writers = area.writers().clone();
        let work = move || {
            let (temp, file) = Area::create(&area, None).map_err(failed)?;
            for chunk in &chunks {
                hasher.update(chunk);
            }
            write_chunks(&file, &chunks, BLOCK).map_err(failed)?;
            let (digests, size) = hasher.finish();
            Ok(Spooled { temp: Arc::new(temp), size, digests, reserved })
        };
        writers.run(work).await
    }

    /// Sends what is pending on its way into the file, after what was sent before has got there.
    async fn flush(&mut self) -> Result<()> {
        self.catch_up().await?;
        if self.pending.is_empty() && self.disk.is_some() {
            return Ok(());
        }
        self.hashed_along().await?;
        let chunks = mem::take(&mut self.pending);
        let len = mem::take(&mut self.pending_len) as u64;
        let area = Arc::clone(&self.area);
        let disk = self.disk.as_ref().map(|disk| (Arc::clone(&disk.temp), Arc::clone(&disk.file)));
        let key = self.partial.clone();
        let most = if self.shared { PIECE } else { BLOCK };
        // Of one that is made ahead, the first bytes may be passed on before they are in the file.
        let room = if len == 0 { self.reserve } else { 0 };
        let (told, written) = oneshot::channel();
        let write = move |chunks: &[Bytes]| match disk {
            None => {
                let made = Area::create(&area, key.as_ref()).and_then(|(temp, file)| {
                    area.make_room(&file, room)?;
                    Ok((temp, file))
                });
                let written = made.and_then(|(temp, file)| write_chunks(&file, chunks, most).map(|()| (temp, file)));
                written.map(Some).map_err(|error| no_room(&area, error))
            }
            // If nobody waits for that any more, it is kept or removed by the thread, once it has written.
            Some((temp, file)) => match write_chunks(&file, chunks, most) {
                Ok(()) => Ok(None),
                Err(error) => {
                    // What the disk has no room for does not stay.
                    temp.keep(false);
                    Err(no_room(&area, error))
                }
            },
        };
        // Nobody need wait for the digests to read the block; and nobody may be waiting any more.
        let write = move |chunks: &[Bytes]| told.send(write(chunks));
        match self.hasher_for(len) {
            None => drop(spawn_blocking(move || drop(write(&chunks)))),
            Some((mut hasher, permit)) => {
                self.hashing = Hashing::Along(spawn_blocking(move || {
                    drop(write(&chunks));
                    let _permit = permit;
                    for chunk in &chunks {
                        hasher.update(chunk);
                    }
                    Ok(hasher)
                }));
            }
        }
        self.writing = Writing::Running(len, written);
        Ok(())
    }

    /// The digests so far, if whoever writes the next block may go on with them.
    fn hasher_for(&mut self, len: u64) -> Option<(Box<Hasher>, OwnedSemaphorePermit)> {
        if len == 0 || !matches!(&self.hashing, Hashing::Idle(hasher) if hasher.size() == self.written) {
            return None;
        }
        let permit = Arc::clone(self.area.hashing()).try_acquire_owned().ok()?;
        match mem::replace(&mut self.hashing, Hashing::Lost) {
            Hashing::Idle(hasher) => Some((hasher, permit)),
            _ => None,
        }
    }

    /// Waits for the digests of the block before, if its writer computes them. Can be dropped and called again.
    async fn hashed_along(&mut self) -> Result<()> {
        if let Hashing::Along(thread) = &mut self.hashing {
            let hashed = thread.await;
            self.hashing = Hashing::Lost;
            self.hashing = Hashing::Idle(hashed.map_err(io::Error::other).flatten().map_err(failed)?);
        }
        Ok(())
    }

    /// Waits until all that was sent on its way is in the file, and has it hashed if enough has come together. Can be dropped and called again.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn catch_up(&mut self) -> Result<()> {
        let (len, done) = match &mut self.writing {
            Writing::None => return Ok(()),
            Writing::Failed => return Err(StorageError::Interrupted),
            Writing::Running(len, written) => (*len, written.await),
        };
        self.writing = Writing::Failed;
        // An error of the channel: the thread panicked, or the runtime is ending.
        let made = done.map_err(|error| failed(io::Error::other(error)))??;
        self.written += len;
        match (made, &self.disk) {
            (Some((temp, file)), _) => self.disk = Some(Disk::new(temp, file, len)),
            (None, Some(disk)) => disk.watermark.send_modify(|mark| mark.flushed += len),
            (None, None) => return Err(StorageError::Interrupted),
        }
        if let Some(disk) = &self.disk {
            disk.temp.keep(self.written >= WORTH);
        }
        self.writing = Writing::None;
        self.hash_behind().await
    }

    /// Sends a thread to hash what lies in the file, if it is worth it, none is under way and one is free.
    async fn hash_behind(&mut self) -> Result<()> {
        if matches!(&self.hashing, Hashing::Along(thread) | Hashing::Behind(thread) if !thread.is_finished()) {
            return Ok(());
        }
        let hasher = self.hasher().await?;
        if self.written - hasher.size() >= HASH_STEP
            && let Ok(permit) = Arc::clone(self.area.hashing()).try_acquire_owned()
        {
            self.start_hashing(hasher, permit);
        } else {
            self.hashing = Hashing::Idle(hasher);
        }
        Ok(())
    }

    /// Waits until the digests have caught up with the file.
    async fn all_hashed(&mut self) -> Result<Box<Hasher>> {
        loop {
            let hasher = self.hasher().await?;
            if hasher.size() == self.size {
                return Ok(hasher);
            }
            let permit = Arc::clone(self.area.hashing()).acquire_owned().await.map_err(|_| StorageError::Interrupted)?;
            self.start_hashing(hasher, permit);
        }
    }

    /// The digests so far, taken from the thread that works on them when that is done.
    async fn hasher(&mut self) -> Result<Box<Hasher>> {
        match mem::replace(&mut self.hashing, Hashing::Lost) {
            Hashing::Idle(hasher) => Ok(hasher),
            Hashing::Along(thread) | Hashing::Behind(thread) => thread.await.map_err(io::Error::other).flatten().map_err(failed),
            Hashing::Lost => Err(StorageError::Interrupted),
        }
    }

    fn start_hashing(&mut self, mut hasher: Box<Hasher>, permit: OwnedSemaphorePermit) {
        let Some(disk) = &self.disk else {
            return;
        };
        let file = Arc::clone(&disk.file);
        let size = self.written;
        self.hashing = Hashing::Behind(spawn_blocking(move || {
            let _permit = permit;
            // One buffer, which stays in the processor's cache.
            let mut buffer = vec![0; BLOCK];
            while hasher.size() < size {
                let most = usize::try_from(size - hasher.size()).unwrap_or(BLOCK).min(BLOCK);
                match file.read_at(&mut buffer[..most], hasher.size()) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(read) => hasher.update(&buffer[..read]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(hasher)
        }));
    }
}

fn failed(error: io::Error) -> StorageError {
    StorageError::io(WHAT, error)
}

/// Where there is no room, what is kept in case that somebody asks for it goes first.
fn no_room(area: &Area, error: io::Error) -> StorageError {
    let error = failed(error);
    if matches!(error, StorageError::Full { .. }) {
        area.forget_partials();
    }
    error
}
