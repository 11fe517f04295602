//! Tokens: of programs that ask in the name of a user.

use super::{Asker, By};
use crate::Pulp;
use crate::api::error::ApiError;
use crate::model::ApiToken;
use crate::resource::access::Limit;

/// Who asks with a bearer token; nobody with one that is none of ours.
pub(super) async fn bearer(pulp: &Pulp, token: &str) -> Result<Option<Asker>, ApiError> {
    if !ApiToken::is_secret(token) {
        return Ok(None);
    }
    match of_secret(pulp, token).await? {
        Some(asker) => Ok(Some(asker)),
        None => Err(ApiError::unauthenticated("Invalid token.")),
    }
}

/// Who asks with the token of this secret, as long as it is valid. One look at the database each time: who revokes a token need not wait.
pub(super) async fn of_secret(pulp: &Pulp, secret: &str) -> Result<Option<Asker>, ApiError> {
    if !ApiToken::is_secret(secret) {
        return Ok(None);
    }
    let (db, now) = (pulp.db(), pulp.now());
    let Some(token) = ApiToken::by_secret(db, secret).await?.filter(|token| token.is_valid(now)) else { return Ok(None) };
    // Who may ask must not wait for it, nor be refused if it fails.
    if let Err(error) = token.note_use(db, now).await {
        tracing::warn!(%error, "it could not be noted that a token was used");
    }
    let limit = token.permissions.map(|names| Limit::new(pulp.access(), &names.0));
    let by = By::Token { id: token.pulp_id, read_only: token.read_only };
    Ok(Some(Asker { limit, ..Asker::new(token.user, by) }))
}
