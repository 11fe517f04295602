//! The digest that names an artifact.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Algorithm, DigestError};

/// A sha256, as 32 bytes: the name of an artifact.
///
/// Reads hexadecimal digits of either case, and writes them in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// From the raw digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex::Buffer::<32>::new().format(&self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let algorithm = Algorithm::Sha256;
        if text.len() != algorithm.hex_len() {
            return Err(DigestError::Length { algorithm, found: text.chars().count() });
        }
        let mut bytes = [0; 32];
        // `decode_to_slice` would skip a leading `0x`; the length rules out that any digits are left out then.
        if !hex::check_raw(text) || hex::decode_to_slice(text, &mut bytes).is_err() {
            return Err(DigestError::NotHex { algorithm });
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_either_case_and_writes_lower() {
        let sha256: Sha256 = EMPTY.to_ascii_uppercase().parse().unwrap();
        assert_eq!(sha256.to_string(), EMPTY);
        assert_eq!(serde_json::to_value(sha256).unwrap(), EMPTY);
        assert_eq!(serde_json::from_value::<Sha256>(EMPTY.into()).unwrap(), sha256);
    }

    #[test]
    fn refuses_what_is_not_a_sha256() {
        assert!(EMPTY[1..].parse::<Sha256>().is_err());
        assert!(format!("0x{}", &EMPTY[2..]).parse::<Sha256>().is_err());
        assert!(format!("{EMPTY}0").parse::<Sha256>().is_err());
        assert!(serde_json::from_str::<Sha256>("\"abc\"").is_err());
    }
}
