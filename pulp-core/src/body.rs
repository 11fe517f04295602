//! The one body of responses, and of requests once they are inside.

mod part;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::task::JoinHandle;

pub use part::{FilePart, OpenFile, Part};

/// Why a body ended before its end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body: nothing, some bytes, or a stream.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(UnsyncBoxBody<Bytes, BodyError>),
    Counted(UnsyncBoxBody<Bytes, BodyError>, Count),
    // Boxed, for most bodies are smaller, and a response is handed on many times.
    Parts(Box<Parts>),
}

/// Parts of files, and what is being read of one because nobody has asked for it as it is.
struct Parts {
    /// Parts that are still to come, if there is more than one.
    coming: Option<BoxStream<'static, Result<Part, BodyError>>>,
    /// How many bytes are still to come, where known.
    left: Option<u64>,
    at: Option<FilePart>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    count: Option<Count>,
    /// How many of the bytes that were counted have been given back.
    returned: u64,
}

/// Is told of bytes as they leave.
type Count = Box<dyn Fn(u64) + Send>;

/// A body was larger than allowed, or broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadBodyError {
    /// More bytes than allowed.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// How many are.
        limit: usize,
    },
    /// The other side broke off.
    #[error("the request body broke off: {0}")]
    Broken(BodyError),
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body from any other, such as what hyper gives a server.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self(Kind::Stream(body.map_err(Into::into).boxed_unsync()))
    }

    /// A body of chunks that come one after the other. An error ends the response abruptly, so that a client can tell.
    pub fn stream<S, E>(chunks: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BodyError> + 'static,
    {
        Self(Kind::Stream(BodyExt::boxed_unsync(StreamBody::new(chunks.map_ok(Frame::data).map_err(Into::into)))))
    }

    /// How many bytes it has, where all of them are there already.
    pub(crate) fn ready(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Full(bytes) => Some(bytes.len() as u64),
            Kind::Stream(_) | Kind::Counted(..) | Kind::Parts(_) => None,
        }
    }

    /// The same body; `count` is told of its bytes as they leave, of those that come one after the other.
    pub(crate) fn counted(self, count: impl Fn(u64) + Send + 'static) -> Self {
        Self(match self.0 {
            Kind::Stream(stream) | Kind::Counted(stream, _) => Kind::Counted(stream, Box::new(count)),
            Kind::Parts(mut parts) => {
                parts.count = Some(Box::new(count));
                Kind::Parts(parts)
            }
            ready => ready,
        })
    }

    /// The bytes, if they are in memory; else the body itself.
    pub(crate) fn full(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Empty => Ok(Bytes::new()),
            Kind::Full(bytes) => Ok(bytes),
            Kind::Stream(_) | Kind::Counted(..) | Kind::Parts(_) => Err(self),
        }
    }

    /// A part of a file on this host.
    pub fn file(part: FilePart) -> Self {
        let left = Some(part.size());
        Self(Kind::Parts(Box::new(Parts::new(None, left, Some(part)))))
    }

    /// A body of parts that come one after the other, as [`stream`](Self::stream).
    pub fn parts<S, E>(parts: S) -> Self
    where
        S: Stream<Item = Result<Part, E>> + Send + 'static,
        E: Into<BodyError> + 'static,
    {
        Self(Kind::Parts(Box::new(Parts::new(Some(parts.map_err(Into::into).boxed()), None, None))))
    }

    /// The next part: of a file as it is, for those who can send it without reading it.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, BodyError>>> {
        if let Kind::Parts(parts) = &mut self.0
            && parts.reading.is_none()
        {
            return parts.poll_part(cx);
        }
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut *self).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => Some(Ok(Part::Bytes(bytes))),
                    Err(_) => continue,
                },
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }

    /// Takes a part of a file back that cannot be sent as it is after all: it is read when it comes again.
    pub fn give_back(&mut self, part: FilePart) {
        if let Kind::Parts(parts) = &mut self.0 {
            parts.left = parts.left.map(|left| left + part.size());
            parts.returned += part.size();
            parts.at = Some(part);
        }
    }

    /// Reads all of it into memory.
    ///
    /// # Errors
    /// If it is larger than `limit` bytes, or breaks off.
    pub async fn read(mut self, limit: usize) -> Result<Bytes, ReadBodyError> {
        let too_large = ReadBodyError::TooLarge { limit };
        if self.size_hint().lower() > limit as u64 {
            return Err(too_large);
        }
        if let Kind::Full(bytes) = self.0 {
            return Ok(bytes);
        }
        let mut all = Vec::new();
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame.map_err(ReadBodyError::Broken)?.into_data() {
                if all.len() + data.len() > limit {
                    return Err(too_large);
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(all.into())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) | Kind::Counted(..) | Kind::Parts(_) => f.write_str("Body(stream)"),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => Pin::new(stream).poll_frame(cx),
            Kind::Counted(stream, count) => {
                let polled = Pin::new(stream).poll_frame(cx);
                if let Poll::Ready(Some(Ok(frame))) = &polled
                    && let Some(data) = frame.data_ref()
                {
                    count(data.len() as u64);
                }
                polled
            }
            Kind::Parts(parts) => parts.poll_read(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream(stream) | Kind::Counted(stream, _) => stream.is_end_stream(),
            Kind::Parts(parts) => parts.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) | Kind::Counted(stream, _) => stream.size_hint(),
            Kind::Parts(parts) => parts.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Parts {
    fn new(coming: Option<BoxStream<'static, Result<Part, BodyError>>>, left: Option<u64>, at: Option<FilePart>) -> Self {
        Self { coming, left, at, reading: None, count: None, returned: 0 }
    }

    fn poll_coming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, BodyError>>> {
        self.coming.as_mut().map_or(Poll::Ready(None), |coming| coming.as_mut().poll_next(cx))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, BodyError>>> {
        let part = match self.at.take() {
            Some(part) => Some(Ok(Part::File(part))),
            None => ready!(self.poll_coming(cx)),
        };
        if let Some(Ok(part)) = &part {
            self.gave(match part {
                Part::Bytes(bytes) => bytes.len() as u64,
                Part::File(part) => part.size(),
            });
        }
        Poll::Ready(part)
    }

    /// The next bytes, read on a blocking thread where they are those of a file.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(cx));
                self.reading = None;
                let bytes = read.map_err(io::Error::other).flatten()?;
                self.gave(bytes.len() as u64);
                return Poll::Ready(Some(Ok(bytes)));
            }
            if let Some(read) = self.at.as_mut().and_then(FilePart::next) {
                self.reading = Some(tokio::task::spawn_blocking(read));
                continue;
            }
            match ready!(self.poll_coming(cx)) {
                Some(Ok(Part::File(part))) => self.at = Some(part),
                Some(Ok(Part::Bytes(bytes))) => {
                    self.gave(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn gave(&mut self, bytes: u64) {
        self.left = self.left.map(|left| left.saturating_sub(bytes));
        let again = self.returned.min(bytes);
        self.returned -= again;
        if let Some(count) = &self.count {
            count(bytes - again);
        }
    }
}

/// In the extensions of a request: the front end sends [parts of files](FilePart) by itself, without reading them, so that nothing need be
/// read for it beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendsFiles;

/// Why a response has its status, in its extensions: a front end that speaks HTTP/1.1 can write it as the reason phrase, as Pulp does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonText(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_larger_than_allowed_is_refused_however_it_comes() {
        let chunks = || futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"def"))]);
        assert_eq!(Body::stream(chunks()).read(6).await.unwrap(), "abcdef");
        assert!(matches!(Body::stream(chunks()).read(5).await, Err(ReadBodyError::TooLarge { limit: 5 })));
        assert!(matches!(Body::from("abcdef").read(5).await, Err(ReadBodyError::TooLarge { limit: 5 })));
        assert_eq!(Body::empty().read(0).await.unwrap(), "");
    }
}
