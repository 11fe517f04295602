//! A request on its way to its handler.

use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::auth::By;
use super::error::ApiError;
use super::payload;
use crate::body::Body;
use crate::model::User;
use crate::resource::{Context, RawBody};

/// A request whose route is known and whose user is, if there is one.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) cx: Context,
    /// How it is known who the user is.
    pub(crate) by: Option<By>,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) parameters: Vec<(String, String)>,
    /// A body can be read by one only; the lock makes that known to the compiler.
    pub(crate) body: Mutex<Body>,
    /// The body, where it was read to find out who may send it.
    pub(crate) read: Option<RawBody>,
}

impl Request {
    /// A part of the path.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The user; routes that need one are not reached without.
    pub(crate) fn user(&self) -> Result<&User, ApiError> {
        self.cx.user().map(AsRef::as_ref).ok_or_else(|| crate::Error::Unauthenticated.into())
    }

    /// Reads the body, whichever of the three kinds it is; files go to the spool.
    pub(crate) async fn payload(&mut self) -> Result<RawBody, ApiError> {
        if let Some(read) = self.read.take() {
            return Ok(read);
        }
        let body = std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner));
        payload::read(self.cx.pulp(), &self.headers, body).await
    }

    /// Reads the body ahead of its handler, once.
    pub(crate) async fn peek(&mut self) -> Result<&RawBody, ApiError> {
        let body = self.payload().await?;
        Ok(self.read.insert(body))
    }

    /// The URL of this request, without its query.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.cx.origin().unwrap_or_default(), self.path)
    }
}

/// Whether a method changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The pairs of a query string.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A segment of a path, decoded; nothing if it is no UTF-8.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
