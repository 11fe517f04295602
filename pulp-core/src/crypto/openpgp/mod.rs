//! OpenPGP public keys, as RFC 9580 and RFC 4880 write them: read into their parts, and written again.
//!
//! Only the frame is read, and nothing is verified: what a key says about itself is for whoever trusts it. That takes no cryptography
//! but the hash that fingerprints are.

mod armor;
mod packet;
mod signature;

pub use armor::{dearmor, enarmor};
pub use packet::{Key, Packet, Packets, Tag, write_packet};
pub use signature::Signature;

/// Why something is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenPgpError {
    /// It is cut off, or a length in it is wrong.
    #[error("unexpected EOF")]
    Eof,
    /// The armor is damaged.
    #[error("the armor of a public key cannot be read: {0}")]
    Armor(&'static str),
    /// A packet is not where it could be.
    #[error("{0} is not where it could be in a public key")]
    Order(&'static str),
    /// A packet is of a kind or version that is not known.
    #[error("{0} cannot be read")]
    Unsupported(&'static str),
    /// There are several keys, where there must be one.
    #[error("Only one public key must be given.")]
    Several,
}

/// Something that signatures are about, with those signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    /// What is signed.
    pub content: T,
    /// The bytes of its packet.
    pub raw: Vec<u8>,
    /// In the order in which they came.
    pub signatures: Vec<Signature>,
}

/// A public key with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The primary key.
    pub key: Signed<Key>,
    /// Names of its owner.
    pub user_ids: Vec<Signed<String>>,
    /// Pictures and the like.
    pub user_attributes: Vec<Signed<()>>,
    /// Keys for single purposes.
    pub subkeys: Vec<Signed<Key>>,
}

/// What the next signature is about.
enum Last {
    Key,
    UserId,
    UserAttribute,
    Subkey,
}

impl Certificate {
    /// Reads one public key, armored or not.
    ///
    /// # Errors
    /// [`OpenPgpError`] by meaning.
    pub fn read(bytes: &[u8]) -> Result<Self, OpenPgpError> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN PGP") => Self::from_armor(text),
            _ => Self::from_packets(bytes),
        }
    }

    /// Reads one armored public key.
    ///
    /// # Errors
    /// As [`Certificate::read`].
    pub fn from_armor(text: &str) -> Result<Self, OpenPgpError> {
        Self::from_packets(&dearmor(text)?)
    }

    fn from_packets(bytes: &[u8]) -> Result<Self, OpenPgpError> {
        let mut packets = Packets::new(bytes);
        let first = packets.next().ok_or(OpenPgpError::Eof)??;
        if first.tag != Tag::PUBLIC_KEY {
            return Err(OpenPgpError::Order("what comes first"));
        }
        let mut read = Self {
            key: Signed { content: Key::read(first.body)?, raw: first.body.to_vec(), signatures: Vec::new() },
            user_ids: Vec::new(),
            user_attributes: Vec::new(),
            subkeys: Vec::new(),
        };
        let mut last = Last::Key;
        for packet in packets {
            let packet = packet?;
            let raw = packet.body.to_vec();
            match packet.tag {
                Tag::USER_ID => {
                    let content = String::from_utf8_lossy(packet.body).into_owned();
                    read.user_ids.push(Signed { content, raw, signatures: Vec::new() });
                    last = Last::UserId;
                }
                Tag::USER_ATTRIBUTE => {
                    read.user_attributes.push(Signed { content: (), raw, signatures: Vec::new() });
                    last = Last::UserAttribute;
                }
                Tag::PUBLIC_SUBKEY => {
                    read.subkeys.push(Signed { content: Key::read(packet.body)?, raw, signatures: Vec::new() });
                    last = Last::Subkey;
                }
                Tag::SIGNATURE => {
                    let signatures = match last {
                        Last::Key => Some(&mut read.key.signatures),
                        Last::UserId => read.user_ids.last_mut().map(|signed| &mut signed.signatures),
                        Last::UserAttribute => read.user_attributes.last_mut().map(|signed| &mut signed.signatures),
                        Last::Subkey => read.subkeys.last_mut().map(|signed| &mut signed.signatures),
                    };
                    if let Some(signatures) = signatures {
                        signatures.push(Signature::read(packet.body)?);
                    }
                }
                Tag::PUBLIC_KEY => return Err(OpenPgpError::Several),
                // Nothing that belongs to the key.
                Tag::MARKER | Tag::TRUST | Tag::PADDING => {}
                _ => return Err(OpenPgpError::Order("a packet")),
            }
        }
        Ok(read)
    }

    /// The fingerprint of the primary key, in lower case.
    pub fn fingerprint(&self) -> &str {
        &self.key.content.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of version 4, a name that it has signed, a subkey.
    fn packets() -> Vec<u8> {
        let mut bytes = Vec::new();
        write_packet(&mut bytes, Tag::PUBLIC_KEY, &[4, 0x5c, 0x47, 0x04, 0xe9, 22, 1, 2, 3]);
        write_packet(&mut bytes, Tag::USER_ID, "Alice <alice@example.org>".as_bytes());
        let hashed = [5, 2, 0, 0, 0x10, 0, 5, 3, 0, 0, 0, 60, 5, 9, 0, 1, 0x51, 0x80];
        let mut signature = vec![4, 0x13, 22, 8, 0, hashed.len() as u8];
        signature.extend_from_slice(&hashed);
        signature.extend_from_slice(&[0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0xab, 0xcd]);
        write_packet(&mut bytes, Tag::SIGNATURE, &signature);
        write_packet(&mut bytes, Tag::PUBLIC_SUBKEY, &[4, 0, 0, 0, 1, 18, 9]);
        write_packet(&mut bytes, Tag::USER_ATTRIBUTE, &[1; 300]);
        bytes
    }

    #[test]
    fn a_key_is_read_into_its_parts_armored_or_not() {
        let packets = packets();
        let key = Certificate::read(&packets).unwrap();
        assert_eq!(Certificate::read(enarmor(&packets).as_bytes()).unwrap(), key);
        assert_eq!((key.fingerprint().len(), key.key.content.created), (40, 1_548_158_185));
        assert_eq!(key.user_ids[0].content, "Alice <alice@example.org>");
        let signature = &key.user_ids[0].signatures[0];
        assert_eq!((signature.kind, signature.created), (0x13, 4096));
        assert_eq!((signature.expiration, signature.key_expiration), (Some(60), Some(86_400)));
        assert_eq!(signature.issuer.as_deref(), Some("0102030405060708"));
        assert_eq!((key.subkeys[0].content.created, key.user_attributes[0].raw.len()), (1, 300));
    }

    #[test]
    fn what_is_no_key_is_refused_wherever_it_ends() {
        let packets = packets();
        for end in 0..packets.len() {
            // Some ends are those of packets.
            let _ = Certificate::read(&packets[..end]);
        }
        assert_eq!(Certificate::read(b"").unwrap_err(), OpenPgpError::Eof);
        assert!(Certificate::read(b"junk\n").is_err());
        assert!(Certificate::read(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n").is_err());
        assert_eq!(Certificate::read(&[packets.clone(), packets].concat()).unwrap_err(), OpenPgpError::Several);
        let mut revocation = Vec::new();
        write_packet(&mut revocation, Tag::SIGNATURE, &[4, 0x20, 22, 8, 0, 0, 0, 0, 1, 2]);
        assert_eq!(Certificate::read(&revocation).unwrap_err(), OpenPgpError::Order("what comes first"));
    }
}
