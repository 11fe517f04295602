//! Who asks: HTTP Basic, or the cookie of a session.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Method, StatusCode};

use super::error::ApiError;
use super::session;
use crate::crypto::{PasswordError, Secret};
use crate::model::User;
use crate::{Error, Pulp};

/// The user of a request.
pub(super) async fn authenticate(pulp: &Pulp, headers: &HeaderMap, method: &Method) -> Result<User, ApiError> {
    if let Some(user) = basic(pulp, headers).await? {
        return Ok(user);
    }
    if let Some(user) = remote(pulp, headers).await? {
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

/// The user that HTTP Basic names; nothing without that header.
async fn basic(pulp: &Pulp, headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let header = header.to_str().unwrap_or_default();
    let Some((scheme, rest)) = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")) else {
        return Ok(None);
    };
    debug_assert!(scheme.len() == 5);
    let encoding = || ApiError::unauthenticated("Invalid basic header. Credentials not correctly base64 encoded.");
    let decoded = STANDARD.decode(rest.trim()).map_err(|_| encoding())?;
    let decoded = String::from_utf8(decoded).map_err(|_| encoding())?;
    let (name, password) = decoded.split_once(':').ok_or_else(encoding)?;
    let user = User::by_name(pulp.db(), name).await?;
    let stored = user.as_ref().map(|user| user.password.as_str());
    let right = match pulp.credentials().verify(name, &Secret::new(password.to_owned()), stored).await {
        Ok(right) => right,
        Err(PasswordError::TooMany) => {
            tracing::warn!(user = name, "too many wrong passwords were tried");
            return Err(ApiError::detail(StatusCode::TOO_MANY_REQUESTS, "Request was throttled. Expected available in 60 seconds."));
        }
        Err(error) => {
            tracing::warn!(user = name, %error, "a password could not be checked");
            false
        }
    };
    match user {
        Some(user) if right && user.is_active => Ok(Some(user)),
        _ => Err(ApiError::unauthenticated("Invalid username/password.")),
    }
}

/// The user that a proxy names, where the settings say that one does; whoever is new is made, without any role.
async fn remote(pulp: &Pulp, headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    let Some(header) = pulp.settings().remote_user_header() else { return Ok(None) };
    let mut values = headers.get_all(&header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let name = value.to_str().unwrap_or_default().trim();
    // Two of them may come from two hands.
    if values.next().is_some() || name.is_empty() || name.chars().count() > 150 {
        return Err(Error::Unauthenticated.into());
    }
    let user = match User::by_name(pulp.db(), name).await? {
        Some(user) => user,
        None => User::create_remote(pulp.db(), name, pulp.now()).await?,
    };
    if user.is_active { Ok(Some(user)) } else { Err(Error::Unauthenticated.into()) }
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';')).find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}
