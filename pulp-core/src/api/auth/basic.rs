//! Name and password in the request: HTTP Basic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use crate::Pulp;
use crate::api::error::ApiError;
use crate::crypto::{PasswordError, Secret};
use crate::model::User;

/// The user that HTTP Basic names; nothing without that header.
pub(super) async fn user(pulp: &Pulp, headers: &HeaderMap) -> Result<Option<User>, ApiError> {
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
