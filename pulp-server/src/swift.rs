//! Answers that go out before hyper has heard the question.
//!
//! Most requests for small files can be answered from memory, and what hyper does for a request takes longer than that. So a connection looks at
//! what comes in between two messages: the head of a plain request whose answer is [at hand](Answer::at_hand) is answered from here. All else goes
//! to hyper, byte for byte, and nothing is looked at until it has answered. Whatever could be understood in two ways (a body, an upgrade, a
//! head that is none, a request that comes before the one before it is answered) is left to hyper, with all that follows on the connection.

mod head;

use std::cell::RefCell;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::request::Parts;
use pulp_core::content::AtHand;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use head::{Head, Scratch};

/// So many answers in a row, and others on this thread have their turn.
const IN_A_ROW: usize = 32;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Who may have an answer at hand, and is told when it was used.
pub(crate) trait Ready: Send + Sync + 'static {
    /// The answer to a request without a body.
    fn at_hand(&self, request: &mut Parts) -> Option<AtHand>;

    /// It was given.
    fn given(&self, request: &Parts, answer: &AtHand);
}

/// The requests that hyper has made of one connection.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// One of them: it ends, however it does, when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Turns>);

impl Turn {
    pub(crate) fn begin(turns: &Arc<Turns>) -> Self {
        turns.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(turns))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Turns {
    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A connection that answers what is at hand, below hyper.
pub(crate) struct Swift<S, R> {
    socket: S,
    ready: R,
    turns: Arc<Turns>,
    /// Heard, and neither answered nor handed to hyper.
    heard: Vec<u8>,
    /// How much of that goes to hyper.
    up: usize,
    /// Requests that have gone to hyper.
    passed: u64,
    /// Whether requests are still looked at.
    looks: bool,
    /// Whether hyper has sent all that it had to send.
    flushed: bool,
    /// What has not been sent of an answer.
    rest: Option<(Bytes, Bytes)>,
    waits: Waits,
}

impl<S: AsyncRead + AsyncWrite + Unpin, R: Ready + Unpin> Swift<S, R> {
    /// Ends a connection of which no whole head of a request comes within `patience`, or twice that after an answer of hyper's.
    pub(crate) fn new(socket: S, ready: R, turns: Arc<Turns>, patience: Duration) -> Self {
        Self {
            socket,
            ready,
            turns,
            heard: Vec::new(),
            up: 0,
            passed: 0,
            looks: true,
            flushed: true,
            rest: None,
            waits: Waits { patience: Some(patience), since: None, turn: 0, timer: None },
        }
    }

    /// Whether what comes next is the beginning of a request.
    fn is_between_messages(&self) -> bool {
        let ended = self.turns.ended();
        self.looks && self.flushed && self.passed == ended && self.turns.begun() == ended
    }

    /// From now on, hyper hears all.
    fn leave_to_hyper(&mut self) {
        self.looks = false;
        self.up = self.heard.len();
    }

    /// Hears what has come, and answers what it can.
    fn poll_hear(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<usize>> {
        let before = self.heard.len();
        scratch.bytes[..before].copy_from_slice(&self.heard);
        let mut read = ReadBuf::new(&mut scratch.bytes[before..]);
        if Pin::new(&mut self.socket).poll_read(cx, &mut read)?.is_pending() {
            ready!(self.waits.poll(cx, &self.turns))?;
        }
        let end = before + read.filled().len();
        self.heard.clear();
        if end == before {
            self.heard.extend_from_slice(&scratch.bytes[..end]);
            self.leave_to_hyper();
            return Poll::Ready(Ok(0));
        }
        let (mut at, mut answers) = (0, 0);
        let mut left = false;
        while at < end && self.rest.is_none() {
            match scratch.look(at..end) {
                Head::Partial if end - at < scratch.bytes.len() => break,
                Head::Plain(len) => match self.ready.at_hand(&mut scratch.request) {
                    Some(answer) => {
                        at += len;
                        answers += 1;
                        self.waits.since = None;
                        self.ready.given(&scratch.request, &answer);
                        self.send(cx, &mut scratch.head, answer)?;
                    }
                    None => {
                        self.passed += 1;
                        self.up = len;
                        break;
                    }
                },
                Head::Partial | Head::Strange => {
                    left = true;
                    break;
                }
            }
        }
        self.heard.extend_from_slice(&scratch.bytes[at..end]);
        if left {
            if self.heard.starts_with(b"PRI ") {
                // A connection of HTTP/2 may rest for as long as it likes.
                self.waits.patience = None;
            }
            self.leave_to_hyper();
        }
        Poll::Ready(Ok(answers))
    }

    fn send(&mut self, cx: &mut Context<'_>, head: &mut Vec<u8>, answer: AtHand) -> io::Result<()> {
        head::write(head, answer.lines());
        let parts = [IoSlice::new(head), IoSlice::new(answer.bytes())];
        let sent = match Pin::new(&mut self.socket).poll_write_vectored(cx, &parts)? {
            Poll::Ready(sent) => sent,
            Poll::Pending => 0,
        };
        if sent < head.len() + answer.bytes().len() {
            let (mut head, mut bytes) = (Bytes::copy_from_slice(head), answer.bytes().clone());
            advance(&mut head, &mut bytes, sent);
            self.rest = Some((head, bytes));
        }
        Ok(())
    }

    /// Sends what has not been sent of an answer.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((head, bytes)) = &mut self.rest {
            let parts = [IoSlice::new(head), IoSlice::new(bytes)];
            let sent = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, &parts))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            advance(head, bytes, sent);
            if head.is_empty() && bytes.is_empty() {
                self.rest = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn advance(head: &mut Bytes, bytes: &mut Bytes, sent: usize) {
    let of_head = sent.min(head.len());
    head.advance(of_head);
    bytes.advance(sent - of_head);
}

impl<S: AsyncRead + AsyncWrite + Unpin, R: Ready + Unpin> AsyncRead for Swift<S, R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut answers = 0;
        loop {
            ready!(this.poll_rest(cx))?;
            if this.up > 0 {
                let len = this.up.min(buf.remaining());
                buf.put_slice(&this.heard[..len]);
                this.heard.drain(..len);
                this.up -= len;
                return Poll::Ready(Ok(()));
            }
            if !this.is_between_messages() {
                if !this.heard.is_empty() {
                    this.leave_to_hyper();
                    continue;
                }
                let before = buf.filled().len();
                if Pin::new(&mut this.socket).poll_read(cx, buf)?.is_pending() {
                    return this.waits.poll(cx, &this.turns);
                }
                // A request that did not wait for the answer to the one before, or a part of one.
                this.looks &= buf.filled().len() == before;
                return Poll::Ready(Ok(()));
            }
            if answers >= IN_A_ROW {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            answers += ready!(SCRATCH.with_borrow_mut(|scratch| this.poll_hear(cx, scratch)))?;
            if !this.looks && this.heard.is_empty() {
                // The end.
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, R: Ready + Unpin> AsyncWrite for Swift<S, R> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(cx))?;
        self.flushed = false;
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(cx))?;
        self.flushed = false;
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(cx))?;
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        // hyper flushes when it has handed over all that it had.
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// How long nothing has come from a client that is owed nothing.
struct Waits {
    /// None: for ever.
    patience: Option<Duration>,
    since: Option<Instant>,
    /// How many requests hyper had made by then.
    turn: u64,
    /// Goes off at that time, or too early: then it is set anew.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Waits {
    /// To be asked when nothing can be heard. Ready, with an error, when that has been so for too long.
    fn poll(&mut self, cx: &mut Context<'_>, turns: &Turns) -> Poll<io::Result<()>> {
        let Some(patience) = self.patience else { return Poll::Pending };
        let turn = turns.begun();
        let is_answering = turn != turns.ended();
        if is_answering || turn != self.turn {
            (self.turn, self.since) = (turn, None);
        }
        let until = *self.since.get_or_insert_with(Instant::now) + patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        while timer.as_mut().poll(cx).is_ready() {
            if !is_answering && timer.deadline() >= until {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            // hyper does not ask again when it has answered: then this goes off for it.
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
