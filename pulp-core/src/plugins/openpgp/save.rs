//! A key that was read becomes units.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::Digest as _;

use super::{PUBLIC_KEY, PUBLIC_SUBKEY, SIGNATURE, USER_ATTRIBUTE, USER_ID};
use crate::crypto::openpgp::{Certificate, Key, Signature};
use crate::model::save::{SavedUnit, save_units};
use crate::prelude::*;

/// The units of a key, saved.
pub(super) struct SavedKey {
    /// The key’s own.
    pub(super) key: Uuid,
    /// All of them.
    pub(super) all: Vec<Uuid>,
}

/// Saves what is not there yet.
pub(super) async fn save(pulp: &Pulp, domain: Uuid, read: &Certificate) -> Result<SavedKey> {
    let now = pulp.now();
    let tx = pulp.db().begin().await?;
    let mut saved = Saving { tx: &tx, domain, now, all: Vec::new(), signed: Vec::new() };
    let key = &read.key;
    let unit = Unit::new(&PUBLIC_KEY, vec![key.content.fingerprint.as_str().into(), raw(&key.raw), created(&key.content)?.into()]);
    let id = saved.save(vec![unit], &[&key.signatures]).await?.first().copied();
    let id = id.ok_or_else(|| Error::Internal("a public key was not saved".to_owned()))?;

    let subkeys = read.subkeys.iter().map(|subkey| {
        let values = vec![id.into(), subkey.content.fingerprint.as_str().into(), raw(&subkey.raw), created(&subkey.content)?.into()];
        Ok(Unit::new(&PUBLIC_SUBKEY, values))
    });
    let subkeys = subkeys.collect::<Result<Vec<Unit>>>()?;
    saved.save(subkeys, &read.subkeys.iter().map(|subkey| &subkey.signatures).collect::<Vec<_>>()).await?;

    let names = read.user_ids.iter().map(|name| Unit::new(&USER_ID, vec![id.into(), text(&name.content).into(), raw(&name.raw)]));
    saved.save(names.collect(), &read.user_ids.iter().map(|name| &name.signatures).collect::<Vec<_>>()).await?;

    let attributes = read.user_attributes.iter();
    let attributes = attributes.map(|attribute| Unit::new(&USER_ATTRIBUTE, vec![id.into(), sha256(&attribute.raw), raw(&attribute.raw)]));
    let signatures: Vec<_> = read.user_attributes.iter().map(|attribute| &attribute.signatures).collect();
    saved.save(attributes.collect(), &signatures).await?;

    let signatures = saved.signed.iter().map(|(signed, signature)| {
        Ok(Unit::new(
            &SIGNATURE,
            vec![
                signed.into(),
                sha256(&signature.raw),
                raw(&signature.raw),
                i64::from(signature.kind).into(),
                moment(signature.created)?.into(),
                Value::Int(signature.expiration.map(i64::from)),
                Value::Int(signature.key_expiration.map(i64::from)),
                Value::Text(signature.issuer.clone()),
                Value::Text(signature.signers_user_id.as_deref().map(text)),
            ],
        ))
    });
    let signatures = signatures.collect::<Result<Vec<Unit>>>()?;
    saved.save(signatures, &[]).await?;
    let all = saved.all;
    tx.commit().await?;
    Ok(SavedKey { key: id, all })
}

struct Saving<'a> {
    tx: &'a Tx,
    domain: Uuid,
    now: Timestamp,
    all: Vec<Uuid>,
    /// Signatures that are to be saved, and of what.
    signed: Vec<(Uuid, &'a Signature)>,
}

impl<'a> Saving<'a> {
    /// Saves units of one type; their keys, in order. Notes the signatures of each.
    async fn save(&mut self, units: Vec<Unit>, signatures: &[&'a Vec<Signature>]) -> Result<Vec<Uuid>> {
        let Some(first) = units.first() else { return Ok(Vec::new()) };
        let references: Vec<&Unit> = units.iter().collect();
        let saved = save_units(self.tx, first.kind, &references, self.domain, self.now, self.now).await?;
        let mut keys = Vec::with_capacity(units.len());
        for (at, unit) in units.iter().enumerate() {
            let SavedUnit { id, .. } =
                *saved.get(&unit.key()).ok_or_else(|| Error::Internal("a unit vanished while it was saved".to_owned()))?;
            keys.push(id);
            self.signed.extend(signatures.get(at).into_iter().flat_map(|signatures| signatures.iter()).map(|signature| (id, signature)));
        }
        self.all.extend(&keys);
        Ok(keys)
    }
}

fn raw(bytes: &[u8]) -> Value {
    BASE64.encode(bytes).into()
}

fn sha256(bytes: &[u8]) -> Value {
    hex::encode(sha2::Sha256::digest(bytes)).into()
}

/// PostgreSQL’s texts have no NUL.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn created(key: &Key) -> Result<Timestamp> {
    moment(key.created)
}

fn moment(seconds: u32) -> Result<Timestamp> {
    Timestamp::from_timestamp(i64::from(seconds), 0).ok_or_else(|| Error::BadRequest("A date of the key cannot be read.".to_owned()))
}
