//! The digests of one file.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Algorithm, DigestError, Sha256};

/// The digests of one file: at most one per algorithm, in lower-case hexadecimal digits.
///
/// One allocation holds all of them. It serialises as a map from algorithm to digest.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Digests {
    present: u8,
    // The digits of the digests that are present, in the order of the algorithms.
    hex: Box<str>,
}

impl Digests {
    /// No digests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// How many digests there are.
    pub fn len(&self) -> usize {
        self.present.count_ones() as usize
    }

    /// The digest of `algorithm` in lower-case hexadecimal digits.
    pub fn get(&self, algorithm: Algorithm) -> Option<&str> {
        if !self.contains(algorithm) {
            return None;
        }
        let start = self.offset(algorithm);
        self.hex.get(start..start + algorithm.hex_len())
    }

    /// Whether the digest of `algorithm` is known.
    pub fn contains(&self, algorithm: Algorithm) -> bool {
        self.present & algorithm.bit() != 0
    }

    /// The sha256, if it is known.
    pub fn sha256(&self) -> Option<Sha256> {
        self.get(Algorithm::Sha256)?.parse().ok()
    }

    /// The digests, weakest algorithm first.
    pub fn iter(&self) -> DigestsIter<'_> {
        DigestsIter { digests: self, algorithms: Algorithm::ALL.into_iter() }
    }

    /// Adds a digest, or replaces it.
    ///
    /// # Errors
    /// [`DigestError`] where `digest` is no digest of `algorithm`.
    pub fn insert(&mut self, algorithm: Algorithm, digest: &str) -> Result<(), DigestError> {
        let digest = algorithm.normalize(digest)?;
        self.put(algorithm, &digest);
        Ok(())
    }

    /// Adds a digest to a value under construction.
    ///
    /// # Errors
    /// [`DigestError`] where `digest` is no digest of `algorithm`.
    pub fn with(mut self, algorithm: Algorithm, digest: &str) -> Result<Self, DigestError> {
        self.insert(algorithm, digest)?;
        Ok(self)
    }

    /// Adds those of another value, or replaces them.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (algorithm, digest) in other {
            self.put(algorithm, digest);
        }
    }

    pub(super) fn put(&mut self, algorithm: Algorithm, digest: &str) {
        let start = self.offset(algorithm);
        let end = if self.contains(algorithm) { start + algorithm.hex_len() } else { start };
        self.hex = [&self.hex[..start], digest, &self.hex[end..]].concat().into_boxed_str();
        self.present |= algorithm.bit();
    }

    fn offset(&self, algorithm: Algorithm) -> usize {
        Algorithm::ALL
            .into_iter()
            .take_while(|other| *other < algorithm)
            .filter(|other| self.contains(*other))
            .map(Algorithm::hex_len)
            .sum()
    }
}

impl From<Sha256> for Digests {
    fn from(sha256: Sha256) -> Self {
        let mut digests = Self::new();
        digests.put(Algorithm::Sha256, &sha256.to_string());
        digests
    }
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// The digests of a [`Digests`], weakest algorithm first.
#[derive(Debug, Clone)]
pub struct DigestsIter<'a> {
    digests: &'a Digests,
    algorithms: std::array::IntoIter<Algorithm, 6>,
}

impl<'a> Iterator for DigestsIter<'a> {
    type Item = (Algorithm, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.algorithms.by_ref().find_map(|algorithm| Some((algorithm, self.digests.get(algorithm)?)))
    }
}

impl<'a> IntoIterator for &'a Digests {
    type Item = (Algorithm, &'a str);
    type IntoIter = DigestsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Digests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> de::Visitor<'de> for Map {
            type Value = Digests;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from checksum type to digest")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Digests, A::Error> {
                let mut digests = Digests::new();
                while let Some((algorithm, digest)) = map.next_entry::<Algorithm, std::borrow::Cow<'de, str>>()? {
                    digests.insert(algorithm, &digest).map_err(de::Error::custom)?;
                }
                Ok(digests)
            }
        }

        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(algorithm: Algorithm, digit: char) -> String {
        digit.to_string().repeat(algorithm.hex_len())
    }

    #[test]
    fn any_order_of_insertion_reads_back() {
        let mut digests = Digests::new();
        assert!(digests.is_empty());
        for (i, algorithm) in [3, 0, 5, 1, 4, 2].into_iter().enumerate() {
            let algorithm = Algorithm::ALL[algorithm];
            digests.insert(algorithm, &digit(algorithm, 'A')).unwrap();
            assert_eq!(digests.len(), i + 1);
        }
        digests.insert(Algorithm::Sha1, &digit(Algorithm::Sha1, 'b')).unwrap();
        for algorithm in Algorithm::ALL {
            let expected = digit(algorithm, if algorithm == Algorithm::Sha1 { 'b' } else { 'a' });
            assert_eq!(digests.get(algorithm), Some(expected.as_str()));
        }
        assert_eq!(digests.iter().count(), 6);
    }

    #[test]
    fn json_is_a_map_and_is_checked() {
        let sha1 = digit(Algorithm::Sha1, '0');
        let digests = Digests::new().with(Algorithm::Sha1, &sha1).unwrap();
        let json = serde_json::to_value(&digests).unwrap();
        assert_eq!(json, serde_json::json!({ "sha1": sha1 }));
        assert_eq!(serde_json::from_value::<Digests>(json).unwrap(), digests);
        for bad in [r#"{"sha1": "00"}"#, r#"{"sha3": "00"}"#, "[]"] {
            assert!(serde_json::from_str::<Digests>(bad).is_err(), "{bad}");
        }
        assert_eq!(digests.sha256(), None);
    }
}
