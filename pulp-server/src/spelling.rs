//! How names of headers are written. HTTP knows no case; scripts that search a head for `Correlation-ID` do.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

/// The names of the API's headers as Pulp writes them; as often as one answer may have each.
const NAMES: [&str; 20] = [
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Correlation-ID",
    "Cross-Origin-Opener-Policy",
    "Date",
    "ETag",
    "Location",
    "Referrer-Policy",
    "Retry-After",
    "Set-Cookie",
    "Set-Cookie",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
    "X-Frame-Options",
];

/// What makes hyper write those names so, in a response that has it among its extensions; others it writes in lower case, which costs less.
/// hyper only makes it of a head that it reads: it is given one, once.
///
/// # Errors
/// If hyper does not read it.
pub async fn learn() -> hyper::Result<Extensions> {
    let learned = Mutex::new(Extensions::new());
    let (mut client, server) = tokio::io::duplex(4096);
    let service = service_fn(|request: Request<Incoming>| {
        *learned.lock().unwrap_or_else(PoisonError::into_inner) = request.extensions().clone();
        std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    });
    let connection = http1::Builder::new().preserve_header_case(true).keep_alive(false).serve_connection(TokioIo::new(server), service);
    // It fits into the buffer.
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", NAMES.map(|name| format!("{name}: {}\r\n", value(name))).concat());
    let _ = client.write_all(head.as_bytes()).await;
    connection.await?;
    Ok(learned.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A value that a request may have there.
fn value(name: &str) -> &'static str {
    match name {
        "Content-Length" => "0",
        "Connection" => "close",
        _ => "x",
    }
}
