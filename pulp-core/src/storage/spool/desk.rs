//! What the threads share that work on one spool file.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;

use super::super::{Result, StorageError, io::BLOCK};
use crate::digest::Hasher;

/// The digests of a file so far, and whether its blocks follow each other.
///
/// The thread that writes blocks hashes each of them while it is in the processor's cache, unless the digests are behind; then another thread takes
/// them up from the file.
#[derive(Debug)]
pub(super) struct Desk {
    hasher: Mutex<Option<Box<Hasher>>>,
    /// A block did not get into the file: those behind it would not be in their places.
    broken: AtomicBool,
}

impl Desk {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self { hasher: Mutex::new(Some(Box::new(hasher))), broken: AtomicBool::new(false) }
    }

    /// Writes a block, unless one before it could not be written. Blocking.
    pub(super) fn write<T>(&self, block: impl FnOnce() -> Result<T>) -> Result<T> {
        // Also if it panics.
        if self.broken.swap(true, Ordering::Relaxed) {
            return Err(StorageError::Interrupted);
        }
        let written = block();
        self.broken.store(written.is_err(), Ordering::Relaxed);
        written
    }

    /// Hashes a block that begins at this byte, if the digests are just there. Blocking.
    pub(super) fn hash(&self, begins: u64, chunks: &[Bytes]) {
        // While another thread has them, they are behind.
        let Ok(mut desk) = self.hasher.try_lock() else { return };
        if let Some(mut hasher) = desk.take_if(|hasher| hasher.size() == begins) {
            chunks.iter().for_each(|chunk| hasher.update(chunk));
            *desk = Some(hasher);
        }
    }

    /// Hashes what is in the file, up to this byte. Blocking.
    pub(super) fn hash_file(&self, file: &File, size: u64) -> io::Result<()> {
        let mut desk = self.lock();
        let Some(mut hasher) = desk.take() else { return Ok(()) };
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
        *desk = Some(hasher);
        Ok(())
    }

    /// How many bytes are hashed; `None` while a thread is at it, or if one failed.
    pub(super) fn hashed(&self) -> Option<u64> {
        match self.hasher.try_lock() {
            Ok(desk) => desk.as_ref().map(|hasher| hasher.size()),
            Err(TryLockError::Poisoned(desk)) => desk.into_inner().as_ref().map(|hasher| hasher.size()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes the digests away, unless a thread failed.
    pub(super) fn take(&self) -> Option<Box<Hasher>> {
        self.lock().take()
    }

    /// Whoever panicked had taken the digests.
    fn lock(&self) -> MutexGuard<'_, Option<Box<Hasher>>> {
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use super::*;
    use crate::digest::{Algorithm, hash_bytes};

    fn desk() -> Desk {
        Desk::new(Hasher::new(&[Algorithm::Sha256]))
    }

    #[test]
    fn behind_a_block_that_was_not_written_none_is() {
        let lost = desk();
        assert_eq!(lost.write(|| Ok(1)).unwrap(), 1);
        assert!(matches!(lost.write(|| Err::<(), _>(StorageError::TooLarge { limit: 1 })), Err(StorageError::TooLarge { .. })));
        assert!(matches!(
            lost.write(|| -> Result<()> { panic!("it would lie where the lost one belongs") }),
            Err(StorageError::Interrupted)
        ));
        let panicked = desk();
        assert!(catch_unwind(AssertUnwindSafe(|| panicked.write(|| -> Result<()> { panic!("on purpose") }))).is_err());
        assert!(matches!(panicked.write(|| Ok(())), Err(StorageError::Interrupted)));
    }

    #[test]
    fn digests_that_fell_behind_are_taken_up_from_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        let desk = desk();
        desk.hash(0, &["a".into(), "b".into()]);
        desk.hash(4, &["ef".into()]);
        assert_eq!(desk.hashed(), Some(2));
        desk.hash_file(&file, 5).unwrap();
        desk.hash(4, &["ef".into()]);
        assert_eq!(desk.hashed(), Some(5));
        desk.hash(5, &["f".into()]);
        let (digests, size) = desk.take().unwrap().finish();
        assert_eq!((digests, size), hash_bytes(&[Algorithm::Sha256], b"abcdef"));
        assert_eq!(desk.hashed(), None);
    }

    #[test]
    fn a_file_that_is_shorter_than_it_was_has_no_digests() {
        let desk = desk();
        assert_eq!(desk.hash_file(&tempfile::tempfile().unwrap(), 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(desk.take().is_none());
    }
}
