//! Bodies of requests: JSON, form, multipart.

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::error::ApiError;
use crate::Pulp;
use crate::body::{Body, ReadBodyError};
use crate::resource::{RawBody, type_name};
use crate::storage::{NewFile, Spool};

/// Parts of a multipart body at most.
const MOST_PARTS: usize = 1_000;

/// Reads a body into values and files.
pub(super) async fn read(pulp: &Pulp, headers: &HeaderMap, body: Body) -> Result<RawBody, ApiError> {
    let limit = pulp.settings().max_request_body_bytes;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "multipart/form-data" {
        let limits = Limits { text: limit, file: pulp.settings().max_upload_bytes };
        return multipart(pulp.spool(), limits, content_type, body).await;
    }
    let bytes = body.read(limit).await.map_err(unreadable)?;
    if bytes.is_empty() {
        return Ok(RawBody::default());
    }
    match kind.as_str() {
        "application/json" => json_body(&bytes),
        "application/x-www-form-urlencoded" => {
            let mut values = Map::new();
            for (name, value) in url::form_urlencoded::parse(&bytes) {
                add(&mut values, name.into_owned(), value.into_owned());
            }
            Ok(RawBody { values, form: true, ..RawBody::default() })
        }
        _ => Err(ApiError::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unsupported media type \"{content_type}\" in request."))),
    }
}

fn unreadable(error: ReadBodyError) -> ApiError {
    match error {
        ReadBodyError::TooLarge { .. } => ApiError::detail(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        other => ApiError::detail(StatusCode::BAD_REQUEST, other.to_string()),
    }
}

fn json_body(bytes: &[u8]) -> Result<RawBody, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ApiError::detail(StatusCode::BAD_REQUEST, format!("JSON parse error - the body is not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(values)) => Ok(RawBody::json(values)),
        Ok(Json::Null) => Err(ApiError::new(StatusCode::BAD_REQUEST, json!({"non_field_errors": ["No data provided"]}))),
        Ok(other) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            json!({"non_field_errors": [format!("Invalid data. Expected a dictionary, but got {}.", type_name(&other))]}),
        )),
        Err(error) => Err(ApiError::detail(StatusCode::BAD_REQUEST, format!("JSON parse error - {error}"))),
    }
}

/// A name that comes again makes a list.
fn add(values: &mut Map<String, Json>, name: String, value: String) {
    match values.get_mut(&name) {
        None => {
            values.insert(name, Json::String(value));
        }
        Some(Json::Array(all)) => all.push(Json::String(value)),
        Some(first) => *first = json!([first.take(), value]),
    }
}

/// Bytes that a form may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of all values together.
    pub(crate) text: usize,
    /// Of each file; 0 is no limit.
    pub(crate) file: u64,
}

/// Reads a form; its files are spooled.
pub(crate) async fn multipart(spool: &Spool, limits: Limits, content_type: &str, body: Body) -> Result<RawBody, ApiError> {
    let refused =
        |reason: &dyn std::fmt::Display| ApiError::detail(StatusCode::BAD_REQUEST, format!("Multipart form parse error - {reason}"));
    let boundary = multer::parse_boundary(content_type).map_err(|_| refused(&"Invalid boundary in multipart: None"))?;
    let Limits { text: limit, file: most } = limits;
    let mut form = multer::Multipart::new(EndAlone::new(http_body_util::BodyDataStream::new(body)), boundary);
    let mut values = Map::new();
    let mut files = std::collections::BTreeMap::new();
    let mut text_bytes = 0_usize;
    let mut parts = 0_usize;
    while let Some(mut part) = form.next_field().await.map_err(|error| refused(&error))? {
        parts += 1;
        if parts > MOST_PARTS {
            return Err(refused(&format!("more than {MOST_PARTS} parts")));
        }
        let Some(name) = part.name().map(str::to_owned) else { return Err(refused(&"a part has no name")) };
        if part.file_name().is_none() {
            let mut bytes = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(|error| refused(&error))? {
                text_bytes += chunk.len();
                if text_bytes > limit {
                    return Err(unreadable(ReadBodyError::TooLarge { limit }));
                }
                bytes.extend_from_slice(&chunk);
            }
            let text = String::from_utf8(bytes).map_err(|_| refused(&format!("the value of `{name}` is not UTF-8")))?;
            add(&mut values, name, text);
            continue;
        }
        let mut file = spool.create_with(NewFile::default());
        let mut size = 0_u64;
        while let Some(chunk) = part.chunk().await.map_err(|error| refused(&error))? {
            size += chunk.len() as u64;
            if most > 0 && size > most {
                return Err(ApiError::detail(StatusCode::PAYLOAD_TOO_LARGE, format!("the file `{name}` is larger than {most} bytes")));
            }
            file.write(chunk).await.map_err(crate::Error::from)?;
        }
        files.insert(name, file.finish().await.map_err(crate::Error::from)?);
    }
    Ok(RawBody { values, form: true, files })
}

/// A stream whose end is never found by the poll that brought its last item.
///
/// Until it has seen the first boundary, `multer` asks for more twice in one poll, and does not look at what the second question
/// brought if that found the end too: it refuses a whole form that arrived between the two.
struct EndAlone<S> {
    stream: S,
    state: End,
}

#[derive(PartialEq)]
enum End {
    /// Nothing was given since the last pending poll.
    Quiet,
    /// Something was.
    Busy,
    /// The stream has ended.
    Ended,
}

impl<S> EndAlone<S> {
    fn new(stream: S) -> Self {
        Self { stream, state: End::Quiet }
    }
}

impl<S: Stream + Unpin> Stream for EndAlone<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.state == End::Ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(next) = Pin::new(&mut self.stream).poll_next(cx) else {
            self.state = End::Quiet;
            return Poll::Pending;
        };
        match next {
            Some(item) => {
                self.state = End::Busy;
                Poll::Ready(Some(item))
            }
            None if std::mem::replace(&mut self.state, End::Ended) == End::Busy => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}
