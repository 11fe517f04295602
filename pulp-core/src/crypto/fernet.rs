//! Fernet: encrypted columns, as Pulp has them.
//!
//! Pulp keeps the secrets of remotes and the like as [Fernet](https://github.com/fernet/spec) tokens (AES-128-CBC, then
//! HMAC-SHA256), under the keys in the file that `DB_ENCRYPTION_KEY` names: one key per line, the first one encrypts, all of them
//! decrypt. A key or a token of either implementation is understood by the other.

mod key;
mod keyfile;

use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _, block_padding::Pkcs7};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Secret;

pub use key::FernetKey;

const VERSION: u8 = 0x80;
/// Version, time, initialisation vector.
const HEADER: usize = 1 + 8 + 16;
const MAC: usize = 32;
const BLOCK: usize = 16;

/// Why something could not be encrypted or decrypted. It never shows keys or contents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FernetError {
    /// None of the keys fits, or the token was changed, or it is none.
    #[error("the value cannot be decrypted with the present keys: was the key in DB_ENCRYPTION_KEY replaced rather than added to?")]
    Invalid,
    /// What was decrypted is not text.
    #[error("the decrypted value is not valid UTF-8")]
    NotText,
    /// There must be one key at least.
    #[error("there is no encryption key: DB_ENCRYPTION_KEY must name a file with one key per line")]
    NoKey,
    /// A line is no key.
    #[error("line {line} of the encryption key file is not a key, which is 32 bytes in base64 (44 characters)")]
    BadKey {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The file cannot be read or made.
    #[error("the encryption key file (DB_ENCRYPTION_KEY) cannot be {action}: {source}")]
    File {
        /// What was tried: `read` or `written`.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// Encrypts with one key, decrypts with several.
///
/// ```
/// use pulp_core::crypto::{Fernet, FernetKey};
/// # fn main() -> Result<(), pulp_core::crypto::FernetError> {
/// let old = FernetKey::generate()?;
/// let token = Fernet::new(vec![old.clone()])?.encrypt("open sesame")?;
///
/// let fernet = Fernet::new(vec![FernetKey::generate()?, old])?;
/// assert_eq!(fernet.decrypt_text(&token)?.expose(), "open sesame");
/// let token = fernet.rotate(&token)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fernet {
    keys: Vec<FernetKey>,
}

impl Fernet {
    /// With the first key to encrypt, and all of them to decrypt.
    ///
    /// # Errors
    /// [`FernetError::NoKey`].
    pub fn new(keys: Vec<FernetKey>) -> Result<Self, FernetError> {
        if keys.is_empty() {
            return Err(FernetError::NoKey);
        }
        Ok(Self { keys })
    }

    /// Encrypts into a token, which is ASCII.
    ///
    /// # Errors
    /// [`FernetError::Random`].
    pub fn encrypt(&self, plain: impl AsRef<[u8]>) -> Result<String, FernetError> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.encrypt_at(plain.as_ref(), now)
    }

    /// Decrypts a token.
    ///
    /// The time in the token is not looked at: Pulp's columns do not expire.
    ///
    /// # Errors
    /// [`FernetError::Invalid`].
    pub fn decrypt(&self, token: &str) -> Result<Secret<Vec<u8>>, FernetError> {
        let (_, plain) = self.open(token)?;
        Ok(plain.into())
    }

    /// Decrypts a token that holds text.
    ///
    /// # Errors
    /// [`FernetError::Invalid`], [`FernetError::NotText`].
    pub fn decrypt_text(&self, token: &str) -> Result<Secret, FernetError> {
        let (_, plain) = self.open(token)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| FernetError::NotText)
    }

    /// Encrypts the content of a token again, with the first key; the time in it stays.
    ///
    /// # Errors
    /// [`FernetError::Invalid`], [`FernetError::Random`].
    pub fn rotate(&self, token: &str) -> Result<String, FernetError> {
        let (time, plain) = self.open(token)?;
        self.encrypt_at(&plain, time)
    }

    /// Whether a token is encrypted with the first key.
    pub fn is_current(&self, token: &str) -> bool {
        let token = URL_SAFE.decode(token.trim()).ok();
        token.zip(self.keys.first()).is_some_and(|(token, key)| unseal(key, &token).is_some())
    }

    fn encrypt_at(&self, plain: &[u8], time: u64) -> Result<String, FernetError> {
        let iv = random::<BLOCK>()?;
        let key = self.keys.first().ok_or(FernetError::NoKey)?;
        Ok(seal(key, plain, time, &iv))
    }

    fn open(&self, token: &str) -> Result<(u64, Vec<u8>), FernetError> {
        let token = URL_SAFE.decode(token.trim()).map_err(|_| FernetError::Invalid)?;
        self.keys.iter().find_map(|key| unseal(key, &token)).ok_or(FernetError::Invalid)
    }
}

fn seal(key: &FernetKey, plain: &[u8], time: u64, iv: &[u8; BLOCK]) -> String {
    let mut token = Vec::with_capacity(HEADER + plain.len() + BLOCK + MAC);
    token.push(VERSION);
    token.extend(time.to_be_bytes());
    token.extend(iv);
    token.extend(cbc::Encryptor::<aes::Aes128>::new(key.encryption().into(), iv.into()).encrypt_padded_vec::<Pkcs7>(plain));
    let mac = mac(key, &token).finalize().into_bytes();
    token.extend(mac);
    URL_SAFE.encode(token)
}

/// The time and the content, if the token is of that key and whole.
fn unseal(key: &FernetKey, token: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (signed, tag) = token.split_last_chunk::<MAC>()?;
    // In constant time, and before anything else is believed.
    mac(key, signed).verify(tag.into()).ok()?;
    let (&version, rest) = signed.split_first()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (iv, cipher) = rest.split_first_chunk::<BLOCK>()?;
    if version != VERSION {
        return None;
    }
    let plain = cbc::Decryptor::<aes::Aes128>::new(key.encryption().into(), iv.into()).decrypt_padded_vec::<Pkcs7>(cipher).ok()?;
    Some((u64::from_be_bytes(*time), plain))
}

fn mac(key: &FernetKey, bytes: &[u8]) -> Hmac<Sha256> {
    // The key is a whole number of bytes below the block of SHA-256: the padded key that RFC 2104 asks for.
    let mut block = [0; 64];
    block[..BLOCK].copy_from_slice(key.signing());
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(bytes);
    mac
}

/// Random bytes for keys and vectors, from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], FernetError> {
    use rand::TryRng as _;
    let mut bytes = [0; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| FernetError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
