//! Files that go out without being read: the kernel takes them from the page cache to the socket.
//!
//! hyper hands the pieces of a body to the socket by pointer, uncopied. A part of a file is given to it as the bytes of a
//! [map](map::Map) of that file, which nobody ever looks at: where the [socket](Socket) is to write bytes that lie in a map that its
//! connection knows, it tells the kernel to send that part of the file. Whoever does look at the bytes finds the right ones.

mod map;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pulp_core::body::{Body, BodyError, FilePart, OpenFile, Part};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::swift::Turn;
use map::Map;

/// What is asked of the kernel at a time, in bytes: a thread is kept no longer by one client.
const MOST: usize = 2 << 20;
/// Less than this is copied: that is cheaper than another call.
const LEAST: usize = 4 << 10;

/// The parts of files that are on their way on one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnTheWay(Arc<Mutex<Vec<Arc<OpenFile>>>>);

/// A place in a file.
struct Place {
    file: Arc<OpenFile>,
    offset: u64,
}

impl OnTheWay {
    fn files(&self) -> std::sync::MutexGuard<'_, Vec<Arc<OpenFile>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part as bytes that are sent without being read. `None` if its file cannot be mapped.
    fn bytes(&self, part: &FilePart) -> Option<Bytes> {
        let file = part.file();
        let map = file.keep(Map::of)?;
        map.slice(part.range())?;
        self.files().push(Arc::clone(file));
        Some(Bytes::from_owner(Sent { part: part.clone(), on_the_way: self.clone() }))
    }

    /// The place in a file that bytes stand for, if they do.
    fn place(&self, bytes: &[u8]) -> Option<Place> {
        self.files().iter().find_map(|file| {
            let offset = file.keep(Map::of)?.offset(bytes)?;
            Some(Place { file: Arc::clone(file), offset })
        })
    }
}

/// Holds a part, and its file’s map, for as long as hyper has its bytes.
struct Sent {
    part: FilePart,
    on_the_way: OnTheWay,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        let map = self.part.file().keep(Map::of);
        map.and_then(|map| map.slice(self.part.range())).unwrap_or_default()
    }
}

impl Drop for Sent {
    /// Before the map may go: another could lie at its address next.
    fn drop(&mut self) {
        let mut files = self.on_the_way.files();
        if let Some(at) = files.iter().position(|file| Arc::ptr_eq(file, self.part.file())) {
            files.swap_remove(at);
        }
    }
}

/// A body for a connection: one that sends files, or any other.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Body,
    on_the_way: Option<OnTheWay>,
    /// Where all belongs that the body begins.
    shared: Handle,
    /// Lasts until all of it has been taken.
    _turn: Option<Turn>,
}

impl Outgoing {
    pub(crate) fn new(body: Body, on_the_way: Option<OnTheWay>, shared: Handle, turn: Option<Turn>) -> Self {
        Self { body, on_the_way, shared, _turn: turn }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let _within = this.shared.enter();
        let Some(on_the_way) = &this.on_the_way else { return Pin::new(&mut this.body).poll_frame(cx) };
        let part = match ready!(this.body.poll_part(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(Part::Bytes(bytes))) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Ok(Part::File(part))) => part,
        };
        match on_the_way.bytes(&part) {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => {
                this.body.give_back(part);
                Pin::new(&mut this.body).poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that sends files.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    on_the_way: OnTheWay,
    /// Bytes of a file that come from the disk, for which no thread of the runtime may wait.
    warming: Option<JoinHandle<()>>,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp, on_the_way: OnTheWay::default(), warming: None }
    }

    pub(crate) fn on_the_way(&self) -> OnTheWay {
        self.on_the_way.clone()
    }

    /// Waits until the place has been read from the disk, if it has not been before.
    fn poll_warm(&mut self, cx: &mut Context<'_>, place: &Place, len: usize) -> Poll<()> {
        if self.warming.is_none() && !map::is_in_memory(place.file.file(), place.offset, len) {
            let (file, offset) = (Arc::clone(place.file.file()), place.offset);
            self.warming = Some(tokio::task::spawn_blocking(move || map::read_in(&file, offset, len)));
        }
        if let Some(warming) = &mut self.warming {
            // However it went, the kernel will say it when it sends.
            let _ = ready!(Pin::new(warming).poll(cx));
            self.warming = None;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let found =
            bufs.iter().enumerate().filter(|(_, buf)| buf.len() >= LEAST).find_map(|(at, buf)| Some((at, this.on_the_way.place(buf)?)));
        let Some((at, place)) = found else { return Pin::new(&mut this.tcp).poll_write_vectored(cx, bufs) };
        let len = bufs[at].len().min(MOST);
        ready!(this.poll_warm(cx, &place, len));
        loop {
            ready!(this.tcp.poll_write_ready(cx))?;
            match this.tcp.try_io(Interest::WRITABLE, || send(&this.tcp, &bufs[..at], &place, len)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Sends what comes before a file, and then of the file what the socket takes; how much that was together.
fn send(tcp: &TcpStream, before: &[IoSlice<'_>], place: &Place, len: usize) -> io::Result<usize> {
    let first: usize = before.iter().map(|buf| buf.len()).sum();
    if first > 0 {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        let sent = rustix::net::sendmsg(tcp, before, &mut SendAncillaryBuffer::default(), flags)?;
        if sent < first {
            return Ok(sent);
        }
    }
    let mut offset = place.offset;
    match rustix::fs::sendfile(tcp, &**place.file.file(), Some(&mut offset), len) {
        Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file ended before its end")),
        Ok(sent) => Ok(first + sent),
        // Next time.
        Err(error) if first > 0 && error == rustix::io::Errno::AGAIN => Ok(first),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
