//! Bearer tokens of an OpenID Connect issuer, where the settings name one.

use http::StatusCode;
use serde_json::Value as Json;

use super::{Asker, By, known};
use crate::Pulp;
use crate::api::error::ApiError;
use crate::oidc::{Oidc, OidcError};

/// Who asks with a token that the issuer has signed; nobody where there is no issuer, or the text is no such token.
pub(super) async fn asker(pulp: &Pulp, token: &str) -> Result<Option<Asker>, ApiError> {
    let Some(oidc) = pulp.oidc().filter(|_| Oidc::is_token(token)) else { return Ok(None) };
    let claims = oidc.verify(token, pulp.now()).await.map_err(refused)?;
    let settings = pulp.settings();
    let name = claims.get(&settings.oidc_username_claim).and_then(Json::as_str).unwrap_or_default();
    let user = known(pulp, name).await?;
    if let Some(claim) = &settings.oidc_groups_claim {
        oidc.put_into_groups(pulp.db(), user.id, texts(claims.get(claim))).await?;
    }
    Ok(Some(Asker::new(user, By::OpenId)))
}

/// The texts of a claim that is a list, or that is one text.
fn texts(claim: Option<&Json>) -> Vec<String> {
    let all = match claim {
        Some(Json::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    all.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// Why exactly is for the log: whoever tries tokens is told nothing.
fn refused(error: OidcError) -> ApiError {
    match error {
        OidcError::Token(_) => {
            tracing::info!(%error, "a bearer token was refused");
            ApiError::unauthenticated("Invalid token.")
        }
        OidcError::Issuer(_) => {
            ApiError::detail(StatusCode::SERVICE_UNAVAILABLE, "The issuer of tokens cannot be reached at the moment; try again.")
        }
    }
}
