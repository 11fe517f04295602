//! What a file was announced to be, and checking that it is.

use super::{Algorithm, Digests};

/// What is known of a file before it is here: from a manifest, from a request, from the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Size in bytes.
    pub size: Option<u64>,
    /// Digests; any number of them.
    pub digests: Digests,
}

/// How a file differs from what was announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// Another number of bytes.
    #[error("size is {actual} bytes, expected {expected}")]
    Size {
        /// The announced size in bytes.
        expected: u64,
        /// The true size in bytes.
        actual: u64,
    },
    /// Another digest, and so another content.
    #[error("{algorithm} is {actual}, expected {expected}")]
    Digest {
        /// The strongest algorithm whose digests differ.
        algorithm: Algorithm,
        /// The announced digest, in lower case.
        expected: Box<str>,
        /// The true digest, in lower case.
        actual: Box<str>,
    },
    /// Digests were announced, but only of algorithms that were not computed: nothing can be said, so it is refused.
    #[error(
        "only {} announced, which is not among the allowed checksums (ALLOWED_CONTENT_CHECKSUMS)",
        names(.announced)
    )]
    Unverifiable {
        /// The algorithms of the announced digests.
        announced: Vec<Algorithm>,
    },
}

impl Expected {
    /// Nothing is known, so anything will do.
    pub fn anything() -> Self {
        Self::default()
    }

    /// Compares with what the file turned out to be.
    ///
    /// # Errors
    /// [`Mismatch`] names the first difference: size, then digests, strongest first.
    pub fn check(&self, size: u64, digests: &Digests) -> Result<(), Mismatch> {
        if let Some(expected) = self.size
            && expected != size
        {
            return Err(Mismatch::Size { expected, actual: size });
        }
        let mut compared = self.digests.is_empty();
        for algorithm in Algorithm::ALL.into_iter().rev() {
            if let (Some(expected), Some(actual)) = (self.digests.get(algorithm), digests.get(algorithm)) {
                if expected != actual {
                    return Err(Mismatch::Digest { algorithm, expected: expected.into(), actual: actual.into() });
                }
                compared = true;
            }
        }
        if compared {
            Ok(())
        } else {
            Err(Mismatch::Unverifiable { announced: self.digests.iter().map(|(algorithm, _)| algorithm).collect() })
        }
    }
}

fn names(algorithms: &[Algorithm]) -> String {
    let names: Vec<_> = algorithms.iter().map(|a| a.name()).collect();
    match names.as_slice() {
        [one] => format!("a digest of type {one} is"),
        many => format!("digests of types {} are", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::hash_bytes, *};

    #[test]
    fn equal_passes_and_differences_are_named() {
        let (digests, size) = hash_bytes(&Algorithm::DEFAULT, b"hello");
        let mut expected = Expected { size: Some(5), digests: digests.clone() };
        assert_eq!(expected.check(size, &digests), Ok(()));
        assert_eq!(Expected::anything().check(size, &digests), Ok(()));

        expected.size = Some(6);
        let error = expected.check(size, &digests).unwrap_err();
        assert_eq!(error.to_string(), "size is 5 bytes, expected 6");

        expected.size = None;
        let (other, _) = hash_bytes(&[Algorithm::Sha224, Algorithm::Sha256], b"Hello");
        for (algorithm, digest) in &other {
            expected.digests.insert(algorithm, digest).unwrap();
        }
        let error = expected.check(size, &digests).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("sha256 is {}, expected {}", digests.get(Algorithm::Sha256).unwrap(), other.get(Algorithm::Sha256).unwrap())
        );
    }

    #[test]
    fn a_digest_that_was_not_computed_is_no_proof() {
        let (announced, _) = hash_bytes(&[Algorithm::Md5], b"hello");
        let (computed, size) = hash_bytes(&Algorithm::DEFAULT, b"hello");
        let expected = Expected { size: None, digests: announced };
        let error = expected.check(size, &computed).unwrap_err();
        assert!(error.to_string().starts_with("only a digest of type md5 is announced"), "{error}");
    }
}
