//! Responses.

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::body::Body;

/// JSON of a value.
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => raw_json(status, bytes),
        Err(error) => {
            tracing::error!(%error, "a response could not be written as JSON");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// JSON that is written already.
pub(crate) fn raw_json(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The href of the task, or group of tasks, that goes on with a request; in the extensions of its response.
#[derive(Debug, Clone)]
pub(crate) struct Dispatched(pub(crate) String);

/// 202 with the href of what goes on with the request: a `task` or a `task_group`.
pub(crate) fn dispatched(what: &str, href: String) -> Response<Body> {
    let mut response = json(StatusCode::ACCEPTED, &serde_json::json!({what: href}));
    response.extensions_mut().insert(Dispatched(href));
    response
}

/// No body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The same response, that says where the new object lies.
pub(crate) fn located(mut response: Response<Body>, href: &str) -> Response<Body> {
    if let Ok(href) = HeaderValue::from_str(href) {
        response.headers_mut().insert(LOCATION, href);
    }
    response
}
