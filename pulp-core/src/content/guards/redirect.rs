//! By a signature in the address: for clients that another part of the system has sent here.

use async_trait::async_trait;
use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};

use super::super::{ContentGuard, Denied, GuardRequest};
use super::{found, same};
use crate::clock::Timestamp;
use crate::db::{ExecutorExt, Sql};

/// How long a signed address is good for.
const GOOD_FOR: TimeDelta = TimeDelta::hours(1);

/// What ends the signed part of an address.
const TOKEN: &str = "validate_token=";

/// `core.content_redirect`.
pub(super) struct SignedUrl;

#[async_trait]
impl ContentGuard for SignedUrl {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        let refused = || Denied("Access not authenticated".to_owned());
        let address = request.uri.path_and_query().map_or("", |address| address.as_str());
        let at = address.find(TOKEN).filter(|at| *at > 0).ok_or_else(refused)?;
        let (signed, token) = (&address[..at - 1], &address[at + TOKEN.len()..]);
        let query = signed.split_once('?').map_or("", |(_, query)| query);
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        let expires = pairs.find_map(|(name, value)| (name == "expires").then_some(value)).ok_or_else(refused)?;
        let expires: i64 = expires.trim().parse().map_err(|_| refused())?;
        if expires < request.pulp.now().timestamp() {
            return Err(Denied("Authentication expired".to_owned()));
        }
        let token = token.split('&').next().unwrap_or_default().replace("%3A", ":").replace("%3a", ":");
        let (salt, digest) = token.split_once(':').ok_or_else(refused)?;
        let (salt, digest) = (hex::decode(salt).map_err(|_| refused())?, hex::decode(digest).map_err(|_| refused())?);
        let sql = Sql::new("select shared_secret from core_contentredirectcontentguard where contentguard_ptr_id = $1").bind(request.guard);
        let (sealed,): (String,) = found(request, request.pulp.db().optional(sql).await)?;
        let secret = request.pulp.unseal(&sealed).ok().and_then(|secret| hex::decode(secret.expose()).ok()).ok_or_else(|| {
            tracing::error!(guard = %request.guard, "the secret of a content guard cannot be decrypted");
            refused()
        })?;
        if same(&token_of(&salt, signed, &secret), &digest) { Ok(()) } else { Err(refused()) }
    }
}

fn token_of(salt: &[u8], signed: &str, secret: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(signed.as_bytes());
    hasher.update(secret);
    hasher.finalize().into()
}

/// A new secret of such a guard, as hexadecimal digits.
pub(crate) fn new_secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// The path and query that lead past the guard with this secret until an hour from now; `path` is as it goes over the wire.
pub(crate) fn sign(path: &str, secret: &[u8], now: Timestamp) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    let signed = format!("{path}{joint}expires={}", (now + GOOD_FOR).timestamp());
    let salt: [u8; 32] = rand::random();
    let digest = token_of(&salt, &signed, secret);
    format!("{signed}&{TOKEN}{}:{}", hex::encode(salt), hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_pulp() {
        let salt = hex::decode("1cf5ef77b66e5e4ec9cc673b994f0c0ea9a943f4f8aae17501ba57a0ca9fc451").unwrap();
        let signed = "/pulp/content/gd-d/?expires=1795651195";
        let mut by_hand = salt.clone();
        by_hand.extend_from_slice(signed.as_bytes());
        by_hand.extend_from_slice(b"secret");
        assert_eq!(token_of(&salt, signed, b"secret")[..], Sha256::digest(by_hand)[..]);
        let now = Timestamp::from_timestamp(1_000, 0).unwrap();
        assert!(sign("/pulp/content/x/", b"s", now).starts_with("/pulp/content/x/?expires=4600&validate_token="));
        assert!(sign("/pulp/content/x/?a=b", b"s", now).starts_with("/pulp/content/x/?a=b&expires=4600&validate_token="));
    }
}
