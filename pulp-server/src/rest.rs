//! The rest of a request that was answered before its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// As much of a refused body is thrown away; more, or slower, and the connection is closed.
const MOST: usize = 64 << 20;
const LONGEST: Duration = Duration::from_secs(10);

/// A request's body. What nobody has read of it is read and thrown away: closing a connection that has unread bytes resets it, and the
/// client would lose the answer that tells what was wrong.
#[derive(Debug)]
pub(crate) struct Whole {
    rest: Option<Incoming>,
}

impl Whole {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { rest: Some(body) }
    }

    /// Whether the client may be sending while the answer is on its way. In HTTP/2 a stream ends alone; and who waits for `100 Continue`
    /// must not get it from us.
    pub(crate) fn is_needed(version: Version, headers: &HeaderMap) -> bool {
        version < Version::HTTP_2 && !headers.contains_key(header::EXPECT)
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.rest else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take().filter(|rest| !rest.is_end_stream())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(LONGEST, discard(rest)));
        }
    }
}

async fn discard(mut rest: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = rest.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(size) {
            Some(less) => left = less,
            None => return,
        }
    }
}
