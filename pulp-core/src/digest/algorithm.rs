//! The digest algorithms that package repositories use.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::DigestError;

/// A digest algorithm, written in lower case everywhere (`sha256`), as in Pulp's API.
///
/// The order is that of strength: the later, the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// MD5 (RFC 1321): broken; known for old upstreams only.
    Md5,
    /// SHA-1 (FIPS 180-4): broken; known for old upstreams only.
    Sha1,
    /// SHA-224 (FIPS 180-4).
    Sha224,
    /// SHA-256 (FIPS 180-4): names every artifact.
    Sha256,
    /// SHA-384 (FIPS 180-4).
    Sha384,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl Algorithm {
    /// Every algorithm, weakest first.
    pub const ALL: [Self; 6] = [Self::Md5, Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// What Pulp computes unless it is told otherwise.
    pub const DEFAULT: [Self; 4] = [Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a digest in hexadecimal digits.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha224 => 56,
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// Checks that `text` is a digest of this algorithm and gives it in lower case.
    ///
    /// # Errors
    /// [`DigestError::Length`] or [`DigestError::NotHex`].
    pub fn normalize(self, text: &str) -> Result<String, DigestError> {
        if text.len() != self.hex_len() {
            return Err(DigestError::Length { algorithm: self, found: text.chars().count() });
        }
        if !hex::check_raw(text) {
            return Err(DigestError::NotHex { algorithm: self });
        }
        Ok(text.to_ascii_lowercase())
    }

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is none of the known digest algorithms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no known checksum type; known are md5, sha1, sha224, sha256, sha384, sha512")]
pub struct UnknownAlgorithm(String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            // The name comes from outside: show enough of it to find it again, and no more.
            .ok_or_else(|| UnknownAlgorithm(name.chars().take(32).collect()))
    }
}

/// Checks a configured list of algorithms (`ALLOWED_CONTENT_CHECKSUMS`): each once, weakest first, sha256 among them.
///
/// # Errors
/// [`DigestError::Sha256Required`] where sha256 is missing.
pub fn allowed(list: impl IntoIterator<Item = Algorithm>) -> Result<Vec<Algorithm>, DigestError> {
    let mut list: Vec<Algorithm> = list.into_iter().collect();
    list.sort_unstable();
    list.dedup();
    if list.contains(&Algorithm::Sha256) { Ok(list) } else { Err(DigestError::Sha256Required) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.to_string());
        }
        assert!("SHA256".parse::<Algorithm>().is_err());
        let error = "x".repeat(5000).parse::<Algorithm>().unwrap_err();
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn normalize_lowers_and_refuses() {
        let md5 = "D41D8CD98F00B204E9800998ECF8427E";
        assert_eq!(Algorithm::Md5.normalize(md5).unwrap(), md5.to_ascii_lowercase());
        assert_eq!(Algorithm::Sha1.normalize(md5), Err(DigestError::Length { algorithm: Algorithm::Sha1, found: 32 }));
        for bad in ["g", " ", "\u{e9}", "0x"] {
            let text = format!("{bad}{}", &md5[bad.len()..]);
            assert_eq!(Algorithm::Md5.normalize(&text), Err(DigestError::NotHex { algorithm: Algorithm::Md5 }), "{text}");
        }
    }

    #[test]
    fn sha256_is_mandatory() {
        use Algorithm::{Md5, Sha256, Sha512};
        assert_eq!(allowed([Sha512, Sha256, Md5, Sha256]).unwrap(), [Md5, Sha256, Sha512]);
        assert_eq!(allowed([Sha512]), Err(DigestError::Sha256Required));
    }
}
