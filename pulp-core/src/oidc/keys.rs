//! The keys of an issuer ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), and what they signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value as Json;

use super::token::Token;

/// Keys that are looked at.
const MOST: usize = 64;
/// What a point of a curve begins with that is written in full.
const UNCOMPRESSED: u8 = 4;

/// How tokens may be signed. Not with a secret that both sides know, and not not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// The keys of an issuer that can be used.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key as it is written.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads the keys of a set; those of other kinds, or for other purposes, are passed over.
    pub(super) fn read(set: &Json) -> Self {
        let keys = set["keys"].as_array().into_iter().flatten().take(MOST);
        Self(keys.filter_map(|key| Key::read(Written::deserialize(key).ok()?)).collect())
    }

    /// Whether a key is there that may have signed a token.
    pub(super) fn has(&self, token: &Token<'_>) -> bool {
        self.of(token).next().is_some()
    }

    /// Whether one of the keys signed a token.
    pub(super) fn verify(&self, token: &Token<'_>) -> bool {
        self.of(token).any(|key| key.public.signed(token.signed, &token.signature))
    }

    /// A key signs in one way only, whatever a token says.
    fn of<'k>(&'k self, token: &'k Token<'_>) -> impl Iterator<Item = &'k Key> {
        let named = |key: &&Key| token.key.is_none() || key.id == token.key;
        self.0.iter().filter(move |key| key.public.algorithm() == token.algorithm).filter(named)
    }
}

impl Key {
    fn read(written: Written) -> Option<Self> {
        if written.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let public = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => Public::Rsa { n: bytes(&written.n)?, e: bytes(&written.e)? },
            ("EC", Some("P-256")) => Public::P256([vec![UNCOMPRESSED], bytes(&written.x)?, bytes(&written.y)?].concat()),
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(&written.x)?),
            _ => return None,
        };
        let fits = written.alg.is_none_or(|name| Algorithm::parse(&name) == Some(public.algorithm()));
        fits.then_some(Self { id: written.kid, public })
    }
}

impl Public {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
            Self::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
        }
        .is_ok()
    }
}
