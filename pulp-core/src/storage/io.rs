//! Blocking input and output, in the pieces that storage is made of.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    io::{self, IoSlice, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use tokio::sync::oneshot;

use super::{Result, StorageError};

/// How much is read or written at once: large enough that the hop to a blocking thread is lost in the copy.
pub(super) const BLOCK: usize = 256 * 1024;

/// How much is written by one call where somebody waits for it.
///
/// Larger calls make Linux take larger pages for the file. Those are cheaper to send, by a fifth of the processor's time; but the free ones are those that a
/// virtual machine has given back to its host: on such a machine files were written at 0.43 GB/s in calls of 64 KiB and more, at 3.5 in these.
pub(super) const PIECE: usize = 16 * 1024;

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

/// A few blocking threads for many short pieces of work. Who is at it takes the next piece without being sent for: where pieces come
/// faster than they are done, that spares waking a thread, and letting it sleep again, for each of them.
#[derive(Clone)]
pub(super) struct Crew(Arc<Mutex<Work>>);

struct Work {
    pieces: VecDeque<Box<dyn FnOnce() + Send>>,
    at_it: usize,
    most: usize,
}

impl Crew {
    /// Of so many threads at most, which are only there while there is work.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Work { pieces: VecDeque::new(), at_it: 0, most: most.max(1) })))
    }

    /// Runs `work` on one of them, as [`blocking`] does.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (done, result) = oneshot::channel();
        self.begin(move || {
            // Nobody may be waiting any more.
            let _ = done.send(work());
        });
        match result.await {
            Ok(result) => result,
            // It panicked.
            Err(error) => Err(StorageError::io("a file", io::Error::other(error))),
        }
    }

    /// Runs `work` on one of them, without waiting for it. Of a crew of one, pieces are done in order.
    pub(super) fn begin(&self, work: impl FnOnce() + Send + 'static) {
        if self.add(Box::new(work)) {
            let crew = self.clone();
            tokio::task::spawn_blocking(move || crew.work());
        }
    }

    /// Adds a piece of work; whether another thread is to come.
    fn add(&self, piece: Box<dyn FnOnce() + Send>) -> bool {
        let mut work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work.pieces.push_back(piece);
        let more = work.at_it < work.most;
        if more {
            work.at_it += 1;
        }
        more
    }

    /// Works until there is nothing left to do.
    fn work(&self) {
        while let Some(piece) = self.next() {
            if catch_unwind(AssertUnwindSafe(piece)).is_err() {
                tracing::error!("a piece of file work panicked");
            }
        }
    }

    fn next(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = work.pieces.pop_front();
        if piece.is_none() {
            // Under the same lock: what is added from now on sends for a thread.
            work.at_it -= 1;
        }
        piece
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
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

/// Writes all of the chunks, at most `most` bytes by one call.
pub(super) fn write_chunks(mut file: &File, chunks: &[Bytes], most: usize) -> io::Result<()> {
    let mut slices: Vec<_> = chunks.iter().flat_map(|chunk| chunk.chunks(most)).map(IoSlice::new).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let mut len = 0;
        let piece = rest.iter().take_while(|slice| {
            len += slice.len();
            len <= most
        });
        let piece = piece.count();
        match file.write_vectored(&rest[..piece]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_crew_does_all_the_work_with_no_more_threads_than_it_has() {
        let crew = Crew::new(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pieces = (0..200).map(|number| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            crew.run(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(50));
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            })
        });
        assert_eq!(futures::future::try_join_all(pieces).await.unwrap(), (0..200).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_crew_of_one_does_its_work_in_order() {
        let crew = Crew::new(1);
        let done = Arc::new(Mutex::new(Vec::new()));
        for number in 0..200 {
            let done = Arc::clone(&done);
            crew.begin(move || done.lock().unwrap().push(number));
        }
        crew.run(|| Ok(())).await.unwrap();
        assert!(done.lock().unwrap().iter().copied().eq(0..200));
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_piece_alone() {
        let crew = Crew::new(1);
        let (failed, fine) = tokio::join!(crew.run::<()>(|| panic!("on purpose")), crew.run(|| Ok(7)));
        assert!(failed.is_err());
        assert_eq!(fine.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_for_it() {
        let crew = Crew::new(1);
        let (sent, ran) = oneshot::channel();
        let piece = crew.run(move || {
            sent.send(()).unwrap();
            Ok(())
        });
        let dropped = tokio::time::timeout(Duration::ZERO, piece);
        drop(dropped.await);
        ran.await.unwrap();
        crew.run(|| Ok(())).await.unwrap();
    }
}
