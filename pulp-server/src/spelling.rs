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

/// The names of the API's headers that are more than capitalised words.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nCorrelation-ID: x\r\nWWW-Authenticate: x\r\n\r\n";

/// What makes hyper write those names so, in a response that has it among its extensions. hyper only makes it of a head that it reads:
/// it is given one, once.
///
/// # Errors
/// If hyper does not read it.
pub async fn learn() -> hyper::Result<Extensions> {
    let learned = Mutex::new(Extensions::new());
    let (mut client, server) = tokio::io::duplex(1024);
    let service = service_fn(|request: Request<Incoming>| {
        *learned.lock().unwrap_or_else(PoisonError::into_inner) = request.extensions().clone();
        std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    });
    let connection = http1::Builder::new().preserve_header_case(true).keep_alive(false).serve_connection(TokioIo::new(server), service);
    // It fits into the buffer.
    let _ = client.write_all(REQUEST).await;
    connection.await?;
    Ok(learned.into_inner().unwrap_or_else(PoisonError::into_inner))
}
