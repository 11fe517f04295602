//! Reading a signed token ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)), and judging what it says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::OidcError;
use super::keys::Algorithm;
use crate::clock::Timestamp;

/// Bytes of a token.
const LONGEST: usize = 16 << 10;
/// Seconds by which clocks may differ.
const LEEWAY: f64 = 30.0;

/// A token that was taken apart; nothing in it is to be believed yet.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    /// Which key signed it, if it says so.
    pub(super) key: Option<String>,
    /// What is signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    claims: &'t str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood, and is not.
    crit: Option<Json>,
}

impl<'t> Token<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, OidcError> {
        let no_token = || OidcError::Token("cannot be read");
        if text.len() > LONGEST {
            return Err(OidcError::Token("is too long"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(no_token)?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or_else(no_token)?;
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| no_token())?;
        if header.crit.is_some() {
            return Err(OidcError::Token("asks for something that is not known"));
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or(OidcError::Token("is not signed in a way that is allowed"))?;
        Ok(Self { algorithm, key: header.kid, signed: signed.as_bytes(), signature: decoded(signature)?, claims })
    }

    /// What it says, of a token whose signature is right.
    pub(super) fn claims(&self, issuer: &str, audience: &str, now: Timestamp) -> Result<Map<String, Json>, OidcError> {
        let claims: Map<String, Json> = serde_json::from_slice(&decoded(self.claims)?).map_err(|_| OidcError::Token("cannot be read"))?;
        let moment = |name: &str| claims.get(name).map(Json::as_f64);
        let now = now.timestamp() as f64;
        if claims.get("iss").and_then(Json::as_str) != Some(issuer) {
            return Err(OidcError::Token("is of another issuer"));
        }
        if !is_for(claims.get("aud"), audience) {
            return Err(OidcError::Token("is for somebody else"));
        }
        // One without an end is none.
        if !moment("exp").flatten().is_some_and(|end| now < end + LEEWAY) {
            return Err(OidcError::Token("has expired"));
        }
        if !moment("nbf").is_none_or(|begin| begin.is_some_and(|begin| now >= begin - LEEWAY)) {
            return Err(OidcError::Token("is not valid yet"));
        }
        Ok(claims)
    }
}

/// Whether the claim names us, alone or among others.
fn is_for(claim: Option<&Json>, audience: &str) -> bool {
    match claim {
        Some(Json::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
        Some(one) => one.as_str() == Some(audience),
        None => false,
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, OidcError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| OidcError::Token("cannot be read"))
}
