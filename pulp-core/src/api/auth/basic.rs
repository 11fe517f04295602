//! Name and password in the request: HTTP Basic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use super::{Asker, By, Known, token};
use crate::Pulp;
use crate::api::error::ApiError;
use crate::crypto::{PasswordError, Secret};

/// The user whom HTTP Basic names: `encoded` is what follows the scheme. A token may stand where the password does.
pub(super) async fn asker(pulp: &Pulp, encoded: &str) -> Result<Asker, ApiError> {
    let encoding = || ApiError::unauthenticated("Invalid basic header. Credentials not correctly base64 encoded.");
    let (name, password) = decoded(encoded).ok_or_else(encoding)?;
    if let Some(asker) = token::of_secret(pulp, &password).await?.filter(|asker| asker.user.username == name) {
        return Ok(asker);
    }
    let known = Known::by_name(pulp, &name).await?;
    let stored = known.as_ref().map(|known| known.user.password.as_str());
    let right = match pulp.credentials().verify(&name, &Secret::new(password), stored).await {
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
    match known {
        Some(known) if right && known.user.is_active => Ok(Asker::of(known, By::Password)),
        _ => Err(ApiError::unauthenticated("Invalid username/password.")),
    }
}

/// Name and password; the name has no colon.
pub(crate) fn decoded(encoded: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
