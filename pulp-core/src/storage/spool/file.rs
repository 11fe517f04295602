//! Writing a spool file.

use std::{collections::VecDeque, fs::File, io, mem, sync::Arc};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot, watch},
    task::{JoinHandle, spawn_blocking},
};

use super::{
    super::{
        Result, StorageError,
        io::{BLOCK, Crew, PIECE, blocking, write_chunks},
    },
    area::{Area, Reserved, TempFile},
    desk::Desk,
    partial::{PartialKey, WORTH},
    spooled::Spooled,
    tail::{SpoolTail, Watermark},
};
use crate::digest::{Algorithm, Digests, Hasher};

/// How far the digests may fall behind the writing before a thread is sent to catch up.
const HASH_STEP: u64 = 1024 * 1024;

/// Blocks that may be on their way into a file: whoever writes one finds the next one there when it is done with it.
const UNDER_WAY: usize = 2;

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
/// A larger one is written in blocks of that size, by one thread, in order: while two are on their way into the file, the next may be received. Who has
/// written a block hashes it, as long as the digests keep up and fewer files are hashed than may be; else another thread computes them from the file,
/// behind the writer. Neither a slow disk nor a slow digest makes memory grow.
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
    /// Blocks that are on their way into it.
    under_way: VecDeque<Block>,
    /// A block did not get there.
    failed: bool,
    /// Who writes them, one after the other.
    writer: Crew,
    desk: Arc<Desk>,
    /// A thread that computes the digests from the file.
    hashing: Option<JoinHandle<io::Result<()>>>,
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

/// So many bytes on their way into the file, which is made with its first block, or [before](SpoolFile::prepare).
#[derive(Debug)]
struct Block {
    len: u64,
    written: oneshot::Receiver<Result<Option<(TempFile, File)>>>,
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
            under_way: VecDeque::new(),
            failed: false,
            writer: Crew::new(1),
            desk: Arc::new(Desk::new(Hasher::new(&along))),
            hashing: None,
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
        !self.under_way.is_empty()
    }

    /// Whether so many are that the next block has to wait.
    pub fn is_full(&self) -> bool {
        // The first block makes the file that the others go into.
        self.under_way.len() >= if self.disk.is_some() { UNDER_WAY } else { 1 }
    }

    /// Appends a chunk. Once this returns, the memory of at most 256 KiB is held, and of twice as much that is on its way into the file.
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
        if self.failed || self.settled.is_some() {
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
        if self.disk.is_some() || self.failed || self.is_writing() {
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
        self.desk = Arc::new(Desk::new(Hasher::new(&self.later)));
        self.settled = Some(digests.clone());
        Ok(digests)
    }

    /// Completes the file and its digests.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish(mut self) -> Result<Spooled> {
        if self.disk.is_none() && self.later.is_empty() && !self.failed && !self.is_writing() {
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
        let Some(mut hasher) = self.desk.take() else {
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

    /// Sends what is pending on its way into the file, as soon as there is room for it there.
    async fn flush(&mut self) -> Result<()> {
        while self.is_full() {
            self.advance().await?;
        }
        if self.failed {
            return Err(StorageError::Interrupted);
        }
        if self.pending.is_empty() && self.disk.is_some() {
            return Ok(());
        }
        let chunks = mem::take(&mut self.pending);
        let len = mem::take(&mut self.pending_len) as u64;
        let begins = self.size - len;
        let area = Arc::clone(&self.area);
        let disk = self.disk.as_ref().map(|disk| (Arc::clone(&disk.temp), Arc::clone(&disk.file)));
        let key = self.partial.clone();
        let most = if self.shared { PIECE } else { BLOCK };
        // Of one that is made ahead, the first bytes may be passed on before they are in the file.
        let room = if len == 0 { self.reserve } else { 0 };
        // The area and the file are held no longer than it is written to them.
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
        let (desk, hashing) = (Arc::clone(&self.desk), Arc::clone(self.area.hashing()));
        let (told, written) = oneshot::channel();
        self.writer.begin(move || {
            let result = desk.write(|| write(&chunks));
            let is_written = result.is_ok();
            // Nobody need wait for the digests to read the block; and nobody may be waiting any more.
            let _ = told.send(result);
            if is_written && let Ok(_permit) = hashing.try_acquire() {
                desk.hash(begins, &chunks);
            }
        });
        self.under_way.push_back(Block { len, written });
        Ok(())
    }

    /// Waits until all that was sent on its way is in the file, and has it hashed if enough has come together. Can be dropped and called again.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn catch_up(&mut self) -> Result<()> {
        while self.is_writing() {
            self.advance().await?;
        }
        if self.failed { Err(StorageError::Interrupted) } else { Ok(()) }
    }

    /// The same for the first block of those that are on their way.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn advance(&mut self) -> Result<()> {
        let Some(Block { len, written }) = self.under_way.front_mut() else { return Ok(()) };
        let (len, done) = (*len, written.await);
        self.under_way.pop_front();
        // An error of the channel: the thread panicked, or the runtime is ending.
        let made = done.map_err(|error| failed(io::Error::other(error))).flatten().inspect_err(|_| self.failed = true)?;
        self.written += len;
        match (made, &self.disk) {
            (Some((temp, file)), _) => self.disk = Some(Disk::new(temp, file, len)),
            (None, Some(disk)) => disk.watermark.send_modify(|mark| mark.flushed += len),
            (None, None) => return Err(StorageError::Interrupted),
        }
        if let Some(disk) = &self.disk {
            disk.temp.keep(self.written >= WORTH);
        }
        self.hash_behind().await
    }

    /// Sends a thread to hash what lies in the file, if it is worth it, none is under way and one is free.
    async fn hash_behind(&mut self) -> Result<()> {
        if self.hashing.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        self.hashed().await?;
        if let Some(size) = self.desk.hashed()
            && self.written.saturating_sub(size) >= HASH_STEP
            && let Ok(permit) = Arc::clone(self.area.hashing()).try_acquire_owned()
        {
            self.start_hashing(permit);
        }
        Ok(())
    }

    /// Waits until the digests have caught up with the file, which is written.
    async fn all_hashed(&mut self) -> Result<Box<Hasher>> {
        if self.desk.hashed() != Some(self.size) {
            // The last block is hashed once it is written.
            self.writer.run(|| Ok(())).await?;
        }
        loop {
            self.hashed().await?;
            if self.desk.hashed().ok_or(StorageError::Interrupted)? == self.size {
                return self.desk.take().ok_or(StorageError::Interrupted);
            }
            let permit = Arc::clone(self.area.hashing()).acquire_owned().await.map_err(|_| StorageError::Interrupted)?;
            self.start_hashing(permit);
        }
    }

    /// Waits for the thread that computes digests from the file.
    async fn hashed(&mut self) -> Result<()> {
        if let Some(thread) = &mut self.hashing {
            let hashed = thread.await;
            self.hashing = None;
            hashed.map_err(io::Error::other).flatten().map_err(failed)?;
        }
        Ok(())
    }

    fn start_hashing(&mut self, permit: OwnedSemaphorePermit) {
        let Some(disk) = &self.disk else { return };
        let (file, size, desk) = (Arc::clone(&disk.file), self.written, Arc::clone(&self.desk));
        self.hashing = Some(spawn_blocking(move || {
            let _permit = permit;
            desk.hash_file(&file, size)
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
