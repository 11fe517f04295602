//! A decision as a response.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use rand::RngExt as _;

use super::conditional::{Outcome, Validators, evaluate, range_counts};
use super::missing::{Unresolved, not_found};
use super::path::encode_name;
use super::range::{Requested, parse};
use super::state::Route;
use super::stored::{SmallFiles, slice};
use super::{Representation, ServeError, Served, ServedFile, ServedStream, State, media_type};
use crate::Pulp;
use crate::body::{Body, BodyError, ReasonText};
use crate::storage::{Presign, ResponseHeaders, Storage};

/// How long a URL that leads to the object store is good for.
const PRESIGNED_FOR: Duration = Duration::from_secs(3_600);

/// What a response is rendered from.
pub(super) struct Rendering<'a> {
    pub(super) pulp: &'a Pulp,
    pub(super) state: &'a State,
    /// Whether files in object storage are served by sending the client there.
    pub(super) redirects: bool,
    pub(super) method: &'a Method,
    pub(super) version: Version,
    pub(super) uri: &'a http::Uri,
    pub(super) headers: &'a HeaderMap,
    /// The distribution that the path lies under, if it does.
    pub(super) route: Option<&'a Route>,
    /// Whether what was found is of an earlier moment, which the path names first below the distribution.
    pub(super) past: bool,
    /// Whether the front end sends files by itself.
    pub(super) sends_files: bool,
}

/// What is said of a representation, whichever part of it is sent.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    validators: Validators,
    headers: HeaderMap,
    lines: OnceLock<Bytes>,
}

impl Entity {
    /// What is said of a representation, of a distribution if it lies under one.
    pub(super) fn of(representation: &Representation, route: Option<&Route>) -> Self {
        let validators = validators(representation);
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&representation.name)));
        if let Some(route) = route {
            headers.insert(header::CACHE_CONTROL, route.freshness.usual.clone());
        }
        if let Some(etag) = &validators.etag {
            headers.insert(header::ETAG, etag.clone());
        }
        if let Some(modified) = validators.modified
            && let Ok(value) = HeaderValue::try_from(httpdate::fmt_http_date(modified))
        {
            headers.insert(header::LAST_MODIFIED, value);
        }
        if let Some(sha256) = &representation.sha256
            && let Ok(value) = HeaderValue::try_from(format!("sha-256=:{}:", BASE64.encode(sha256.as_bytes())))
        {
            headers.insert(REPR_DIGEST, value);
        }
        if let Some(size) = representation.size {
            headers.insert(ARTIFACT_SIZE, size.into());
            headers.insert(header::CONTENT_LENGTH, size.into());
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        for name in representation.headers.keys() {
            headers.remove(name);
        }
        headers.extend(representation.headers.clone());
        if let (Some(route), Some(own)) = (route, representation.headers.get(header::CACHE_CONTROL)) {
            headers.insert(header::CACHE_CONTROL, route.freshness.given(own));
        }
        Self { validators, headers, lines: OnceLock::new() }
    }

    pub(super) fn validators(&self) -> &Validators {
        &self.validators
    }

    /// The headers, as lines of HTTP/1.1.
    pub(super) fn lines(&self) -> &Bytes {
        self.lines.get_or_init(|| {
            let lines = self.headers.iter().map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            lines.collect::<Vec<_>>().concat().into()
        })
    }

    /// With another header: one that is there already need not be made room for.
    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }
}

/// Where the bytes of a representation are.
#[derive(Clone)]
enum Origin {
    File { file: Arc<ServedFile>, storage: Arc<dyn Storage>, small: Arc<SmallFiles>, as_file: bool },
    Stream(ServedStream),
    Memory(Bytes),
}

impl Origin {
    /// Whether there is no need to look whether it is there.
    fn is_certain(&self) -> bool {
        !matches!(self, Self::Stream(stream) if !stream.certain)
    }

    /// The bytes; the headers learn what only now is known.
    async fn open(&self, range: Option<Range<u64>>, headers: &mut HeaderMap) -> Result<Body, ServeError> {
        match self {
            Self::File { file, storage, small, as_file } => small.read(storage, file, range, *as_file).await,
            Self::Stream(stream) => {
                let whole = range.is_none();
                let opened = stream.source.open(range).await?;
                if !opened.verified {
                    headers.remove(header::ETAG);
                    headers.remove(header::LAST_MODIFIED);
                }
                match opened.size {
                    Some(size) if whole => {
                        headers.insert(header::CONTENT_LENGTH, size.into());
                        headers.insert(ARTIFACT_SIZE, size.into());
                    }
                    None if whole => {
                        headers.remove(header::CONTENT_LENGTH);
                        headers.remove(ARTIFACT_SIZE);
                    }
                    _ => {}
                }
                Ok(opened.body)
            }
            Self::Memory(bytes) => Ok(Body::from(match range {
                None => bytes.clone(),
                Some(range) => slice(bytes, &range),
            })),
        }
    }
}

impl Rendering<'_> {
    /// Whether a guard let the request pass: then no shared cache may keep the answer.
    pub(super) fn is_guarded(&self) -> bool {
        self.route.is_some_and(|route| route.guard.is_some())
    }

    pub(super) async fn render(&self, served: Served) -> Result<Response<Body>, ServeError> {
        match served {
            Served::File(file) => {
                let entity = Entity::of(&file.representation, self.route);
                self.file(&Arc::new(file), &entity).await
            }
            Served::Stream(stream) => {
                let (entity, size) = (Entity::of(&stream.representation, self.route), stream.representation.size);
                self.bytes(&entity, size, Origin::Stream(stream)).await
            }
            Served::Bytes(memory) => {
                let (entity, size) = (Entity::of(&memory.representation, self.route), memory.representation.size);
                self.bytes(&entity, size, Origin::Memory(memory.bytes)).await
            }
            Served::Redirect(super::Redirect::Directory) => Ok(add_slash(self.uri.path())),
            Served::Redirect(super::Redirect::To(to)) => Ok(redirect(StatusCode::FOUND, &to)),
            Served::Redirect(super::Redirect::Moved(to)) => Ok(redirect(StatusCode::MOVED_PERMANENTLY, &to)),
            Served::Listing(listing) => Ok(self.listing(listing)),
            Served::NotFound(reason) => {
                let part = if self.route.is_some() { Unresolved::Path } else { Unresolved::Distribution };
                Ok(not_found(self.uri, self.headers, part, &reason))
            }
        }
    }

    /// A stored file.
    pub(super) async fn file(&self, file: &Arc<ServedFile>, entity: &Entity) -> Result<Response<Body>, ServeError> {
        // The signature is for a GET; a HEAD needs nothing of the store.
        if self.redirects && *self.method == Method::GET {
            let holder = self.pulp.storage().holder(&file.path).await?;
            let storage = holder.as_ref().unwrap_or(self.pulp.storage());
            if let Some(presigner) = storage.presigner() {
                return Box::pin(self.presigned(presigner, file)).await;
            }
        }
        let (storage, small) = (Arc::clone(self.pulp.storage()), Arc::clone(&self.state.small));
        let size = file.representation.size;
        self.bytes(entity, size, Origin::File { file: Arc::clone(file), storage, small, as_file: self.sends_files }).await
    }

    async fn presigned(&self, presigner: &dyn Presign, file: &ServedFile) -> Result<Response<Body>, ServeError> {
        let headers = ResponseHeaders {
            content_type: Some(self.content_type(&file.representation)),
            content_disposition: Some(disposition(file_name(&file.representation.name))),
        };
        let url = presigner.presign_get(&file.path, PRESIGNED_FOR, &headers).await?;
        Ok(redirect(StatusCode::FOUND, url.as_str()))
    }

    fn content_type(&self, representation: &Representation) -> String {
        let own = representation.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        own.unwrap_or_else(|| media_type(&representation.name)).to_owned()
    }

    /// A representation: whole, in part, or not at all.
    async fn bytes(&self, entity: &Entity, size: Option<u64>, origin: Origin) -> Result<Response<Body>, ServeError> {
        let validators = &entity.validators;
        let mut headers = entity.headers.clone();
        match evaluate(self.headers, validators) {
            Outcome::Proceed => {}
            Outcome::NotModified => {
                for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::ACCEPT_RANGES, REPR_DIGEST] {
                    headers.remove(name);
                }
                return Ok(respond(StatusCode::NOT_MODIFIED, headers, Body::empty()));
            }
            Outcome::Failed => return Ok(message(StatusCode::PRECONDITION_FAILED, "the file is not the one that was asked for")),
        }
        let requested = match (size, self.headers.get(header::RANGE)) {
            // A range means something for a GET only (RFC 9110, 14.2).
            (Some(size), Some(range)) if *self.method == Method::GET && range_counts(self.headers, validators) => {
                // What is no text is no range of bytes either.
                range.to_str().map_or(Requested::Whole, |range| parse(range, size))
            }
            _ => Requested::Whole,
        };
        let promised = size.filter(|_| self.version < Version::HTTP_11);
        let size = size.unwrap_or(0);
        match requested {
            Requested::Whole => {
                let body = if *self.method == Method::HEAD && origin.is_certain() {
                    Body::empty()
                } else {
                    origin.open(None, &mut headers).await?
                };
                if let Some(size) = promised {
                    // Such a client takes the end of the connection for the end of what has no length.
                    headers.entry(header::CONTENT_LENGTH).or_insert(size.into());
                }
                Ok(respond(StatusCode::OK, headers, body))
            }
            Requested::One(range) => {
                headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
                headers.insert(header::CONTENT_RANGE, content_range(&range, size)?);
                let body = origin.open(Some(range), &mut headers).await?;
                Ok(respond(StatusCode::PARTIAL_CONTENT, headers, body))
            }
            Requested::Many(ranges) => Box::pin(multipart(headers, origin, ranges, size)).await,
            Requested::Unsatisfiable => {
                let mut response = message(StatusCode::RANGE_NOT_SATISFIABLE, &format!("the file has {size} bytes"));
                response.headers_mut().insert(header::CONTENT_RANGE, header_value(&format!("bytes */{size}"))?);
                response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
                Ok(response)
            }
        }
    }
}

/// Several parts in one response (RFC 9110, 14.6). Each is opened when the one before has been sent.
async fn multipart(mut headers: HeaderMap, origin: Origin, ranges: Vec<Range<u64>>, size: u64) -> Result<Response<Body>, ServeError> {
    let boundary = format!("{:032x}", rand::rng().random::<u128>());
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let tail = format!("\r\n--{boundary}--\r\n");
    let mut length = tail.len() as u64;
    let mut parts = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (first, last) = (range.start, range.end - 1);
        let head = format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n");
        length += head.len() as u64 + (range.end - range.start);
        parts.push((head, range));
    }
    if matches!(origin, Origin::Stream(_)) {
        // It is not opened yet, so nobody knows whether its bytes are verified.
        headers.remove(header::ETAG);
        headers.remove(header::LAST_MODIFIED);
    }
    headers.insert(header::CONTENT_TYPE, header_value(&format!("multipart/byteranges; boundary={boundary}"))?);
    headers.insert(header::CONTENT_LENGTH, length.into());
    let chunks = stream::iter(parts).then(move |(head, range)| {
        let origin = origin.clone();
        async move {
            let part = origin.open(Some(range), &mut HeaderMap::new()).await?;
            Ok::<_, BodyError>(Body::from(head).into_data_stream().chain(part.into_data_stream()))
        }
    });
    let tail = stream::iter([Ok(Bytes::from(tail))]);
    Ok(respond(StatusCode::PARTIAL_CONTENT, headers, Body::stream(chunks.try_flatten().chain(tail))))
}

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const ARTIFACT_SIZE: HeaderName = HeaderName::from_static("x-pulp-artifact-size");

fn validators(representation: &Representation) -> Validators {
    let etag = representation.sha256.and_then(|sha256| HeaderValue::try_from(format!("\"{sha256}\"")).ok());
    // HTTP dates have no fractions.
    let modified = representation.modified.and_then(|at| u64::try_from(at.timestamp()).ok());
    Validators { etag, modified: modified.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)) }
}

fn content_range(range: &Range<u64>, size: u64) -> Result<HeaderValue, ServeError> {
    header_value(&format!("bytes {}-{}/{size}", range.start, range.end - 1))
}

fn header_value(text: &str) -> Result<HeaderValue, ServeError> {
    HeaderValue::try_from(text).map_err(|error| ServeError::Internal(error.to_string()))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Names a file that is saved (RFC 6266): the store’s own address does not. What is not ASCII is told in the form that can have it, beside one
/// that every client understands.
fn disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '_' };
    let fallback: String = name.chars().map(plain).collect();
    let extended = if fallback == name { String::new() } else { format!(";filename*=UTF-8''{}", encode_name(name)) };
    format!("attachment;filename=\"{fallback}\"{extended}")
}

pub(super) fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A status with a line of text: `404: …`.
pub(super) fn message(status: StatusCode, text: &str) -> Response<Body> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let text = format!("{}: {text}", status.as_u16());
    headers.insert(header::CONTENT_LENGTH, (text.len() as u64).into());
    let mut response = respond(status, headers, text.clone().into());
    if let Some((_, reason)) = text.split_once(": ") {
        response.extensions_mut().insert(ReasonText(reason.to_owned()));
    }
    response
}

fn redirect(status: StatusCode, to: &str) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut response = message(status, reason);
    match HeaderValue::try_from(to) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

/// 301 to the same path with a slash at its end. The query is left behind, as Pulp does.
pub(super) fn add_slash(path: &str) -> Response<Body> {
    // Two slashes at the start would name another host.
    redirect(StatusCode::MOVED_PERMANENTLY, &format!("/{}/", path.trim_matches('/')))
}

/// An error as a response. What is not for clients goes to the log.
pub(super) fn error(error: &ServeError, uri: &http::Uri, asked: &HeaderMap) -> Response<Body> {
    use crate::db::DbError;
    let path = uri.path();
    match error {
        ServeError::Denied(reason) => message(StatusCode::FORBIDDEN, reason),
        ServeError::NotFound(reason) => not_found(uri, asked, Unresolved::Source, reason),
        ServeError::BadGateway(reason) => message(StatusCode::BAD_GATEWAY, reason),
        ServeError::GatewayTimeout(reason) => message(StatusCode::GATEWAY_TIMEOUT, reason),
        ServeError::Busy(reason) => retry_later(reason),
        ServeError::Db(DbError::Unavailable(_) | DbError::Retry(_)) => {
            tracing::warn!(%error, path, "content cannot be looked up");
            retry_later("the database cannot be reached at the moment; try again")
        }
        ServeError::Db(_) | ServeError::Storage(_) | ServeError::Internal(_) => {
            tracing::error!(%error, path, "content cannot be served");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

fn retry_later(reason: &str) -> Response<Body> {
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, reason);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
