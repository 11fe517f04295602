//! 404: which part of a path led nowhere, in words or as JSON.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode, Uri};
use serde_json::json;

use super::render::message;
use crate::body::{Body, ReasonText};

/// The part of a path that did not lead on. Nothing is said of what the asker may not see: a guard is asked before anything below its
/// distribution is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// There is no such domain.
    Domain,
    /// No distribution has a base path that the path lies under.
    Distribution,
    /// The distribution is there, and has nothing there.
    Path,
    /// The file is known, and no source gives it.
    Source,
}

impl Unresolved {
    fn word(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Distribution => "distribution",
            Self::Path => "path",
            Self::Source => "source",
        }
    }
}

/// The answer to a request of `uri` with these headers.
pub(super) fn not_found(uri: &Uri, headers: &HeaderMap, part: Unresolved, reason: &str) -> Response<Body> {
    let mut response = message(StatusCode::NOT_FOUND, reason);
    if part == Unresolved::Source {
        // The path is right: the status line says no more than the status.
        response.extensions_mut().remove::<ReasonText>();
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    if wants_json(uri, headers) {
        let text = json!({"detail": reason, "unresolved": part.word()}).to_string();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(header::CONTENT_LENGTH, (text.len() as u64).into());
        *response.body_mut() = Body::from(text);
    }
    response
}

/// Whether JSON is asked for where there are words, too: by `?format=json`, or because the client names that type and not HTML.
pub(super) fn wants_json(uri: &Uri, headers: &HeaderMap) -> bool {
    let query = uri.query().unwrap_or_default();
    if let Some((_, format)) = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "format") {
        return format == "json";
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names = |kind: &str| accept.split(',').any(|part| part.split(';').next().is_some_and(|name| name.trim() == kind));
    names("application/json") && !names("text/html")
}
