//! Parts of files on this host, as pieces of a body: a front end can send them without reading them.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

/// How much is read at a time where nothing else is said.
const BLOCK: u64 = 256 << 10;

/// A file that is open for reading. What it held when a part of it was given out never changes: it may only grow.
pub struct OpenFile {
    file: Arc<File>,
    len: Option<u64>,
    kept: OnceLock<Option<Box<dyn Any + Send + Sync>>>,
}

impl OpenFile {
    /// A file of `len` bytes, once it is complete; none if that is not known yet.
    pub fn new(file: impl Into<Arc<File>>, len: Option<u64>) -> Self {
        Self { file: file.into(), len, kept: OnceLock::new() }
    }

    /// The file, to be read with positions only.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Its length in bytes, once it is complete.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether it is known to be empty.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// What a front end keeps with the file as long as it is open, a map of it say: made once, by whoever asks first. None if it could
    /// not be made, or if somebody else keeps something of another type.
    pub fn keep<T: Any + Send + Sync>(&self, make: impl FnOnce(&Self) -> Option<T>) -> Option<&T> {
        let made = self.kept.get_or_init(|| make(self).map(|made| Box::new(made) as Box<dyn Any + Send + Sync>));
        made.as_ref()?.downcast_ref()
    }
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Some bytes of a file.
#[derive(Debug, Clone)]
pub struct FilePart {
    file: Arc<OpenFile>,
    range: Range<u64>,
    block: u64,
}

impl FilePart {
    /// These bytes of a file, which must be there by now.
    pub fn new(file: Arc<OpenFile>, range: Range<u64>) -> Self {
        Self { file, range, block: BLOCK }
    }

    /// Sets how much is in memory at a time, in bytes, where it has to be read.
    #[must_use]
    pub fn block(mut self, bytes: u64) -> Self {
        self.block = bytes.max(1);
        self
    }

    /// The file.
    pub fn file(&self) -> &Arc<OpenFile> {
        &self.file
    }

    /// Which bytes of it.
    pub fn range(&self) -> &Range<u64> {
        &self.range
    }

    /// How many bytes.
    pub fn size(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Takes the next block off, to be read by blocking; none at the end.
    pub(super) fn next(&mut self) -> Option<impl FnOnce() -> io::Result<Bytes> + Send + use<>> {
        let len = self.size().min(self.block);
        if len == 0 {
            return None;
        }
        let (file, at) = (Arc::clone(&self.file.file), self.range.start);
        self.range.start += len;
        Some(move || {
            let mut block = BytesMut::zeroed(usize::try_from(len).unwrap_or(0));
            file.read_exact_at(&mut block, at)?;
            Ok(block.freeze())
        })
    }
}

/// A piece of a body.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file.
    File(FilePart),
}
