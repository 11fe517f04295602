//! Compression of answers that are made as they are asked for: listings, and the API's JSON.
//!
//! Stored files go out as they are: their `ETag` is their digest, they have ranges, and most of them are compressed already.

use std::io::{self, Write as _};
use std::pin::Pin;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;

use crate::body::{Body, BodyError};

/// Shorter answers are sent as they are: they fit into a packet.
const LEAST: u64 = 1_400;
/// Up to this size an answer is compressed at once; a longer one piece by piece, so that others have their turn in between.
const AT_ONCE: usize = 128 << 10;
const PIECE: usize = 64 << 10;
/// The fastest; the levels above make texts of this kind little smaller.
const LEVEL: u32 = 1;

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Whether an answer is to be compressed: not for what a page of another site asks for. Whoever can make a browser ask, and sees how long the
/// answers are, could guess at what stands in them.
pub(crate) fn is_wanted(method: &Method, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    *method == Method::GET && matches!(site, None | Some(b"same-origin" | b"none")) && takes_gzip(headers)
}

/// Whether the client takes gzip (RFC 9110, 12.5.3): it names it, or all.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut all = false;
    let texts = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for coding in texts.flat_map(|text| text.split(',')) {
        let mut words = coding.split(';').map(str::trim);
        let name = words.next().unwrap_or_default();
        let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
        let taken = weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return taken;
        }
        all = if name == "*" { taken } else { all };
    }
    all
}

/// Compresses an answer, if that helps and is wanted. One that could be compressed says that it depends on what the client takes, in either case.
pub(crate) fn compress(wanted: bool, mut response: Response<Body>) -> Response<Body> {
    if !is_worth_it(&response) {
        return response;
    }
    vary(response.headers_mut());
    if !wanted {
        return response;
    }
    let (mut head, body) = response.into_parts();
    for name in [CONTENT_LENGTH, ACCEPT_RANGES, REPR_DIGEST] {
        head.headers.remove(name);
    }
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    // Other bytes, of the same meaning.
    if let Some(weak) = head.headers.get(ETAG).and_then(weak) {
        head.headers.insert(ETAG, weak);
    }
    let body = match body.full() {
        Ok(bytes) if bytes.len() <= AT_ONCE => match at_once(&bytes) {
            Ok(compressed) => {
                head.headers.insert(CONTENT_LENGTH, compressed.len().into());
                Body::from(compressed)
            }
            Err(error) => Body::stream(stream::iter([Err::<Bytes, _>(error)])),
        },
        Ok(bytes) => {
            let at = move |start: usize| (start < bytes.len()).then(|| (bytes.slice(start..bytes.len().min(start + PIECE)), start + PIECE));
            let pieces = stream::unfold(0, move |start| std::future::ready(at(start))).map(Ok);
            Body::stream(by_pieces(Box::pin(pieces), false))
        }
        // What comes bit by bit is to arrive so.
        Err(body) => Body::stream(by_pieces(Box::pin(body.into_data_stream()), true)),
    };
    Response::from_parts(head, body)
}

fn is_worth_it(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text(&CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let compressible = (kind.starts_with("text/") && kind != "text/event-stream")
        || kind == "application/json"
        || kind == "application/vnd.oai.openapi+json";
    let size = http_body::Body::size_hint(response.body());
    response.status() == StatusCode::OK
        && compressible
        && size.exact().is_none_or(|exact| exact >= LEAST)
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && !text(&CACHE_CONTROL).contains("no-transform")
}

fn vary(headers: &mut HeaderMap) {
    let known = headers
        .get_all(VARY)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').map(str::trim).any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding")));
    if !known {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

fn weak(tag: &HeaderValue) -> Option<HeaderValue> {
    let tag = tag.to_str().ok().filter(|tag| !tag.starts_with("W/"))?;
    HeaderValue::try_from(format!("W/{tag}")).ok()
}

fn encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::new(LEVEL))
}

fn at_once(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = encoder();
    encoder.write_all(bytes)?;
    encoder.finish().map(Bytes::from)
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Compresses pieces as they come; with `flush`, each goes out whole before the next is waited for. An error in the midst leaves the answer
/// without its end, so that a client can tell.
fn by_pieces(pieces: Pieces, flush: bool) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    let compressed = stream::try_unfold((Some(encoder()), pieces), move |(encoder, mut pieces)| async move {
        let Some(mut encoder) = encoder else {
            return Ok::<_, BodyError>(None);
        };
        let Some(piece) = pieces.next().await.transpose()? else {
            return Ok(Some((Bytes::from(encoder.finish()?), (None, pieces))));
        };
        encoder.write_all(&piece)?;
        if flush {
            encoder.flush()?;
        }
        let ready = Bytes::from(std::mem::take(encoder.get_mut()));
        Ok(Some((ready, (Some(encoder), pieces))))
    });
    compressed.try_filter(|bytes| std::future::ready(!bytes.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn clients_say_what_they_take() {
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("*;q=0", false),
            ("*, gzip;q=0", false),
            ("*;q=0, gzip", true),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=high", false),
            ("x-gzip", true),
            ("", false),
        ] {
            assert_eq!(is_wanted(&Method::GET, &headers(&[("accept-encoding", accept)])), expected, "{accept}");
        }
        let gzip = ("accept-encoding", "gzip");
        assert!(!is_wanted(&Method::HEAD, &headers(&[gzip])) && !is_wanted(&Method::POST, &headers(&[gzip])));
        for (site, expected) in [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)] {
            assert_eq!(is_wanted(&Method::GET, &headers(&[gzip, ("sec-fetch-site", site)])), expected, "{site}");
        }
    }

    fn response(kind: &'static str, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    async fn decoded(body: Body) -> Vec<u8> {
        let bytes = body.read(64 << 20).await.unwrap();
        let mut all = Vec::new();
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut all).unwrap();
        all
    }

    #[tokio::test]
    async fn what_is_compressed_reads_back_however_it_comes() {
        let text: Vec<u8> = (0..400_000u32).flat_map(|i| format!("{i},").into_bytes()).collect();
        for text in [&text[..2_000], &text[..200_000], &text[..]] {
            let full = compress(true, response("application/json", Body::from(text.to_vec())));
            assert_eq!(full.headers()[CONTENT_ENCODING], "gzip");
            assert_eq!(full.headers().contains_key(CONTENT_LENGTH), text.len() <= AT_ONCE);
            assert!(decoded(full.into_body()).await == text);
            let chunks: Vec<io::Result<Bytes>> = text.chunks(1_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let streamed = compress(true, response("text/html; charset=utf-8", Body::stream(stream::iter(chunks))));
            assert!(decoded(streamed.into_body()).await == text);
        }
    }

    #[tokio::test]
    async fn what_comes_bit_by_bit_arrives_so() {
        let first = stream::iter([Ok::<_, io::Error>(Bytes::from(vec![b'a'; 3_000]))]).chain(stream::pending());
        let mut body = compress(true, response("text/html", Body::stream(first))).into_body();
        let frame = tokio::time::timeout(std::time::Duration::from_secs(20), body.frame()).await.expect("the first part").unwrap().unwrap();
        let begun = frame.into_data().unwrap();
        let mut decoded = [0; 3_000];
        io::Read::read_exact(&mut flate2::read::GzDecoder::new(&begun[..]), &mut decoded).unwrap();
        assert_eq!(decoded, [b'a'; 3_000]);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_has_no_end() {
        let chunks = [Ok(Bytes::from(vec![b'a'; 3_000])), Err(io::Error::other("away"))];
        let body = compress(true, response("text/html", Body::stream(stream::iter(chunks)))).into_body();
        assert!(body.read(64 << 20).await.unwrap_err().to_string().contains("away"));
    }

    #[test]
    fn only_what_helps_is_compressed() {
        let long = || Body::from(vec![b'a'; 5_000]);
        let mut partial = response("application/json", long());
        *partial.status_mut() = StatusCode::PARTIAL_CONTENT;
        let mut encoded = response("application/json", long());
        encoded.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let mut fixed = response("application/json", long());
        fixed.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, no-transform"));
        for (what, response) in [
            ("short", response("application/json", Body::from("{}"))),
            ("an image", response("image/png", long())),
            ("a part", partial),
            ("encoded", encoded),
            ("fixed", fixed),
        ] {
            let before = response.headers().clone();
            assert_eq!(*compress(true, response).headers(), before, "{what}");
        }
    }

    #[test]
    fn validators_and_caches_know_of_it() {
        let mut plain = response("application/json", Body::from(vec![b'a'; 5_000]));
        plain.headers_mut().insert(ETAG, HeaderValue::from_static("\"x\""));
        plain.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        let plain = compress(false, plain);
        let vary: Vec<&HeaderValue> = plain.headers().get_all(VARY).iter().collect();
        assert_eq!(
            (vary.as_slice(), &plain.headers()[ETAG]),
            (&[&HeaderValue::from_static("accept"), &HeaderValue::from_static("accept-encoding")][..], &HeaderValue::from_static("\"x\""))
        );
        let compressed = compress(true, plain);
        assert_eq!(compressed.headers()[ETAG], "W/\"x\"");
        assert_eq!(compressed.headers().get_all(VARY).iter().count(), 2);
    }
}
