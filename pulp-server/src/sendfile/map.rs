//! Maps of files, for their addresses.
#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};
use pulp_core::body::OpenFile;

/// A file in the address space. A page of it is read when somebody looks at it, which nobody does who can help it.
#[derive(Debug)]
pub(super) struct Map(Mmap);

impl Map {
    /// A map of the whole file, as long as it will be when it is complete.
    pub(super) fn of(file: &OpenFile) -> Option<Self> {
        let len = usize::try_from(file.len()?).ok().filter(|len| *len > 0)?;
        // SAFETY: What was given out of an `OpenFile` does not change and is not cut off: artifacts are replaced by renaming, and a file
        // that is being fetched only grows. Bytes beyond its present end are never given out.
        unsafe { MmapOptions::new().len(len).map(&**file.file()) }.ok().map(Self)
    }

    pub(super) fn slice(&self, range: &Range<u64>) -> Option<&[u8]> {
        self.0.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    }

    /// At which offset of the file these bytes are, if they lie in this map.
    pub(super) fn offset(&self, bytes: &[u8]) -> Option<u64> {
        let map = self.0.as_ptr_range();
        let these = bytes.as_ptr_range();
        (map.start <= these.start && these.end <= map.end).then(|| (these.start.addr() - map.start.addr()) as u64)
    }
}

/// Of less than this, in bytes, its end tells of all of it: that much is read ahead at once.
const SHORT: u64 = 128 << 10;

/// Whether bytes of a file can be had without waiting for the disk, as far as their ends tell.
pub(super) fn is_in_memory(file: &File, offset: u64, len: usize) -> bool {
    let end = offset + (len as u64).saturating_sub(1);
    let there = |at: u64| {
        let mut byte = [0];
        let asked = rustix::io::preadv2(file, &mut [std::io::IoSliceMut::new(&mut byte)], at, rustix::io::ReadWriteFlags::NOWAIT);
        // Where the file system cannot tell, the kernel waits.
        asked != Err(rustix::io::Errno::AGAIN)
    };
    // What is read in sequence is there up to its end, or not.
    there(end) && (end - offset < SHORT || there(offset))
}

/// Reads bytes of a file into the page cache.
pub(super) fn read_in(file: &File, offset: u64, len: usize) {
    use std::os::unix::fs::FileExt as _;
    let mut block = vec![0; (128 << 10).min(len)];
    let end = offset + len as u64;
    let mut at = offset;
    while at < end {
        let want = block.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        match file.read_at(&mut block[..want], at) {
            Ok(read) if read > 0 => at += read as u64,
            _ => return,
        }
    }
}
