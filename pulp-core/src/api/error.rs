//! How errors look on the wire: the one place that maps them.

use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value as Json, json};

use super::response;
use crate::Error;
use crate::body::Body;
use crate::db::DbError;
use crate::storage::StorageError;

/// An error as a response.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Json,
    allow: Option<String>,
    challenge: bool,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, body: Json) -> Self {
        Self { status, body, allow: None, challenge: false }
    }

    /// `{"detail": …}`.
    pub(crate) fn detail(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, json!({"detail": detail.into()}))
    }

    /// No such path.
    pub(crate) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not found.")
    }

    /// No such object of a model: `FileRepository`.
    pub(crate) fn no_match(model: &str) -> Self {
        Self::detail(StatusCode::NOT_FOUND, format!("No {model} matches the given query."))
    }

    /// Nobody is logged in.
    pub(crate) fn unauthenticated(detail: &str) -> Self {
        Self { challenge: true, ..Self::detail(StatusCode::UNAUTHORIZED, detail) }
    }

    /// The path is right, the method is not.
    pub(crate) fn method(method: &http::Method, allow: String) -> Self {
        Self { allow: Some(allow), ..Self::detail(StatusCode::METHOD_NOT_ALLOWED, format!("Method \"{method}\" not allowed.")) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What the client would read.
    pub(crate) fn into_body(self) -> Json {
        self.body
    }

    /// The same as one line: `remote: This field is required.`
    pub(crate) fn message(&self) -> String {
        fn walk(path: &str, value: &Json, lines: &mut Vec<String>) {
            match value {
                Json::Array(items) => items.iter().for_each(|item| walk(path, item, lines)),
                Json::Object(fields) => {
                    for (name, field) in fields {
                        let named = !matches!(name.as_str(), "detail" | "non_field_errors");
                        walk(if named { name } else { path }, field, lines);
                    }
                }
                Json::String(text) if path.is_empty() => lines.push(text.clone()),
                Json::String(text) => lines.push(format!("{path}: {text}")),
                other => lines.push(other.to_string()),
            }
        }
        let mut lines = Vec::new();
        walk("", &self.body, &mut lines);
        lines.join(" ")
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = response::json(self.status, &self.body);
        let headers = response.headers_mut();
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        if self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"api\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Validation(fields) => Self::new(StatusCode::BAD_REQUEST, json!(fields)),
            Error::Refused(body) => Self::new(StatusCode::BAD_REQUEST, body),
            Error::BadRequest(message) => Self::new(StatusCode::BAD_REQUEST, json!([message])),
            Error::NotFound { .. } => Self::not_found(),
            Error::Unauthenticated => Self::unauthenticated("Authentication credentials were not provided."),
            Error::Forbidden => Self::detail(StatusCode::FORBIDDEN, "You do not have permission to perform this action."),
            Error::Denied(message) => Self::detail(StatusCode::FORBIDDEN, message),
            Error::Conflict(message) => Self::detail(StatusCode::CONFLICT, message),
            Error::Busy(message) => Self::detail(StatusCode::SERVICE_UNAVAILABLE, message),
            Error::Coded { .. } | Error::Canceled => Self::detail(StatusCode::BAD_REQUEST, error.public_message()),
            Error::Db(DbError::Unavailable(_)) => Self::detail(StatusCode::SERVICE_UNAVAILABLE, error.public_message()),
            Error::Db(DbError::Full) | Error::Storage(StorageError::Full { .. } | StorageError::Quota { .. }) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a request found no space left");
                Self::detail(StatusCode::INSUFFICIENT_STORAGE, error.public_message())
            }
            other => {
                tracing::error!(error = %other, code = other.code(), "a request failed");
                Self::detail(StatusCode::INTERNAL_SERVER_ERROR, other.public_message())
            }
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        Error::from(error).into()
    }
}
