//! What is asked of a downloader, and what it gives back.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use super::{DownloadError, RedactedUrl};

/// The bytes of a download as they come. After an error the stream ends.
pub type DownloadStream = BoxStream<'static, Result<Bytes, DownloadError>>;

/// Bytes `start` up to but not including `end`; to the end of the file without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ByteRange {
    /// First byte, counted from 0.
    pub start: u64,
    /// One past the last byte.
    pub end: Option<u64>,
}

impl ByteRange {
    /// From `start` to the end of the file.
    #[must_use]
    pub fn from(start: u64) -> Self {
        Self { start, end: None }
    }

    /// The value of a `Range` header (RFC 9110, 14.2). `None` for an empty range, which has no spelling.
    #[must_use]
    pub fn header(self) -> Option<String> {
        match self.end {
            None => Some(format!("bytes={}-", self.start)),
            Some(end) if end > self.start => Some(format!("bytes={}-{}", self.start, end - 1)),
            Some(_) => None,
        }
    }
}

/// A validator that promises identity byte for byte, fit for `If-Range` (RFC 9110, 8.8 and 13.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrongValidator(HeaderValue);

impl StrongValidator {
    /// A strong `ETag`, or else a `Last-Modified` at least a minute older than the answer: a file changed
    /// twice within the second that HTTP dates resolve cannot hide behind it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(tag) = headers.get(header::ETAG) {
            let text = tag.as_bytes();
            let strong = text.len() >= 2 && text.starts_with(b"\"") && text.ends_with(b"\"");
            return strong.then(|| Self(tag.clone()));
        }
        let modified = headers.get(header::LAST_MODIFIED)?;
        let date = http_date(headers.get(header::DATE)?)?;
        let age = date.duration_since(http_date(modified)?).ok()?;
        (age >= Duration::from_secs(60)).then(|| Self(modified.clone()))
    }

    /// A validator that the caller knows to be strong.
    #[must_use]
    pub fn new(value: HeaderValue) -> Self {
        Self(value)
    }

    /// As it goes into `If-Range`.
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

fn http_date(value: &HeaderValue) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// One request for one file.
#[derive(Clone)]
#[non_exhaustive]
pub struct DownloadRequest {
    /// Where the file is.
    pub url: Url,
    /// Only a part of it. The answer may still be the whole: see [`Download::offset`].
    pub range: Option<ByteRange>,
    /// Give the part only if the file is still this one, else the whole.
    pub if_range: Option<StrongValidator>,
    /// Answer 304 if the file still has this entity tag.
    pub if_none_match: Option<HeaderValue>,
    /// More headers. They win over those of the remote, and do not follow a redirect to another origin.
    pub headers: HeaderMap,
    /// Whether to be refused, rather than to wait, while a [host](super::Hosts) is in trouble.
    pub at_once: bool,
}

impl DownloadRequest {
    /// Asks for the whole file at `url`.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, range: None, if_range: None, if_none_match: None, headers: HeaderMap::new(), at_once: false }
    }

    /// Asks for a part only, provided the file is still the one that `validator` stands for.
    #[must_use]
    pub fn range(mut self, range: ByteRange, validator: Option<StrongValidator>) -> Self {
        self.range = Some(range);
        self.if_range = validator;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Somebody waits for the answer: where a host is in trouble, and another request already finds out whether it answers again, this one
    /// fails with [`DownloadError::HostInTrouble`].
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// The URL as it may be printed.
    #[must_use]
    pub fn redacted(&self) -> RedactedUrl {
        RedactedUrl::new(&self.url)
    }
}

// Headers may hold tokens, the URL a password.
impl fmt::Debug for DownloadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadRequest")
            .field("url", &self.redacted())
            .field("range", &self.range)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// An answer: the head is here, the body comes as it is read.
#[non_exhaustive]
pub struct Download {
    /// Where the file was in the end, after redirects.
    pub url: Url,
    /// 200, 206 or 304.
    pub status: StatusCode,
    /// As the source sent them.
    pub headers: HeaderMap,
    /// Where in the file the body begins: 0 unless the source honoured the range.
    pub offset: u64,
    /// How long the body is, in bytes, when the source says so.
    pub content_length: Option<u64>,
    /// How long the whole file is, in bytes, when the source says so.
    pub complete_length: Option<u64>,
    /// What a continued download must name.
    pub validator: Option<StrongValidator>,
    /// The bytes, as they are at the source: no content encoding is undone.
    pub body: DownloadStream,
}

impl Download {
    /// Whether the source answered that the file is unchanged (304). The body is empty.
    #[must_use]
    pub fn not_modified(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("url", &RedactedUrl::new(&self.url))
            .field("status", &self.status)
            .field("offset", &self.offset)
            .field("content_length", &self.content_length)
            .field("complete_length", &self.complete_length)
            .finish_non_exhaustive()
    }
}

/// `Content-Range: bytes first-last/complete` (RFC 9110, 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) complete: Option<u64>,
}

impl ContentRange {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(header::CONTENT_RANGE)?.to_str().ok()?)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (range, complete) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.trim().split_once('-')?;
        let first = first.parse().ok()?;
        let last = last.parse().ok()?;
        let complete = match complete.trim() {
            "*" => None,
            number => Some(number.parse().ok()?),
        };
        let sane = first <= last && complete.is_none_or(|complete| last < complete);
        sane.then_some(Self { first, last, complete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn content_range_is_read_strictly() {
        let whole = ContentRange::parse("bytes 5-9/10");
        assert_eq!(whole, Some(ContentRange { first: 5, last: 9, complete: Some(10) }));
        assert_eq!(ContentRange::parse("bytes 0-0/*").and_then(|r| r.complete), None);
        for bad in
            ["bytes 9-5/10", "bytes 5-10/10", "bytes */10", "items 0-1/2", "bytes -1-2/3", "bytes 1-2", "bytes 1-99999999999999999999/*"]
        {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ranges_spell_their_last_byte() {
        let range = ByteRange { start: 2, end: Some(5) };
        assert_eq!(range.header().as_deref(), Some("bytes=2-4"));
        assert_eq!(ByteRange::from(7).header().as_deref(), Some("bytes=7-"));
        let empty = ByteRange { start: 5, end: Some(5) };
        assert_eq!(empty.header(), None);
    }

    #[test]
    fn only_strong_validators_count() {
        let old = "Mon, 01 Jan 2024 00:00:00 GMT";
        let soon = "Mon, 01 Jan 2024 00:00:05 GMT";
        let later = "Mon, 01 Jan 2024 00:05:00 GMT";
        assert!(StrongValidator::of(&headers(&[(header::ETAG, "\"a\"")])).is_some());
        assert!(StrongValidator::of(&headers(&[(header::ETAG, "W/\"a\"")])).is_none());
        let dated = |date| headers(&[(header::LAST_MODIFIED, old), (header::DATE, date)]);
        assert!(StrongValidator::of(&dated(later)).is_some());
        assert!(StrongValidator::of(&dated(soon)).is_none());
        assert!(StrongValidator::of(&headers(&[(header::LAST_MODIFIED, old)])).is_none());
    }

    #[test]
    fn debug_hides_credentials() {
        let url = Url::parse("https://joe:hunter2@example.com/a").unwrap();
        let token = HeaderValue::from_static("hunter2");
        let request = DownloadRequest::new(url).header(header::AUTHORIZATION, token);
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("example.com/a"), "{shown}");
    }
}
