//! Bringing one file into the spool, over as many attempts and from as many sources as it takes.

use std::pin::Pin;

use bytes::Bytes;
use futures::stream::Peekable;
use futures::{FutureExt as _, StreamExt as _};
use http::{HeaderValue, header};

use super::{ByteRange, Download, DownloadError, DownloadRequest, DownloadStream, Downloader, RedactedUrl, StrongValidator};
use crate::digest::{Expected, Mismatch};
use crate::storage::{NewFile, PartialKey, Spool, SpoolFile, SpoolTail, Spooled, StorageError};

/// Small chunks that are ready together go to the disk together, up to this many bytes.
const GATHER: usize = 256 * 1024;

/// What a transfer tells while it runs.
pub(super) enum Event {
    /// A source answered, for a file of which nothing has come yet.
    Started {
        head: Head,
        /// Bytes of it that an earlier fetch has left.
        here: u64,
        /// What there is of it, if that was asked for.
        tail: Option<SpoolTail>,
    },
    /// The first bytes came, and are on their way into the file, which is [there](Event::Started).
    Arrived(Bytes),
    /// Bytes came.
    Advanced {
        /// So many bytes, from the first, are in the file now.
        size: u64,
        /// Readable while the file grows, if that was asked for.
        tail: Option<SpoolTail>,
    },
    /// The file is whole, and the right one; what follows is no matter of who reads it.
    Verified { size: u64, tail: Option<SpoolTail> },
    /// All that came so far was wrong; the next thing is another start.
    Discarded,
}

/// What a source says of the file besides its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) length: Option<u64>,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) last_modified: Option<HeaderValue>,
}

impl Head {
    fn of(download: &Download) -> Self {
        Self {
            length: download.complete_length,
            content_type: download.headers.get(header::CONTENT_TYPE).cloned(),
            last_modified: download.headers.get(header::LAST_MODIFIED).cloned(),
        }
    }
}

/// How the file is to be brought in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) expected: &'a Expected,
    /// The largest file that is taken, in bytes.
    pub(super) limit: Option<u64>,
    /// Whether somebody reads along. Then bytes that are in the file stay, and a new attempt goes on behind them.
    pub(super) live: bool,
    /// Whether the file is kept, and so needs all digests.
    pub(super) kept: bool,
    /// Under which key a beginning is kept if this fails, and looked for.
    pub(super) partial: Option<&'a PartialKey>,
}

/// The state of one file between attempts: what is in the spool, and what is known of it.
pub(super) struct Transfer<'a> {
    spool: &'a Spool,
    terms: Terms<'a>,
    file: Option<SpoolFile>,
    /// One that is being made while the source is asked.
    prepared: Option<SpoolFile>,
    tail: Option<SpoolTail>,
    total: Option<u64>,
    /// Which source the bytes came from, and what it called them.
    origin: Option<(usize, StrongValidator)>,
    /// Whose bytes are in the file.
    givers: Givers,
    /// Whether one source announced another length than one before it: one of the two is wrong, and nobody knows which.
    contradicted: bool,
    /// Whether what was not of one source alone did not make the right file.
    misfit: bool,
    /// Whether it was looked what an earlier fetch has left.
    looked: bool,
    /// Whether a start was told of what is in the file.
    told: bool,
}

/// The sources of the bytes that are in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Givers {
    #[default]
    Nobody,
    /// An earlier fetch, of which no more is known.
    Earlier,
    One(usize),
    Several,
}

impl Givers {
    fn and(self, source: usize) -> Self {
        match self {
            Self::Nobody => Self::One(source),
            Self::One(one) if one == source => self,
            _ => Self::Several,
        }
    }
}

impl<'a> Transfer<'a> {
    pub(super) fn new(spool: &'a Spool, terms: Terms<'a>) -> Self {
        Self {
            spool,
            terms,
            file: None,
            prepared: None,
            tail: None,
            total: None,
            origin: None,
            givers: Givers::Nobody,
            contradicted: false,
            misfit: false,
            looked: false,
            told: false,
        }
    }

    /// Whether sources contradicted each other, so that each should be asked [alone](Self::only): what was wrong may have come from another.
    pub(super) fn is_contradicted(&self) -> bool {
        self.contradicted || self.misfit
    }

    /// Whether the file that was [finished](Self::finish) last was wrong, and not all of the source that finished it.
    pub(super) fn is_misfit(&self) -> bool {
        self.misfit
    }

    /// Leaves nothing in the file that another source gave.
    pub(super) fn only(&mut self, source: usize, events: &mut (dyn FnMut(Event) + Send)) {
        if self.file.is_some() && self.givers != Givers::One(source) {
            self.discard(events);
        }
        (self.contradicted, self.misfit) = (false, false);
    }

    /// Asks one source for all that is missing. `source` numbers it, so that a validator of one source is never shown to another.
    ///
    /// # Errors
    /// [`DownloadError`]; what came until then stays for the next attempt, unless an event says otherwise.
    pub(super) async fn attempt(
        &mut self,
        source: usize,
        downloader: &dyn Downloader,
        request: &DownloadRequest,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), DownloadError> {
        self.check_verifiable(request)?;
        self.take_up().await.map_err(|error| spool_error(&request.redacted(), error))?;
        let earlier = self.givers == Givers::Earlier;
        match self.try_once(source, downloader, request, events).await {
            // What an earlier fetch has left is not of this file.
            Err(DownloadError::Changed { .. } | DownloadError::RangeNotSatisfiable { .. }) if earlier => {
                self.contradicted = false;
                self.discard(events);
                self.try_once(source, downloader, request, events).await
            }
            // Two sources disagree about the beginning. The first is the one that already failed: start over with this one.
            Err(DownloadError::Changed { .. }) if self.terms.live && self.is_verified_at_the_end() => {
                self.discard(events);
                self.try_once(source, downloader, request, events).await
            }
            other => other,
        }
    }

    /// Completes the file, the end of which this source gave or found there, and compares it with what was announced. A wrong file is discarded; if
    /// another source has given some of it, they [contradict](Self::is_contradicted) each other.
    ///
    /// # Errors
    /// [`DownloadError::Mismatch`], [`DownloadError::Spool`].
    pub(super) async fn finish(
        &mut self,
        source: usize,
        url: RedactedUrl,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(Spooled, Option<SpoolTail>), DownloadError> {
        // An empty file has no chunk that would have begun it.
        let mut file = self.file.take().unwrap_or_else(|| self.spool.create_with(self.options(None)));
        self.misfit = false;
        if self.terms.live && self.tail.is_none() {
            self.tail = Some(file.share().await.map_err(|error| spool_error(&url, error))?);
        }
        if self.terms.live && self.is_verified_at_the_end() {
            // Who reads along waits for the digests that were announced, and not for those that we want besides.
            let digests = file.settle().await.map_err(|error| spool_error(&url, error))?;
            if let Err(mismatch) = self.terms.expected.check(file.size(), &digests) {
                file.discard();
                return Err(self.mismatched(source, url, mismatch, events));
            }
            events(Event::Verified { size: file.size(), tail: self.tail.clone() });
        }
        let spooled = file.finish().await.map_err(|error| spool_error(&url, error))?;
        if let Err(mismatch) = spooled.verify(self.terms.expected) {
            return Err(self.mismatched(source, url, mismatch, events));
        }
        Ok((spooled, self.tail.take()))
    }

    fn mismatched(&mut self, source: usize, url: RedactedUrl, mismatch: Mismatch, events: &mut (dyn FnMut(Event) + Send)) -> DownloadError {
        // All of it may be another's, which broke off behind its last byte.
        self.misfit = ![Givers::Nobody, Givers::One(source)].contains(&self.givers);
        self.discard(events);
        DownloadError::Mismatch { url, mismatch }
    }

    /// Goes on with what an earlier fetch has left, if this is the first that is heard of the file.
    async fn take_up(&mut self) -> Result<(), StorageError> {
        if self.terms.partial.is_none() || std::mem::replace(&mut self.looked, true) {
            return Ok(());
        }
        let file = self.spool.resume(self.options(self.terms.expected.size)).await?;
        if file.size() > 0 {
            tracing::info!(bytes = file.size(), "going on where an earlier fetch broke off");
            (self.file, self.total, self.givers) = (Some(file), self.terms.expected.size, Givers::Earlier);
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        self.file.as_ref().map_or(0, SpoolFile::size)
    }

    fn is_verified_at_the_end(&self) -> bool {
        !self.terms.expected.digests.is_empty()
    }

    /// What cannot be verified in the end need not be fetched.
    fn check_verifiable(&self, request: &DownloadRequest) -> Result<(), DownloadError> {
        let announced = &self.terms.expected.digests;
        let computed = self.spool.algorithms();
        if announced.is_empty() || announced.iter().any(|(algorithm, _)| computed.contains(&algorithm)) {
            return Ok(());
        }
        let announced = announced.iter().map(|(algorithm, _)| algorithm).collect();
        Err(DownloadError::Mismatch { url: request.redacted(), mismatch: Mismatch::Unverifiable { announced } })
    }

    fn discard(&mut self, events: &mut (dyn FnMut(Event) + Send)) {
        if let Some(file) = self.file.take() {
            file.discard();
        }
        self.told = false;
        self.tail = None;
        self.total = None;
        self.origin = None;
        self.givers = Givers::Nobody;
        events(Event::Discarded);
    }

    fn options(&self, length: Option<u64>) -> NewFile {
        let announced = self.terms.expected.digests.iter().map(|(algorithm, _)| algorithm);
        let first = announced.filter(|algorithm| self.terms.live && self.spool.algorithms().contains(algorithm)).collect();
        length.map(NewFile::sized).unwrap_or_default().first(first, !self.terms.kept).partial(self.terms.partial.cloned())
    }

    /// The request for what is missing, as far as a part of the file can be trusted to belong to the rest.
    fn continued(&self, source: usize, request: &DownloadRequest) -> DownloadRequest {
        let position = self.position();
        let mut request = request.clone();
        request.if_none_match = None;
        request.range = None;
        request.if_range = None;
        if position == 0 {
            return request;
        }
        match &self.origin {
            Some((origin, validator)) if *origin == source => request.range(ByteRange::from(position), Some(validator.clone())),
            // Another source, or one without a validator: only the digest can tell whether the parts fit.
            _ if self.is_verified_at_the_end() => request.range(ByteRange::from(position), None),
            _ => request,
        }
    }

    async fn try_once(
        &mut self,
        source: usize,
        downloader: &dyn Downloader,
        request: &DownloadRequest,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), DownloadError> {
        let shown = request.redacted();
        let position = self.position();
        if position > 0 && self.total == Some(position) {
            return Ok(());
        }
        self.prepare().await.map_err(|error| spool_error(&shown, error))?;
        let download = match downloader.get(self.continued(source, request)).await {
            // Nobody has seen the beginning, so what the source has now is as good.
            Err(DownloadError::RangeNotSatisfiable { url }) if position > 0 && !self.terms.live => {
                self.discard(events);
                return Err(DownloadError::Changed { url });
            }
            // By its account the file ends earlier than another source said.
            Err(error @ DownloadError::RangeNotSatisfiable { .. }) if position > 0 && self.givers != Givers::One(source) => {
                self.contradicted = true;
                return Err(error);
            }
            other => other?,
        };
        if position == 0 && self.file.is_some() {
            // A source that gave a head and no bytes has made no promise.
            self.discard(events);
        }
        self.check_length(&download, &shown)?;
        let at = download.offset;
        if at < position && !self.terms.live {
            // Nobody has seen the beginning: take the new one.
            self.discard(events);
        }
        if at > self.position() {
            return Err(DownloadError::Interrupted { url: shown, detail: "the answer begins beyond what was asked for".to_owned() });
        }
        if !self.told {
            self.begin(Head::of(&download), events).await.map_err(|error| spool_error(&shown, error))?;
        }
        self.origin = download.validator.clone().map(|validator| (source, validator));
        let received = self.receive(source, download.body, at, &shown, events).await;
        // Whatever came of it: what was received is in the file before another attempt goes on behind it.
        self.catch_up(&shown, events).await?;
        received?;
        match self.terms.expected.size.or(self.total) {
            Some(size) if self.position() < size => {
                Err(DownloadError::Truncated { url: shown, expected: Some(size), got: self.position() })
            }
            _ => Ok(()),
        }
    }

    /// Takes in a body that begins at `at`. While blocks go into the file, the next is received.
    async fn receive(
        &mut self,
        source: usize,
        body: DownloadStream,
        mut at: u64,
        url: &RedactedUrl,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), DownloadError> {
        let mut body = body.peekable();
        loop {
            // Who waits for the first bytes need not wait for more of them.
            let most = if self.position() == 0 { 1 } else { GATHER };
            let chunks = tokio::select! {
                biased;
                // Who reads along need not wait for the source's next block to see this one.
                advanced = self.advance(url, events), if self.file.as_ref().is_some_and(SpoolFile::is_writing) => {
                    advanced?;
                    continue;
                }
                chunks = gather(&mut body, most) => chunks,
            };
            let Some(chunks) = chunks else { return Ok(()) };
            let mut new = chunks?;
            for chunk in &mut new {
                let len = chunk.len() as u64;
                if at < self.position() {
                    self.catch_up(url, events).await?;
                }
                *chunk = self.compare(at, std::mem::take(chunk), url).await?;
                at += len;
            }
            self.append(source, new, url, events).await?;
        }
    }

    /// Waits until what was received is in the file, and tells of it.
    async fn catch_up(&mut self, url: &RedactedUrl, events: &mut (dyn FnMut(Event) + Send)) -> Result<(), DownloadError> {
        while self.file.as_ref().is_some_and(SpoolFile::is_writing) {
            self.advance(url, events).await?;
        }
        Ok(())
    }

    /// The same for the first block of it that is not there yet.
    async fn advance(&mut self, url: &RedactedUrl, events: &mut (dyn FnMut(Event) + Send)) -> Result<(), DownloadError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.advance().await.map_err(|error| spool_error(url, error))?;
        events(Event::Advanced { size: file.written(), tail: self.tail.clone() });
        Ok(())
    }

    /// Refuses by the head what could only turn out wrong in the end.
    fn check_length(&mut self, download: &Download, url: &RedactedUrl) -> Result<(), DownloadError> {
        let Some(actual) = download.complete_length else {
            return Ok(());
        };
        if let Some(expected) = self.terms.expected.size
            && expected != actual
        {
            return Err(mismatched_size(url, expected, actual));
        }
        match self.terms.limit {
            Some(limit) if actual > limit => return Err(DownloadError::TooLong { url: url.clone(), limit }),
            _ => {}
        }
        match self.total {
            Some(total) if self.terms.live && total != actual => {
                self.contradicted = true;
                Err(mismatched_size(url, total, actual))
            }
            _ => Ok(()),
        }
    }

    /// Has the file made that somebody waits to read, if it is known to be one that needs its place in the spool soon.
    async fn prepare(&mut self) -> Result<(), StorageError> {
        let large = self.terms.expected.size.filter(|size| *size > GATHER as u64);
        if self.terms.live && self.file.is_none() && self.prepared.is_none() && large.is_some() {
            let mut file = self.spool.create_with(self.options(large));
            file.prepare().await?;
            self.prepared = Some(file);
        }
        Ok(())
    }

    async fn begin(&mut self, mut head: Head, events: &mut (dyn FnMut(Event) + Send)) -> Result<(), StorageError> {
        head.length = self.terms.expected.size.or(head.length);
        self.total = head.length;
        let known = self.file.take().or_else(|| self.prepared.take());
        let mut file = known.unwrap_or_else(|| self.spool.create_with(self.options(head.length)));
        let here = file.size();
        // One that is not made ahead is made with its first bytes, and shared then.
        if self.terms.live && (here > 0 || file.is_writing()) {
            self.tail = Some(file.share().await?);
        }
        self.file = Some(file);
        self.told = true;
        events(Event::Started { head, here, tail: self.tail.clone() });
        Ok(())
    }

    /// Of a chunk that begins at `at`, gives what is new. What is in the file already must be the same.
    async fn compare(&self, mut at: u64, mut chunk: Bytes, url: &RedactedUrl) -> Result<Bytes, DownloadError> {
        let position = self.position();
        while at < position && !chunk.is_empty() {
            let Some(tail) = &self.tail else {
                return Err(DownloadError::Changed { url: url.clone() });
            };
            let known = usize::try_from(position - at).unwrap_or(usize::MAX).min(chunk.len());
            let old = tail.read_at(at, known as u64).await.map_err(|error| spool_error(url, error))?;
            if old.is_empty() || old != chunk[..old.len().min(known)] {
                return Err(DownloadError::Changed { url: url.clone() });
            }
            at += old.len() as u64;
            let _ = chunk.split_to(old.len());
        }
        Ok(chunk)
    }

    async fn append(
        &mut self,
        source: usize,
        chunks: Vec<Bytes>,
        url: &RedactedUrl,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), DownloadError> {
        let len: usize = chunks.iter().map(Bytes::len).sum();
        if len == 0 {
            return Ok(());
        }
        let size = self.position() + len as u64;
        match (self.total, self.terms.limit) {
            (Some(total), _) if size > total => return Err(mismatched_size(url, total, size)),
            (_, Some(limit)) if size > limit => return Err(DownloadError::TooLong { url: url.clone(), limit }),
            _ => {}
        }
        while self.file.as_ref().is_some_and(SpoolFile::is_full) {
            self.advance(url, events).await?;
        }
        let begins = self.position() == 0;
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if begins
            && self.tail.is_some()
            && let Some(first) = chunks.first()
        {
            events(Event::Arrived(first.clone()));
            // Who waits for them goes on before they are written, and others received.
            tokio::task::yield_now().await;
        }
        file.write_all(chunks).await.map_err(|error| spool_error(url, error))?;
        self.givers = self.givers.and(source);
        if self.terms.live && self.tail.is_none() {
            self.tail = Some(file.share().await.map_err(|error| spool_error(url, error))?);
            events(Event::Advanced { size: file.written(), tail: self.tail.clone() });
        }
        Ok(())
    }
}

fn mismatched_size(url: &RedactedUrl, expected: u64, actual: u64) -> DownloadError {
    DownloadError::Mismatch { url: url.clone(), mismatch: Mismatch::Size { expected, actual } }
}

fn spool_error(url: &RedactedUrl, error: StorageError) -> DownloadError {
    DownloadError::Spool { url: url.clone(), source: std::sync::Arc::new(error) }
}

/// The next chunk, and with it all that is ready, up to a number of bytes: sources send in small pieces, and each write is a hop to another
/// thread.
async fn gather(body: &mut Peekable<DownloadStream>, most: usize) -> Option<Result<Vec<Bytes>, DownloadError>> {
    let first = match body.next().await? {
        Ok(chunk) => chunk,
        Err(error) => return Some(Err(error)),
    };
    let mut len = first.len();
    let mut chunks = vec![first];
    // An error, like the end, is left for the next call.
    while len < most
        && let Some(Some(Ok(chunk))) = Pin::new(&mut *body).next_if(Result::is_ok).now_or_never()
    {
        len += chunk.len();
        chunks.push(chunk);
    }
    Some(Ok(chunks))
}
