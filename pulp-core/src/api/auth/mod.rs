//! Who asks: by HTTP Basic, by what a proxy says, or by the cookie of a session.

mod basic;
mod proxy;

use http::header::COOKIE;
use http::{HeaderMap, Method, StatusCode};

use super::error::ApiError;
use super::session;
use crate::model::User;
use crate::{Error, Pulp};

/// The user of a request.
pub(super) async fn authenticate(pulp: &Pulp, headers: &HeaderMap, method: &Method) -> Result<User, ApiError> {
    if let Some(user) = basic::user(pulp, headers).await? {
        return Ok(user);
    }
    if let Some(user) = proxy::user(pulp, headers).await? {
        return Ok(user);
    }
    let Some(key) = cookie(headers, session::COOKIE) else { return Err(Error::Unauthenticated.into()) };
    let user = session::user(pulp, key).await?.ok_or(Error::Unauthenticated)?;
    // Another site can make a browser send the cookie, but it can neither read it nor set the header.
    if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let sent = headers.get("x-csrftoken").and_then(|token| token.to_str().ok());
        match (sent, cookie(headers, session::CSRF)) {
            (Some(sent), Some(known)) if !sent.is_empty() && sent == known => {}
            (None, _) => return Err(ApiError::detail(StatusCode::FORBIDDEN, "CSRF Failed: CSRF token missing.")),
            _ => return Err(ApiError::detail(StatusCode::FORBIDDEN, "CSRF Failed: CSRF token incorrect.")),
        }
    }
    Ok(user)
}

/// The user of a request that reads content, if it names one who can log in.
pub(crate) async fn user_of(pulp: &Pulp, headers: &HeaderMap) -> Option<User> {
    authenticate(pulp, headers, &Method::GET).await.ok()
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';')).find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}
