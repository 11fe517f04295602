//! What signatures say.

use super::OpenPgpError;
use super::packet::Key;

/// A signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// The bytes of its packet.
    pub raw: Vec<u8>,
    /// What it is for: 0x10 to 0x13 certify a name, 0x18 binds a subkey, 0x20, 0x28 and 0x30 revoke.
    pub kind: u8,
    /// In seconds since 1970.
    pub created: u32,
    /// Seconds after its making for which it counts; always, if unset.
    pub expiration: Option<u32>,
    /// Seconds after the key’s making for which that counts; always, if unset.
    pub key_expiration: Option<u32>,
    /// The id of the key that made it, in lower case.
    pub issuer: Option<String>,
    /// Which of its names its owner made it under.
    pub signers_user_id: Option<String>,
}

impl Signature {
    pub(super) fn read(body: &[u8]) -> Result<Self, OpenPgpError> {
        let mut read = Self { raw: body.to_vec(), ..Self::default() };
        let mut rest = Reader(body);
        let version = rest.byte()?;
        let wide = match version {
            4 => false,
            6 => true,
            3 => {
                let _length = rest.byte()?;
                read.kind = rest.byte()?;
                read.created = rest.number(4)?;
                read.issuer = Some(hex::encode(rest.take(8)?));
                return Ok(read);
            }
            _ => return Err(OpenPgpError::Unsupported("a signature of this version")),
        };
        read.kind = rest.byte()?;
        // Algorithms of the key and of the hash.
        rest.take(2)?;
        for hashed in [true, false] {
            let length = rest.number(if wide { 4 } else { 2 })?;
            let mut area = Reader(rest.take(length as usize)?);
            while !area.0.is_empty() {
                let length = match area.byte()? {
                    short @ 0..192 => u32::from(short),
                    middle @ 192..255 => ((u32::from(middle) - 192) << 8) + u32::from(area.byte()?) + 192,
                    255 => area.number(4)?,
                };
                let mut packet = Reader(area.take(length as usize)?);
                let kind = packet.byte()? & 0x7f;
                read.note(kind, packet.0, hashed)?;
            }
        }
        Ok(read)
    }

    /// Only what is hashed is the signer’s word; who that was may be told beside it.
    fn note(&mut self, kind: u8, value: &[u8], hashed: bool) -> Result<(), OpenPgpError> {
        let number = || Reader(value).number(4);
        match kind {
            2 if hashed => self.created = number()?,
            3 if hashed => self.expiration = Some(number()?).filter(|seconds| *seconds > 0),
            9 if hashed => self.key_expiration = Some(number()?).filter(|seconds| *seconds > 0),
            16 if value.len() == 8 => self.issuer = Some(hex::encode(value)),
            28 if hashed => self.signers_user_id = Some(String::from_utf8_lossy(value).into_owned()),
            33 if self.issuer.is_none() => match value {
                [4, fingerprint @ ..] if fingerprint.len() == 20 => self.issuer = Some(hex::encode(&fingerprint[12..])),
                [6, fingerprint @ ..] if fingerprint.len() == 32 => self.issuer = Some(hex::encode(&fingerprint[..8])),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

impl Key {
    /// The key’s id, in upper case: what short names of keys are.
    pub fn id(&self) -> String {
        // Of version 4 the end of the fingerprint, of version 6 its beginning.
        let fingerprint = &self.fingerprint;
        let id = if fingerprint.len() == 40 { fingerprint.get(24..) } else { fingerprint.get(..16) };
        id.unwrap_or(fingerprint).to_uppercase()
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], OpenPgpError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(OpenPgpError::Eof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, OpenPgpError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self, bytes: usize) -> Result<u32, OpenPgpError> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}
