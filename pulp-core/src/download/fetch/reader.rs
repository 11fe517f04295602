//! One client of a fetch: reads behind the watermark, at its own speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::watch;

use super::entry::{Open, State};
use super::{FetchError, FetchMeta, FetchRange};
use crate::storage::SpoolTail;

/// Reads at most this many bytes at once, while there are few clients.
const MAX_CHUNK: u64 = 256 * 1024;
/// Reads this many bytes at once, however many clients there are.
const MIN_CHUNK: u64 = 16 * 1024;

/// Counts a client for as long as it reads.
#[derive(Debug)]
pub(super) struct Presence {
    readers: Arc<AtomicUsize>,
    budget: u64,
}

impl Presence {
    pub(super) fn new(readers: Arc<AtomicUsize>, budget: u64) -> Self {
        readers.fetch_add(1, Ordering::Relaxed);
        Self { readers, budget }
    }

    /// Each client holds one chunk. The more clients, the smaller the chunks.
    fn chunk(&self) -> u64 {
        let readers = self.readers.load(Ordering::Relaxed).max(1) as u64;
        (self.budget / readers).clamp(MIN_CHUNK, MAX_CHUNK)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client with its place in the file.
#[derive(Debug)]
pub(super) struct Reader {
    state: watch::Receiver<State>,
    presence: Presence,
    generation: u32,
    at: u64,
    end: Option<u64>,
    length: Option<u64>,
    /// Whether the client already has bytes of this generation.
    begun: bool,
}

enum Step {
    Read(SpoolTail, u64),
    Wait,
    Done,
}

impl Reader {
    /// Waits until the first byte may go out, or the answer is known.
    pub(super) async fn open(
        mut state: watch::Receiver<State>,
        presence: Presence,
        range: Option<FetchRange>,
    ) -> Result<(FetchMeta, Self), FetchError> {
        let ready = state
            .wait_for(|state| match (&state.ended, &state.open) {
                (Some(_), _) => true,
                // A range of a file of unknown length has no meaning yet.
                (None, Some(open)) => range.is_none() || open.head.length.is_some(),
                (None, None) => false,
            })
            .await
            .map_err(|_| FetchError::Aborted)?
            .clone();
        let verified = match ready.ended {
            Some(Err(error)) => return Err(error),
            Some(Ok(_)) => true,
            None => false,
        };
        let Some(Open { head, .. }) = ready.open else {
            return Err(FetchError::Aborted);
        };
        let length = match ready.ended {
            Some(Ok(length)) => Some(length),
            _ => head.length,
        };
        let (start, end) = resolve(range, length)?;
        let meta = FetchMeta { length, start, end, verified, content_type: head.content_type, last_modified: head.last_modified };
        let reader = Self { state, presence, generation: ready.generation, at: start, end, length, begun: false };
        Ok((meta, reader))
    }

    /// The next chunk and the reader behind it; `None` at the end.
    pub(super) async fn next(mut self) -> Result<Option<(Bytes, Self)>, FetchError> {
        loop {
            match self.step()? {
                Step::Done => return Ok(None),
                Step::Wait => self.state.changed().await.map_err(|_| FetchError::Aborted)?,
                Step::Read(tail, until) => {
                    let max = (until - self.at).min(self.presence.chunk());
                    let bytes = tail.read_at(self.at, max).await.map_err(|error| FetchError::Spool(Arc::new(error)))?;
                    if bytes.is_empty() {
                        // The watermark says that they are there.
                        return Err(FetchError::Aborted);
                    }
                    self.at += bytes.len() as u64;
                    self.begun = true;
                    return Ok(Some((bytes, self)));
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, FetchError> {
        let state = self.state.borrow_and_update();
        if state.generation != self.generation {
            if self.begun {
                return Err(FetchError::Retracted);
            }
            self.generation = state.generation;
        }
        if let Some(Err(error)) = &state.ended {
            return Err(error.clone());
        }
        if self.end.is_some_and(|end| self.at >= end) {
            return Ok(Step::Done);
        }
        let until = self.end.map_or(state.readable, |end| end.min(state.readable));
        match &state.open {
            // Another beginning may be of another length than this client was promised.
            Some(open) if self.length.is_some() && open.head.length.is_some() && open.head.length != self.length => {
                Err(FetchError::Retracted)
            }
            Some(open) if self.at < until => Ok(Step::Read(open.tail.clone(), until)),
            _ => match &state.ended {
                // It ends where nobody had promised an end; or before the promised one.
                Some(_) if self.end.is_none() => Ok(Step::Done),
                Some(_) => Err(FetchError::Retracted),
                None => Ok(Step::Wait),
            },
        }
    }
}

/// First byte, and one past the last.
fn resolve(range: Option<FetchRange>, length: Option<u64>) -> Result<(u64, Option<u64>), FetchError> {
    let Some(range) = range else {
        return Ok((0, length));
    };
    // `open` waited for it.
    let length = length.ok_or(FetchError::Aborted)?;
    let (start, end) = match range {
        FetchRange::Span(start, end) => (start, end.unwrap_or(length).min(length)),
        FetchRange::Last(count) => (length.saturating_sub(count), length),
    };
    if start >= end {
        return Err(FetchError::RangeNotSatisfiable { length });
    }
    Ok((start, Some(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_with_the_file() {
        assert_eq!(resolve(None, None).unwrap(), (0, None));
        assert_eq!(resolve(Some(FetchRange::Span(2, Some(99))), Some(10)).unwrap(), (2, Some(10)));
        assert_eq!(resolve(Some(FetchRange::Span(2, None)), Some(10)).unwrap(), (2, Some(10)));
        assert_eq!(resolve(Some(FetchRange::Last(3)), Some(10)).unwrap(), (7, Some(10)));
        assert_eq!(resolve(Some(FetchRange::Last(30)), Some(10)).unwrap(), (0, Some(10)));
        for beyond in [FetchRange::Span(10, None), FetchRange::Last(0), FetchRange::Span(3, Some(3))] {
            assert!(matches!(resolve(Some(beyond), Some(10)), Err(FetchError::RangeNotSatisfiable { length: 10 })));
        }
    }

    #[test]
    fn chunks_shrink_with_the_crowd() {
        let readers = Arc::new(AtomicUsize::new(0));
        let one = Presence::new(readers.clone(), 1 << 20);
        assert_eq!(one.chunk(), MAX_CHUNK);
        let more: Vec<_> = (0..31).map(|_| Presence::new(readers.clone(), 1 << 20)).collect();
        assert_eq!(one.chunk(), 32 * 1024);
        drop(more);
        assert_eq!(one.chunk(), MAX_CHUNK);
    }
}
