//! Blocking input and output, in the pieces that storage is made of.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
};

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use super::{Result, StorageError};

/// How much is read or written at once: large enough that the hop to a blocking thread is lost in the copy.
pub(super) const BLOCK: usize = 256 * 1024;

/// Runs `work` on a blocking thread.
///
/// If the caller is dropped, `work` still runs to its end, and what it returns is dropped there: results own their files.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It panicked, or the runtime is shutting down.
        Err(error) => Err(StorageError::io("a file", io::Error::other(error))),
    }
}

/// Reads at most [`BLOCK`] and `max` bytes; fewer than asked for are no error, none mean the end.
pub(super) fn read_at(file: &File, offset: u64, max: u64) -> io::Result<Bytes> {
    let size = usize::try_from(max).unwrap_or(BLOCK).min(BLOCK);
    let mut buffer = Vec::with_capacity(size);
    loop {
        // `with_capacity` may give more than it was asked for, which must not lead beyond the range.
        let read = rustix::io::pread(file, spare_capacity(&mut buffer), offset);
        match read {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => buffer.clear(),
            Err(error) => return Err(error.into()),
        }
    }
    buffer.truncate(size);
    Ok(buffer.into())
}

/// Writes all of the chunks.
pub(super) fn write_chunks(mut file: &File, chunks: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
    let mut rest = slices.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
