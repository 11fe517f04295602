//! From a request to an answer: files, ranges, conditions, and the faults of the head.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use percent_encoding::percent_decode_str;

use super::body::Sending;
use super::fault::{Fault, Met};
use super::wire::Signals;
use super::world::{File, Recorded, World};

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// Modification times begin here and go up by a minute with every revision.
const EPOCH: u64 = 1_600_000_000;

/// Answers one request, or hangs up: that is the error.
pub(super) async fn answer<B>(
    world: Arc<World>,
    signals: Arc<Signals>,
    request: Request<B>,
    client_certificate: bool,
) -> io::Result<Response<Body>> {
    let path = percent_decode_str(request.uri().path().trim_start_matches('/')).decode_utf8_lossy().into_owned();
    world.record(Recorded {
        method: request.method().clone(),
        path: path.clone(),
        target: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        headers: request.headers().clone(),
        client_certificate,
    });
    if let Some(status) = world.refusal(request.headers()) {
        let mut response = text(status, "credentials are required here\n");
        if status == 401 {
            let challenge = "Basic realm=\"upstream\"".parse().map_err(io::Error::other)?;
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        return Ok(response);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(text(405, "GET and HEAD only\n"));
    }
    let met = world.meet(&path, request.method() == Method::HEAD);
    match &met.event {
        Some(Fault::Hangup) => {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "planned fault"));
        }
        Some(Fault::Status(status)) => return Ok(text(*status, "planned fault\n")),
        Some(Fault::TooManyRequests { retry_after }) => {
            let mut response = text(429, "planned fault\n");
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, (*seconds).into());
            }
            return Ok(response);
        }
        Some(Fault::Redirect(to)) => return redirect(to),
        Some(Fault::RedirectLoop) => return redirect(request.uri().path()),
        _ => {}
    }
    let Some(file) = world.file(&path) else {
        return Ok(text(404, "no such file here\n"));
    };
    send(world, signals, request.method(), request.headers(), path, file, met).await
}

async fn send(
    world: Arc<World>,
    signals: Arc<Signals>,
    method: &Method,
    asked: &HeaderMap,
    path: String,
    file: File,
    met: Met,
) -> io::Result<Response<Body>> {
    let etag = if met.has(&Fault::NoEtag) {
        None
    } else if met.has(&Fault::WeakEtag) {
        Some(format!("W/\"{}\"", file.etag))
    } else {
        Some(format!("\"{}\"", file.etag))
    };
    let modified = httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(EPOCH + 60 * file.revision));
    let mut head = Response::builder().header(CONTENT_TYPE, "application/octet-stream").header(LAST_MODIFIED, &modified);
    if let Some(etag) = &etag {
        head = head.header(ETAG, etag);
    }
    let unchanged = match (value(asked, IF_NONE_MATCH.as_str()), &etag) {
        (Some(tags), Some(etag)) => tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag.trim_start_matches("W/")),
        (Some(_), None) => false,
        (None, _) => value(asked, IF_MODIFIED_SINCE.as_str()) == Some(modified.as_str()),
    };
    if unchanged {
        return head.status(304).body(empty()).map_err(io::Error::other);
    }

    let len = file.blob.len();
    let mut window = 0..len;
    let ranged = !met.has(&Fault::NoRange);
    if ranged {
        head = head.header(ACCEPT_RANGES, "bytes");
        let same = match value(asked, IF_RANGE.as_str()) {
            None => true,
            // A weak tag never matches here: RFC 9110, 13.1.5.
            Some(tag) => Some(tag) == etag.as_deref().filter(|tag| !tag.starts_with("W/")) || tag == modified,
        };
        match value(asked, RANGE.as_str()).filter(|_| same).map(|range| parse_range(range, len)) {
            None | Some(Asked::Everything) => {}
            Some(Asked::Nothing) => {
                return head
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(CONTENT_RANGE, format!("bytes */{len}"))
                    .body(empty())
                    .map_err(io::Error::other);
            }
            Some(Asked::Window(mut asked)) => {
                if let Some(Fault::WrongRange(later)) = met.event {
                    asked = (asked.start + later).min(len - 1)..len.min(asked.end + later);
                }
                head = head
                    .status(StatusCode::PARTIAL_CONTENT)
                    .header(CONTENT_RANGE, format!("bytes {}-{}/{len}", asked.start, asked.end - 1));
                window = asked;
            }
        }
    }

    let mut blob = file.blob;
    if met.event == Some(Fault::Gzip) {
        blob = gzip(&blob.read(window.start, (window.end - window.start) as usize)).await?.into();
        window = 0..blob.len();
        head = head.header(CONTENT_ENCODING, "gzip");
    }
    let length = window.end - window.start;
    if !met.has(&Fault::NoLength) {
        let stated = match met.event {
            Some(Fault::LyingLength(more)) => length.saturating_add_signed(more),
            _ => length,
        };
        head = head.header(CONTENT_LENGTH, stated);
    }
    if method == Method::HEAD {
        return head.body(empty()).map_err(io::Error::other);
    }
    let flips = met.properties.iter().filter_map(|property| match property {
        Fault::FlipByte(at) => Some(*at),
        _ => None,
    });
    let sending =
        Sending { world, signals, path, blob, at: window.start, end: window.end, flips: flips.collect(), event: met.event, sent: 0 };
    let frames = futures::StreamExt::map(sending.into_stream(), |bytes| bytes.map(Frame::data));
    head.body(BodyExt::boxed(StreamBody::new(frames))).map_err(io::Error::other)
}

/// What a `Range` header comes to.
#[derive(Debug, PartialEq)]
enum Asked {
    Everything,
    Nothing,
    Window(Range<u64>),
}

/// One range of bytes; several, or what is not understood, is as if nothing was asked (RFC 9110, 14.2).
fn parse_range(header: &str, len: u64) -> Asked {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Everything;
    };
    let window = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..len.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..len,
        (Err(_), Ok(suffix)) if first.is_empty() => len.saturating_sub(suffix)..len,
        _ => return Asked::Everything,
    };
    if window.start >= window.end { Asked::Nothing } else { Asked::Window(window) }
}

async fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    use tokio::io::AsyncWriteExt;
    let mut encoder = async_compression::tokio::write::GzipEncoder::new(Vec::new());
    encoder.write_all(bytes).await?;
    encoder.shutdown().await?;
    Ok(encoder.into_inner())
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn redirect(to: &str) -> io::Result<Response<Body>> {
    let mut response = text(302, "");
    let location = to.parse().map_err(io::Error::other)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn empty() -> Body {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed()
}

fn text(status: u16, message: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(message.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed());
    // A status that HTTP has no room for is a slip of the test; 500 shows it.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// The value of an `Authorization` (or `Proxy-Authorization`) header for these credentials.
pub(crate) fn basic(user: &str, password: &str) -> http::HeaderValue {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    http::HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes=0-0", 10), Asked::Window(0..1));
        assert_eq!(parse_range("bytes=3-", 10), Asked::Window(3..10));
        assert_eq!(parse_range("bytes=3-99", 10), Asked::Window(3..10));
        assert_eq!(parse_range("bytes=-4", 10), Asked::Window(6..10));
        assert_eq!(parse_range("bytes=-40", 10), Asked::Window(0..10));
        assert_eq!(parse_range("bytes=10-", 10), Asked::Nothing);
        assert_eq!(parse_range("bytes=0-", 0), Asked::Nothing);
        assert_eq!(parse_range("bytes=-0", 10), Asked::Nothing);
        for nonsense in ["bytes=", "bytes=5-3", "lines=0-1", "bytes=0-1,4-5", "0-1"] {
            assert_eq!(parse_range(nonsense, 10), Asked::Everything, "{nonsense}");
        }
    }
}
