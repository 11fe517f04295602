//! Content of any size that takes no memory until it is read.

use std::io::{self, Write};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

/// How much is made at a time.
const CHUNK: usize = 64 * 1024;

/// A sequence of bytes that can be read from any offset.
///
/// ```
/// use pulp_testkit::Blob;
///
/// let disk_image = Blob::seeded(7, 5_000_000_000);
/// assert_eq!(disk_image.read(4_999_999_990, 100).len(), 10);
/// ```
#[derive(Clone, Debug)]
pub enum Blob {
    /// These bytes.
    Bytes(Bytes),
    /// `len` bytes that look random and are the same for the same `seed`.
    Seeded {
        /// What the bytes are derived from.
        seed: u64,
        /// Length in bytes.
        len: u64,
    },
    /// One byte, `len` times: a line that never ends.
    Repeated {
        /// The byte.
        byte: u8,
        /// Length in bytes.
        len: u64,
    },
}

impl Blob {
    /// `len` bytes that look random and are the same for the same `seed`.
    #[must_use]
    pub fn seeded(seed: u64, len: u64) -> Self {
        Self::Seeded { seed, len }
    }

    /// `byte`, `len` times.
    #[must_use]
    pub fn repeated(byte: u8, len: u64) -> Self {
        Self::Repeated { byte, len }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Seeded { len, .. } | Self::Repeated { len, .. } => *len,
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At most `limit` bytes from `offset` on; fewer only at the end.
    #[must_use]
    pub fn read(&self, offset: u64, limit: usize) -> Bytes {
        let length = self.len().saturating_sub(offset).min(limit as u64) as usize;
        if length == 0 {
            return Bytes::new();
        }
        match self {
            Self::Bytes(bytes) => bytes.slice(offset as usize..offset as usize + length),
            Self::Repeated { byte, .. } => Bytes::from(vec![*byte; length]),
            Self::Seeded { seed, .. } => {
                let skip = (offset % 8) as usize;
                let mut out = BytesMut::with_capacity(length + 16);
                let mut word = offset / 8;
                while out.len() < skip + length {
                    out.extend_from_slice(&mix(*seed, word).to_le_bytes());
                    word += 1;
                }
                out.freeze().slice(skip..skip + length)
            }
        }
    }

    /// Everything at once. For content that fits in memory.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.read(0, usize::MAX)
    }

    /// The SHA-256 as lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for chunk in self.chunks() {
            hasher.update(&chunk);
        }
        hex::encode(hasher.finalize())
    }

    /// Its line in a `PULP_MANIFEST`: path, digest, size.
    #[must_use]
    pub fn manifest_line(&self, path: &str) -> String {
        format!("{path},{},{}\n", self.sha256(), self.len())
    }

    /// Writes it to a new file.
    ///
    /// # Errors
    /// Those of creating and writing the file.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut file = std::fs::File::create(path)?;
        self.chunks().try_for_each(|chunk| file.write_all(&chunk))
    }

    fn chunks(&self) -> impl Iterator<Item = Bytes> + '_ {
        (0..self.len()).step_by(CHUNK).map(|offset| self.read(offset, CHUNK))
    }
}

/// SplitMix64: the `index`th word of the stream that `seed` starts, without the words before it.
fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_mul(0xD6E8_FEB8_6659_FD93).wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for Blob {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Blob {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_window_equals_the_whole() {
        for blob in [Blob::seeded(3, 1000), Blob::repeated(b'x', 1000)] {
            let whole = blob.to_bytes();
            assert_eq!(whole.len(), 1000);
            for offset in [0usize, 1, 7, 8, 9, 500, 993, 999, 1000, 2000] {
                for limit in [0usize, 1, 8, 13, 5000] {
                    let start = offset.min(1000);
                    let end = (offset + limit).min(1000).max(start);
                    assert_eq!(blob.read(offset as u64, limit), whole[start..end]);
                }
            }
        }
    }

    #[test]
    fn seeds_differ_and_repeat() {
        assert_eq!(Blob::seeded(1, 64).to_bytes(), Blob::seeded(1, 64).to_bytes());
        assert_ne!(Blob::seeded(1, 64).to_bytes(), Blob::seeded(2, 64).to_bytes());
    }

    #[test]
    fn digests_are_of_the_whole() {
        let blob = Blob::seeded(9, 3 * CHUNK as u64 + 5);
        assert_eq!(blob.sha256(), hex::encode(Sha256::digest(blob.to_bytes())));
        assert_eq!(Blob::from("abc").manifest_line("a"), "a,ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad,3\n");
    }
}
