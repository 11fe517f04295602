//! Packets, and the keys in them.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::OpenPgpError;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u8);

impl Tag {
    /// A signature.
    pub const SIGNATURE: Self = Self(2);
    /// A primary key.
    pub const PUBLIC_KEY: Self = Self(6);
    /// For old programs; means nothing.
    pub const MARKER: Self = Self(10);
    /// A keyring’s own notes.
    pub const TRUST: Self = Self(12);
    /// The owner’s name.
    pub const USER_ID: Self = Self(13);
    /// A subkey.
    pub const PUBLIC_SUBKEY: Self = Self(14);
    /// A picture, say.
    pub const USER_ATTRIBUTE: Self = Self(17);
    /// Nothing.
    pub const PADDING: Self = Self(21);
}

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub tag: Tag,
    /// What is in it.
    pub body: &'a [u8],
}

/// The packets of some bytes.
#[derive(Debug, Clone)]
pub struct Packets<'a>(&'a [u8]);

impl<'a> Packets<'a> {
    /// Of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], OpenPgpError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(OpenPgpError::Eof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<usize, OpenPgpError> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn packet(&mut self) -> Result<Packet<'a>, OpenPgpError> {
        let head = self.number(1)?;
        if head & 0x80 == 0 {
            return Err(OpenPgpError::Eof);
        }
        let (tag, length) = if head & 0x40 == 0 {
            let length = match head & 3 {
                0 => self.number(1)?,
                1 => self.number(2)?,
                2 => self.number(4)?,
                // To the end.
                _ => self.0.len(),
            };
            (head >> 2 & 0x0f, length)
        } else {
            let length = match self.number(1)? {
                short @ 0..192 => short,
                middle @ 192..224 => ((middle - 192) << 8) + self.number(1)? + 192,
                255 => self.number(4)?,
                _ => return Err(OpenPgpError::Unsupported("a packet in pieces")),
            };
            (head & 0x3f, length)
        };
        Ok(Packet { tag: Tag(tag as u8), body: self.take(length)? })
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, OpenPgpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let packet = self.packet();
        if packet.is_err() {
            self.0 = &[];
        }
        Some(packet)
    }
}

/// Appends a packet.
pub fn write_packet(to: &mut Vec<u8>, tag: Tag, body: &[u8]) {
    to.push(0xc0 | tag.0);
    let length = body.len() as u32;
    match length {
        0..192 => to.push(length as u8),
        192..8384 => to.extend_from_slice(&((length - 192) as u16 + 0xc000).to_be_bytes()),
        _ => {
            to.push(0xff);
            to.extend_from_slice(&length.to_be_bytes());
        }
    }
    to.extend_from_slice(body);
}

/// What a key’s packet says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// In lower case: 40 digits of version 4, 64 of version 6.
    pub fingerprint: String,
    /// In seconds since 1970.
    pub created: u32,
}

impl Key {
    pub(super) fn read(body: &[u8]) -> Result<Self, OpenPgpError> {
        let created = body.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes).ok_or(OpenPgpError::Eof)?;
        let fingerprint = match body.first() {
            Some(4) => {
                let length = u16::try_from(body.len()).map_err(|_| OpenPgpError::Unsupported("a key so large"))?;
                hex::encode(Sha1::new().chain_update([0x99]).chain_update(length.to_be_bytes()).chain_update(body).finalize())
            }
            Some(6) => {
                let length = u32::try_from(body.len()).map_err(|_| OpenPgpError::Unsupported("a key so large"))?;
                hex::encode(Sha256::new().chain_update([0x9b]).chain_update(length.to_be_bytes()).chain_update(body).finalize())
            }
            _ => return Err(OpenPgpError::Unsupported("a key of this version")),
        };
        Ok(Self { fingerprint, created })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_they_are_written() {
        for length in [0, 1, 191, 192, 8383, 8384, 70_000] {
            let mut bytes = Vec::new();
            write_packet(&mut bytes, Tag::USER_ID, &vec![7; length]);
            let packet = Packets::new(&bytes).next().unwrap().unwrap();
            assert_eq!((packet.tag, packet.body.len()), (Tag::USER_ID, length));
        }
        // The old format: one, two and four bytes of length, and none.
        for bytes in [&[0xb4, 2, 1, 2][..], &[0xb5, 0, 2, 1, 2], &[0xb6, 0, 0, 0, 2, 1, 2], &[0xb7, 1, 2]] {
            let packet = Packets::new(bytes).next().unwrap().unwrap();
            assert_eq!((packet.tag, packet.body), (Tag::USER_ID, &[1, 2][..]));
        }
        assert!(Packets::new(&[0xcd, 0xe1, 1]).next().unwrap().is_err());
    }
}
