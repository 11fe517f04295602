//! What a proxy that has authenticated the user says, where the settings say that there is one.
//!
//! Whoever is new is made, without any role.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};

use super::{Asker, By, known};
use crate::api::error::ApiError;
use crate::jq::LONGEST_INPUT;
use crate::model::User;
use crate::{Error, Pulp};

/// The user whom one of the proxy's headers names.
pub(super) async fn asker(pulp: &Pulp, headers: &HeaderMap) -> Result<Option<Asker>, ApiError> {
    if let Some(user) = by_name(pulp, headers).await? {
        return Ok(Some(Asker::new(user, By::RemoteUser)));
    }
    Ok(by_json(pulp, headers).await?.map(|user| Asker::new(user, By::JsonHeader)))
}

/// By a header that is the name.
async fn by_name(pulp: &Pulp, headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    let Some(header) = pulp.settings().remote_user_header() else { return Ok(None) };
    let Some(value) = only(headers, &header)? else { return Ok(None) };
    known(pulp, value.to_str().unwrap_or_default()).await.map(Some)
}

/// By a header of JSON, in which a filter finds the name. One in which it finds none says nothing of who asks.
async fn by_json(pulp: &Pulp, headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    let Some((header, filter)) = pulp.settings().json_header() else { return Ok(None) };
    let Some(value) = only(headers, &header)? else { return Ok(None) };
    let Some(json) = decoded(value) else {
        tracing::debug!(header, "the header that says who asks is no base64, or too long");
        return Ok(None);
    };
    match pulp.jq().first_text(filter.to_owned(), json).await {
        Ok(Some(name)) => known(pulp, &name).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => {
            tracing::debug!(header, %error, "the header that says who asks names nobody");
            Ok(None)
        }
    }
}

/// The one value of a header: two of them may come from two hands.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h HeaderValue>, Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Error::Unauthenticated),
    }
}

/// The JSON in a header.
pub(crate) fn decoded(value: &HeaderValue) -> Option<Vec<u8>> {
    let text = value.as_bytes().trim_ascii();
    if text.len() > base64::encoded_len(LONGEST_INPUT, true)? {
        return None;
    }
    STANDARD.decode(text).ok()
}
