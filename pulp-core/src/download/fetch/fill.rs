//! The task that brings one file in, whoever asked for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::entry::{Entry, Open};
use super::gate::Gate;
use super::{FetchError, FetchRequest, Shared, While};
use crate::download::transfer::{Event, Head, Terms, Transfer};
use crate::download::{DownloadError, Downloader};
use crate::storage::{SpoolTail, Spooled};

/// Runs until the file is stored, or nobody wants it any more, or no source is left.
pub(super) async fn run(shared: Arc<Shared>, request: FetchRequest, entry: Arc<Entry>) {
    let _leave = Leave { shared: &shared, request: &request, entry: &entry };
    let waiting = While::new(&shared.counts.waiting);
    let Ok(slot) = shared.fills.acquire().await else {
        return;
    };
    drop(waiting);
    if request.streamed {
        tokio::select! {
            () = unwanted(&shared, &request, &entry) => tracing::debug!(key = %request.key, "nobody is left to stream to"),
            fetched = fetch(&shared, &request, &entry) => {
                // Those who come while others still read share the file; the spool has it as long as somebody reads.
                if let Some(fetched) = fetched {
                    drop((fetched, slot));
                    unwanted(&shared, &request, &entry).await;
                }
            }
        }
    } else if let Some(file) = fetch(&shared, &request, &entry).await {
        let (key, size) = (&request.key, file.size());
        match request.handler.complete(file).await {
            Ok(()) => tracing::debug!(%key, size, "fetched and stored"),
            Err(error) => tracing::error!(%key, %error, "a fetched file could not be stored; the next request fetches it again"),
        }
    }
}

/// Removes the entry however the task ends. With the entry its state goes, and who still waits is told: a panic must not leave clients
/// waiting for ever.
struct Leave<'a> {
    shared: &'a Shared,
    request: &'a FetchRequest,
    entry: &'a Arc<Entry>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.shared.remove(&self.request.key, self.entry);
    }
}

/// Returns when the last client has gone and no other can come, for the entry is gone too.
async fn unwanted(shared: &Shared, request: &FetchRequest, entry: &Arc<Entry>) {
    loop {
        entry.state.closed().await;
        // Clients join under the same lock.
        if shared.remove_if_unread(&request.key, entry) {
            return;
        }
    }
}

/// Brings the file in and tells the clients. `None` if that failed: they know.
async fn fetch(shared: &Shared, request: &FetchRequest, entry: &Arc<Entry>) -> Option<Spooled> {
    let _running = While::new(&shared.counts.running);
    let options = &shared.options;
    let gate = Gate::new(&request.expected, options.verify_before_serving, options.hold_back);
    match Sources::new(request).fetch(shared, gate, entry).await {
        Ok((file, tail, head)) => {
            shared.counts.fetched.fetch_add(1, Ordering::Relaxed);
            let length = file.size();
            entry.state.send_modify(|state| {
                if let Some(tail) = tail {
                    let head = Head { length: Some(length), ..head };
                    state.open.get_or_insert_with(|| Open::new(head, tail));
                }
                state.readable = length;
                state.ended = Some(Ok(length));
            });
            Some(file)
        }
        Err(error) => {
            shared.counts.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(key = %request.key, %error, "lazy content could not be fetched");
            // First out of the way, so that who tries again begins anew.
            shared.remove(&request.key, entry);
            entry.state.send_if_modified(|state| {
                // Who reads may have all of it by now.
                let open = !matches!(state.ended, Some(Ok(_)));
                if open {
                    state.ended = Some(Err(error));
                }
                open
            });
            None
        }
    }
}

type Fetched = (Spooled, Option<SpoolTail>, Head);

/// The sources of one file and how each of them fared.
struct Sources<'a> {
    request: &'a FetchRequest,
    states: Vec<SourceState>,
    /// Where a round begins.
    first: usize,
    /// Whether each is asked for the whole file, since they contradict each other.
    alone: bool,
}

#[derive(Default)]
struct SourceState {
    failures: u32,
    given_up: bool,
    /// It gave a wrong file all by itself.
    wrong: bool,
    last: Option<DownloadError>,
}

impl<'a> Sources<'a> {
    fn new(request: &'a FetchRequest) -> Self {
        Self { request, states: request.sources.iter().map(|_| SourceState::default()).collect(), first: 0, alone: false }
    }

    /// Goes from source to source, each from where the one before broke off; when all have failed, waits, and asks again those that may
    /// have healed. Where the parts do not make the right file, each source is asked for the whole of it.
    async fn fetch(mut self, shared: &Shared, gate: Gate, entry: &Entry) -> Result<Fetched, FetchError> {
        let terms = Terms {
            expected: &self.request.expected,
            limit: shared.options.limit,
            live: true,
            kept: !self.request.streamed,
            partial: self.request.partial.as_ref(),
        };
        let mut transfer = Transfer::new(&shared.spool, terms);
        let mut progress = Progress { gate, entry, bytes: &shared.counts.bytes, size: 0, head: Head::default(), tail: None };
        let count = self.states.len();
        loop {
            let mut pause: Option<Duration> = None;
            let first = self.first;
            for index in (0..count).map(move |turn| (first + turn) % count) {
                if self.states[index].given_up {
                    continue;
                }
                match self.ask(index, &mut transfer, &mut progress).await {
                    Ok((file, tail)) => {
                        self.report_failures(Some(index)).await;
                        return Ok((file, tail, progress.head));
                    }
                    Err(DownloadError::Spool { source, .. }) => return Err(FetchError::Spool(source)),
                    // Somebody gave wrong bytes. The one that gave the end may have the right ones, too.
                    Err(DownloadError::Mismatch { .. }) if transfer.is_misfit() => {
                        self.first = index;
                        pause = None;
                        break;
                    }
                    Err(error) => {
                        let retry = self.note(index, error, transfer.is_contradicted());
                        pause = [pause, retry].into_iter().flatten().min();
                    }
                }
            }
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None if transfer.is_contradicted() && !self.alone => self.ask_each_alone(),
                None => break,
            }
        }
        self.report_failures(None).await;
        Err(FetchError::of(self.states.into_iter().filter_map(|state| state.last).collect()))
    }

    /// One attempt at one source.
    async fn ask(
        &self,
        index: usize,
        transfer: &mut Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(Spooled, Option<SpoolTail>), DownloadError> {
        let source = &self.request.sources[index];
        let downloader: &dyn Downloader = &source.downloader;
        let mut tell = |event| progress.on(event);
        if self.alone {
            transfer.only(index, &mut tell);
        }
        transfer.attempt(index, downloader, &source.request, &mut tell).await?;
        transfer.finish(index, source.request.redacted(), &mut tell).await
    }

    /// Notes a failure; after what time the source may be asked again.
    fn note(&mut self, index: usize, error: DownloadError, contradicted: bool) -> Option<Duration> {
        tracing::info!(key = %self.request.key, %error, "a source failed");
        let (state, source) = (&mut self.states[index], &self.request.sources[index]);
        state.failures += 1;
        let retry = source.retry.delay(state.failures, &error);
        state.given_up = retry.is_none();
        state.wrong |= !contradicted && error.is_wrong_file();
        state.last = Some(error);
        retry
    }

    fn ask_each_alone(&mut self) {
        tracing::info!(key = %self.request.key, "the sources contradict each other: each is asked for the whole file");
        self.alone = true;
        for state in self.states.iter_mut().filter(|state| !state.wrong) {
            (state.failures, state.given_up) = (0, false);
        }
    }

    async fn report_failures(&self, winner: Option<usize>) {
        for (index, (source, state)) in self.request.sources.iter().zip(&self.states).enumerate() {
            if let Some(error) = &state.last
                && winner != Some(index)
            {
                self.request.handler.source_failed(source, error).await;
            }
        }
    }
}

/// Turns what the transfer tells into what clients may see.
struct Progress<'a> {
    gate: Gate,
    entry: &'a Entry,
    /// Where what comes in is counted.
    bytes: &'a AtomicU64,
    /// How much of this file has.
    size: u64,
    head: Head,
    tail: Option<SpoolTail>,
}

impl Progress<'_> {
    fn on(&mut self, event: Event) {
        match event {
            Event::Started { head, here, tail } => {
                self.head = head;
                self.size = here;
                self.tail = tail;
                self.advance(here);
            }
            Event::Arrived(first) => self.arrive(first),
            Event::Advanced { size, tail } => {
                self.bytes.fetch_add(size.saturating_sub(self.size), Ordering::Relaxed);
                self.size = size;
                self.tail = tail;
                self.advance(size);
            }
            Event::Verified { size, tail } => {
                let head = Head { length: Some(size), ..self.head.clone() };
                self.entry.state.send_modify(|state| {
                    if let Some(tail) = tail {
                        state.open.get_or_insert_with(|| Open::new(head, tail));
                    }
                    (state.readable, state.first) = (size, None);
                    state.ended = Some(Ok(size));
                });
            }
            Event::Discarded => {
                self.size = 0;
                self.tail = None;
                self.entry.state.send_modify(|state| {
                    state.generation += 1;
                    state.open = None;
                    (state.readable, state.first) = (0, None);
                });
            }
        }
    }

    /// Gives clients the first bytes before they are in the file.
    fn arrive(&mut self, mut first: Bytes) {
        let (size, length) = (first.len() as u64, self.head.length);
        let Some(tail) = self.tail.as_ref().filter(|_| self.gate.opens(size, length)) else { return };
        first.truncate(usize::try_from(self.gate.readable(size, length)).unwrap_or(usize::MAX));
        self.entry.state.send_modify(|state| {
            state.open.get_or_insert_with(|| Open::new(self.head.clone(), tail.clone()));
            state.first = Some(first);
        });
    }

    fn advance(&mut self, size: u64) {
        let length = self.head.length;
        // Not before there is a byte to pass on: until then a failure can still be told, or another source asked.
        if size == 0 || !self.gate.opens(size, length) {
            return;
        }
        let readable = self.gate.readable(size, length);
        self.entry.state.send_if_modified(|state| {
            let opened = match (&state.open, &self.tail) {
                (None, Some(tail)) => {
                    state.open = Some(Open::new(self.head.clone(), tail.clone()));
                    true
                }
                _ => false,
            };
            let grown = readable > state.readable;
            state.readable = state.readable.max(readable);
            state.first.take_if(|first| first.len() as u64 <= state.readable);
            opened || grown
        });
    }
}
