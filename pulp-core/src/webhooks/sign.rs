//! The signature of a message.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The value of `Pulp-Webhook-Signature`: `t=<seconds>,v1=<hex>`, where the latter is the HMAC-SHA256, under the secret, of the seconds
/// since 1970, a dot, and the body. Nothing if the secret cannot be a key.
///
/// A receiver works out the same, compares without giving away how far it is right, and refuses what is older than some minutes.
///
/// ```
/// let signature = pulp_core::webhooks::signature(b"secret", 1_700_000_000, b"{}").unwrap();
/// assert_eq!(signature, "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163");
/// ```
pub fn signature(secret: &[u8], seconds: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes())))
}
