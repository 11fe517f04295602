//! An upstream of as many files as are asked for: its manifests are made while they are read, and so are its files.

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use pulp_core::body::Body;
use pulp_testkit::{Blob, Server};

/// Lines of a manifest that are made at a time.
const LINES: u64 = 1_000;
/// How many of the files can be read.
const READABLE: u64 = 64;

/// The path of a file.
pub fn path(unit: u64) -> String {
    format!("data/{:04}/unit-{unit:07}.bin", unit / 1_000)
}

/// The files of `count` that can be read.
pub fn readable(count: u64) -> impl Iterator<Item = u64> {
    let of = READABLE.min(count);
    (0..of).map(move |at| at * count / of)
}

fn is_readable(unit: u64, count: u64) -> bool {
    let of = READABLE.min(count);
    let at = (unit * of).div_ceil(count);
    at < of && at * count / of == unit
}

fn content(unit: u64) -> Blob {
    Blob::seeded(unit, 256)
}

/// A line of the manifest. Of a file that nobody will read, the digest is made up: to tell a million of them would take longer than to
/// sync them.
fn line(unit: u64, count: u64) -> String {
    if is_readable(unit, count) {
        return content(unit).manifest_line(&path(unit));
    }
    let digest = hex::encode(Blob::seeded(!unit, 32).to_bytes());
    format!("{},{digest},256\n", path(unit))
}

/// Starts it: `/COUNT/PULP_MANIFEST` lists so many files, and `/COUNT/FIRST/PULP_MANIFEST` those from that one on.
pub async fn start() -> Server {
    Server::start(|request: Request<Body>| async move { answer(request.uri().path()) }).await
}

fn answer(asked: &str) -> Response<Body> {
    let mut parts = asked.trim_start_matches('/').splitn(2, '/');
    let (Some(range), Some(rest)) = (parts.next().and_then(range), parts.next()) else { return missing() };
    if rest == "PULP_MANIFEST" {
        let (first, last) = range;
        let text = move |from: u64| (from..(from + LINES).min(last)).map(|unit| line(unit, last)).collect::<String>();
        let chunks = (first..last).step_by(LINES as usize).map(move |from| Ok::<_, std::io::Error>(Bytes::from(text(from))));
        return Response::new(Body::stream(stream::iter(chunks)));
    }
    let unit = rest.rsplit("unit-").next().and_then(|name| name.strip_suffix(".bin")).and_then(|number| number.parse().ok());
    match unit {
        Some(unit) if path(unit) == rest => Response::new(Body::from(content(unit).to_bytes())),
        _ => missing(),
    }
}

/// `FIRST-LAST`, the last not included.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn missing() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
