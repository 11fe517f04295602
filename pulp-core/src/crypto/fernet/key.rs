//! One key.

use std::{fmt, str::FromStr};

use base64::{
    Engine as _,
    alphabet::URL_SAFE as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE},
};

use super::{super::Secret, BLOCK, FernetError, random};

/// A Fernet key: 16 bytes to sign with and 16 to encrypt with. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct FernetKey {
    signing: Secret<[u8; BLOCK]>,
    encryption: Secret<[u8; BLOCK]>,
}

impl FernetKey {
    /// A new key, from the system's random numbers.
    ///
    /// # Errors
    /// [`FernetError::Random`].
    pub fn generate() -> Result<Self, FernetError> {
        Ok(Self { signing: random()?.into(), encryption: random()?.into() })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (signing, encryption) = bytes.split_first_chunk()?;
        let encryption: [u8; BLOCK] = encryption.try_into().ok()?;
        Some(Self { signing: Secret::new(*signing), encryption: encryption.into() })
    }

    /// The key as it stands in a key file: 44 characters of base64 with the alphabet for URLs.
    pub fn to_text(&self) -> Secret {
        Secret::new(URL_SAFE.encode([*self.signing(), *self.encryption()].concat()))
    }

    pub(super) fn signing(&self) -> &[u8; BLOCK] {
        self.signing.expose()
    }

    pub(super) fn encryption(&self) -> &[u8; BLOCK] {
        self.encryption.expose()
    }
}

impl fmt::Debug for FernetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FernetKey(****)")
    }
}

/// Reads both alphabets of base64: Pulp's documentation makes keys with `openssl rand -base64 32`.
impl FromStr for FernetKey {
    type Err = FernetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &ALPHABET,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
        );
        let text = text.trim().replace('+', "-").replace('/', "_");
        let bytes = LENIENT.decode(text).ok();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or(FernetError::BadKey { line: 1 })
    }
}
