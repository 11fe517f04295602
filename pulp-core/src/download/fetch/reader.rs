//! One client of a fetch: reads behind the watermark, at its own speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::watch;

use super::entry::{Open, State};
use super::{FetchError, FetchMeta, FetchRange};
use crate::body::{FilePart, Part};
use crate::storage::SpoolTail;

/// Reads at most this many bytes at once, while there are few clients.
const MAX_CHUNK: u64 = 256 * 1024;
/// Gives this many bytes of the file at once to who does not read them.
const MAX_PART: u64 = 2 << 20;
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
    start: u64,
    /// Where the bytes that the client has came from; none while it has nothing.
    taken: Option<SpoolTail>,
    /// In a new generation: up to where the client's bytes are known to be the same there.
    doubted: Option<u64>,
    /// This generation is another file than the client has the beginning of. Which of the two is wrong is not known before this one is verified.
    differs: bool,
}

enum Step {
    Read(Place),
    /// Look whether what the client has is the same in the new generation, up to this offset.
    Compare {
        old: SpoolTail,
        new: SpoolTail,
        from: u64,
        to: u64,
    },
    Wait,
    Done,
}

/// Where the next bytes are.
enum Place {
    /// In the file, up to this offset.
    File(Open, u64),
    /// On their way into it.
    Memory(Open, Bytes),
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
        let reader = Self {
            state,
            presence,
            generation: ready.generation,
            at: start,
            end,
            length,
            start,
            taken: None,
            doubted: None,
            differs: false,
        };
        Ok((meta, reader))
    }

    /// The next chunk and the reader behind it; `None` at the end.
    pub(super) async fn next(mut self) -> Result<Option<(Bytes, Self)>, FetchError> {
        let (open, until) = match self.place().await? {
            Some(Place::File(open, until)) => (open, until),
            Some(Place::Memory(open, bytes)) => {
                self.took(open.tail, bytes.len() as u64);
                return Ok(Some((bytes, self)));
            }
            None => return Ok(None),
        };
        let max = (until - self.at).min(self.presence.chunk());
        let bytes = open.tail.read_at(self.at, max).await.map_err(|error| FetchError::Spool(Arc::new(error)))?;
        if bytes.is_empty() {
            // The watermark says that they are there.
            return Err(FetchError::Aborted);
        }
        self.took(open.tail, bytes.len() as u64);
        Ok(Some((bytes, self)))
    }

    /// The same with the place of the chunk instead of its bytes: all that is there, for somebody who holds none of it in memory.
    pub(super) async fn next_part(mut self) -> Result<Option<(Part, Self)>, FetchError> {
        let (open, until) = match self.place().await? {
            Some(Place::File(open, until)) => (open, until),
            Some(Place::Memory(open, bytes)) => {
                self.took(open.tail, bytes.len() as u64);
                return Ok(Some((Part::Bytes(bytes), self)));
            }
            None => return Ok(None),
        };
        let range = self.at..until.min(self.at + MAX_PART);
        let size = range.end - range.start;
        let part = FilePart::new(open.file, range).block(self.presence.chunk());
        self.took(open.tail, size);
        Ok(Some((Part::File(part), self)))
    }

    fn took(&mut self, from: SpoolTail, bytes: u64) {
        self.at += bytes;
        self.taken.get_or_insert(from);
    }

    /// Waits until there is something to read, and says where; `None` at the end.
    async fn place(&mut self) -> Result<Option<Place>, FetchError> {
        loop {
            match self.step()? {
                Step::Done => return Ok(None),
                Step::Wait => self.state.changed().await.map_err(|_| FetchError::Aborted)?,
                Step::Read(place) => return Ok(Some(place)),
                Step::Compare { old, new, from, to } => self.compare(old, new, from, to).await?,
            }
        }
    }

    /// A client whose bytes are the right ones so far need not know that the file went wrong behind them.
    async fn compare(&mut self, old: SpoolTail, new: SpoolTail, from: u64, to: u64) -> Result<(), FetchError> {
        let spool = |error| FetchError::Spool(Arc::new(error));
        let had = old.read_at(from, (to - from).min(self.presence.chunk())).await.map_err(spool)?;
        let is = new.read_at(from, had.len() as u64).await.map_err(spool)?;
        let known = had.len().min(is.len());
        if known == 0 {
            return Err(FetchError::Retracted);
        }
        self.differs = had[..known] != is[..known];
        self.doubted = Some(from + known as u64);
        Ok(())
    }

    fn step(&mut self) -> Result<Step, FetchError> {
        let state = self.state.borrow_and_update();
        if state.generation != self.generation {
            self.generation = state.generation;
            // What was compared with a generation that was wrong as well counts for nothing.
            self.doubted = self.taken.as_ref().map(|_| self.start);
            self.differs = false;
        }
        if let Some(Err(error)) = &state.ended {
            return Err(error.clone());
        }
        if self.end.is_some_and(|end| self.at >= end) {
            return Ok(Step::Done);
        }
        let Some(open) = &state.open else {
            // A verified file that nobody could open has nothing for a client who was promised something.
            return if state.ended.is_none() { Ok(Step::Wait) } else { end_of_what_came(self.end) };
        };
        // Another beginning may be of another length than this client was promised.
        if self.differs || (self.length.is_some() && open.head.length.is_some() && open.head.length != self.length) {
            return if state.ended.is_none() { Ok(Step::Wait) } else { Err(FetchError::Retracted) };
        }
        if let (Some(from), Some(old)) = (self.doubted, &self.taken) {
            let to = self.at.min(state.readable);
            if from < to {
                return Ok(Step::Compare { old: old.clone(), new: open.tail.clone(), from, to });
            }
            if from < self.at {
                return if state.ended.is_none() { Ok(Step::Wait) } else { Err(FetchError::Retracted) };
            }
            (self.doubted, self.taken) = (None, Some(open.tail.clone()));
        }
        let until = self.end.map_or(state.readable, |end| end.min(state.readable));
        if self.at < until {
            Ok(Step::Read(Place::File(open.clone(), until)))
        } else if let Some(bytes) = state.first.as_ref().and_then(|first| of_first(first, self.at, self.end)) {
            Ok(Step::Read(Place::Memory(open.clone(), bytes)))
        } else if state.ended.is_none() {
            Ok(Step::Wait)
        } else {
            end_of_what_came(self.end)
        }
    }
}

/// What a client at this place wants of the first bytes of the file.
fn of_first(first: &Bytes, at: u64, end: Option<u64>) -> Option<Bytes> {
    let end = end.map_or(first.len(), |end| usize::try_from(end).unwrap_or(usize::MAX).min(first.len()));
    let at = usize::try_from(at).ok().filter(|at| *at < end)?;
    Some(first.slice(at..end))
}

/// It ends where nobody had promised an end; or before the promised one.
fn end_of_what_came(promised: Option<u64>) -> Result<Step, FetchError> {
    if promised.is_none() { Ok(Step::Done) } else { Err(FetchError::Retracted) }
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

    #[tokio::test]
    async fn the_first_bytes_come_from_memory_and_what_follows_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let spool = crate::storage::Spool::open(dir.path(), Default::default()).await.unwrap();
        let mut file = spool.create();
        let tail = file.share().await.unwrap();
        let head = crate::download::transfer::Head { length: Some(6), ..Default::default() };
        let first = Some(Bytes::from_static(b"abcd"));
        let state = watch::Sender::new(State { open: Some(Open::new(head, tail)), first, ..Default::default() });
        let open = |range| {
            let presence = Presence::new(Arc::default(), 1 << 20);
            Reader::open(state.subscribe(), presence, range)
        };
        let (_, whole) = open(None).await.unwrap();
        let (_, part) = open(Some(FetchRange::Span(1, Some(3)))).await.unwrap();
        let (_, beyond) = open(Some(FetchRange::Span(5, None))).await.unwrap();
        let (bytes, whole) = whole.next().await.unwrap().unwrap();
        assert_eq!(bytes, "abcd");
        let (bytes, part) = part.next_part().await.unwrap().unwrap();
        assert!(matches!(bytes, Part::Bytes(bytes) if bytes == "bc"));
        assert!(part.next_part().await.unwrap().is_none());
        let mut waiting = Box::pin(beyond.next());
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        file.write("abcdef".into()).await.unwrap();
        file.catch_up().await.unwrap();
        state.send_modify(|state| (state.readable, state.first) = (6, None));
        assert_eq!(waiting.await.unwrap().unwrap().0, "f");
        assert_eq!(whole.next().await.unwrap().unwrap().0, "ef");
    }

    #[tokio::test]
    async fn a_client_is_not_cut_for_another_file_before_that_is_known_to_be_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        let spool = crate::storage::Spool::open(dir.path(), Default::default()).await.unwrap();
        let beginning = async |bytes: &'static str, length| {
            let mut file = spool.create();
            let tail = file.share().await.unwrap();
            file.write(bytes.into()).await.unwrap();
            file.catch_up().await.unwrap();
            let head = crate::download::transfer::Head { length: Some(length), ..Default::default() };
            (file, Open::new(head, tail))
        };
        let (_first, open) = beginning("abcd", 6).await;
        let state = watch::Sender::new(State { open: Some(open), readable: 4, ..Default::default() });
        let client = async || {
            let presence = Presence::new(Arc::default(), 1 << 20);
            let (_, reader) = Reader::open(state.subscribe(), presence, None).await.unwrap();
            let (bytes, reader) = reader.next().await.unwrap().unwrap();
            assert_eq!(bytes, "abcd");
            reader
        };
        let clients = [client().await, client().await];
        let mut going_on: Vec<_> = clients.into_iter().map(|client| Box::pin(client.next())).collect();
        // Others than the first source's, of which nobody knows yet whose are right: one with other bytes, one of another length.
        for (bytes, length) in [("axcdef", 6), ("abcdefg", 7)] {
            let (_file, open) = beginning(bytes, length).await;
            state.send_modify(|state| (state.generation, state.open, state.readable) = (state.generation + 1, Some(open), 5));
            for client in &mut going_on {
                // More than one look: a comparison reads from the file.
                let quiet = tokio::time::timeout(std::time::Duration::from_millis(50), client.as_mut());
                assert!(quiet.await.is_err(), "{bytes}");
            }
        }
        let (_third, open) = beginning("abcdef", 6).await;
        state.send_modify(|state| (state.generation, state.open, state.readable) = (state.generation + 1, Some(open), 6));
        let (bytes, _reader) = going_on.remove(0).await.unwrap().unwrap();
        assert_eq!(bytes, "ef");
        // The other has not looked before yet another came, and that is verified.
        let (_last, open) = beginning("abxdef", 6).await;
        state.send_modify(|state| {
            (state.generation, state.open, state.readable) = (state.generation + 1, Some(open), 6);
            state.ended = Some(Ok(6));
        });
        assert!(matches!(going_on.remove(0).await, Err(FetchError::Retracted)));
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
