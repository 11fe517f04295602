//! Heads of requests and of answers.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};

/// Longer heads are left to hyper.
const LONGEST: usize = 16 << 10;
/// And those of more headers.
const MOST: usize = 32;

/// What comes in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Of one more to come.
    Partial,
    /// Of a request without a body that may be answered, so many bytes long; it was [taken down](Scratch::request).
    Plain(usize),
    /// Anything else.
    Strange,
}

/// Room for one request and the head of one answer, which the connections of a thread share.
pub(super) struct Scratch {
    pub(super) bytes: Box<[u8]>,
    pub(super) request: Parts,
    pub(super) head: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let (mut request, ()) = Request::new(()).into_parts();
        (request.method, request.version) = (Method::GET, Version::HTTP_11);
        Self { bytes: vec![0; LONGEST].into(), request, head: Vec::new() }
    }

    /// What these bytes are the beginning of.
    pub(super) fn look(&mut self, at: Range<usize>) -> Head {
        let mut headers = [httparse::EMPTY_HEADER; MOST];
        let mut parsed = httparse::Request::new(&mut headers);
        let len = match parsed.parse(&self.bytes[at]) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Head::Partial,
            Err(_) => return Head::Strange,
        };
        let (Some("GET"), Some(1), Some(target)) = (parsed.method, parsed.version, parsed.path) else { return Head::Strange };
        if !target.starts_with('/') {
            return Head::Strange;
        }
        let Ok(uri) = Uri::try_from(target) else { return Head::Strange };
        self.request.uri = uri;
        self.request.headers.clear();
        for header in parsed.headers {
            if !is_plain(header) {
                return Head::Strange;
            }
            let (Ok(name), Ok(value)) = (HeaderName::from_bytes(header.name.as_bytes()), HeaderValue::from_bytes(header.value)) else {
                return Head::Strange;
            };
            self.request.headers.append(name, value);
        }
        Head::Plain(len)
    }
}

/// Whether a header says nothing of the connection but that it goes on, and of a body that there is none.
fn is_plain(header: &httparse::Header<'_>) -> bool {
    const OF_MESSAGES: [&str; 8] =
        ["connection", "content-length", "transfer-encoding", "expect", "upgrade", "http2-settings", "trailer", "te"];
    let Some(name) = OF_MESSAGES.iter().find(|name| header.name.eq_ignore_ascii_case(name)) else { return true };
    *name == "connection" && header.value.eq_ignore_ascii_case(b"keep-alive")
}

/// Writes the head of an answer: `200`, the lines that are given, and the date.
pub(super) fn write(head: &mut Vec<u8>, lines: &[u8]) {
    head.clear();
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    head.extend_from_slice(lines);
    head.extend_from_slice(b"date: ");
    date(head);
    head.extend_from_slice(b"\r\n\r\n");
}

/// The date, which is made once a second.
fn date(to: &mut Vec<u8>) {
    thread_local! {
        static DATE: std::cell::RefCell<(u64, String)> = const { std::cell::RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    DATE.with_borrow_mut(|(of, date)| {
        if *of != second || date.is_empty() {
            (*of, *date) = (second, httpdate::fmt_http_date(now));
        }
        to.extend_from_slice(date.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> (Head, Parts) {
        let mut scratch = Scratch::new();
        scratch.bytes[..text.len()].copy_from_slice(text.as_bytes());
        (scratch.look(0..text.len()), scratch.request)
    }

    #[test]
    fn a_plain_request_is_taken_down() {
        let text = "GET /a/b?c HTTP/1.1\r\nHost: x\r\nconnection: Keep-Alive\r\nX: 1\r\nx: 2\r\n\r\n";
        let (head, request) = look(&format!("{text}GET /next"));
        assert_eq!(head, Head::Plain(text.len()));
        assert_eq!((request.uri.path(), request.uri.query()), ("/a/b", Some("c")));
        assert_eq!(request.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        for len in 0..text.len() {
            assert_eq!(look(&text[..len]).0, Head::Partial, "{len}");
        }
    }

    #[test]
    fn what_could_mean_more_is_strange() {
        for start in [
            "POST / HTTP/1.1",
            "HEAD / HTTP/1.1",
            "GET / HTTP/1.0",
            "GET http://x/ HTTP/1.1",
            "GET * HTTP/1.1",
            "PRI * HTTP/2.0",
            "nonsense",
        ] {
            assert_eq!(look(&format!("{start}\r\nhost: x\r\n\r\n")).0, Head::Strange, "{start}");
        }
        for header in [
            "Content-Length: 0",
            "content-length: 3",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Connection: close",
            "Connection: keep-alive, upgrade",
            "Upgrade: h2c",
            "bad header: x",
            " folded: x",
        ] {
            assert_eq!(look(&format!("GET / HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n")).0, Head::Strange, "{header}");
        }
        assert_eq!(look(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST + 1))).0, Head::Strange);
    }

    #[test]
    fn a_head_is_written_with_the_date_of_now() {
        let mut head = b"old".to_vec();
        write(&mut head, b"a: b\r\n");
        let text = String::from_utf8(head).unwrap();
        let date = text.strip_prefix("HTTP/1.1 200 OK\r\na: b\r\ndate: ").and_then(|rest| rest.strip_suffix("\r\n\r\n"));
        let date = httpdate::parse_http_date(date.unwrap()).unwrap();
        assert!(SystemTime::now().duration_since(date).unwrap().as_secs() < 5);
    }
}
