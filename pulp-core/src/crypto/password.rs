//! Password hashes, in the form that Pulp's users table holds (Django's `pbkdf2_sha256$iterations$salt$hash`).
//!
//! All of it is slow on purpose, some hundred milliseconds of CPU: run it on a blocking thread, as
//! [`CredentialCache`](super::CredentialCache) does.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pbkdf2::{Algorithm, Params, Pbkdf2};
use subtle::ConstantTimeEq as _;

use super::{FernetError, fernet::random};

/// Iterations of a new hash, as Django 5.2 makes them.
pub const ITERATIONS: u32 = 1_000_000;

/// More iterations than this in a stored hash are taken for damage: one check would take a minute.
const MOST_ITERATIONS: u32 = 100_000_000;
const ALGORITHM: &str = "pbkdf2_sha256";
const HASH: usize = 32;
/// Letters and digits of a salt: 22 of 62 kinds are 128 bits and more.
const SALT: usize = 22;

/// Why a password could not be hashed or checked. It shows neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The stored hash is of another kind.
    #[error("the stored password hash is not of type pbkdf2_sha256: set the password anew")]
    UnknownAlgorithm,
    /// The stored hash is damaged.
    #[error("the stored password hash is damaged: set the password anew")]
    Malformed,
    /// There must be at least 1,000 iterations.
    #[error("a password hash needs from 1000 to 100000000 iterations")]
    Iterations,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// Too many wrong ones were tried for this user lately.
    #[error("too many wrong passwords were tried: try again in a minute")]
    TooMany,
    /// The check was cut short by the end of the process.
    #[error("the password could not be checked, since the server is stopping")]
    Stopping,
}

/// Hashes a password with a new salt. Blocking, for long.
///
/// # Errors
/// [`PasswordError::Iterations`] for fewer than 1,000 or absurdly many, [`PasswordError::Random`].
pub fn make(password: &str, iterations: u32) -> Result<String, PasswordError> {
    let salt = salt()?;
    let hash = derive(password, &salt, iterations).ok_or(PasswordError::Iterations)?;
    Ok(format!("{ALGORITHM}${iterations}${salt}${}", STANDARD.encode(hash)))
}

/// Whether `password` is the one of the stored hash. Blocking, for long.
///
/// An unusable password (Django's `!…`) is never the right one.
///
/// # Errors
/// [`PasswordError::UnknownAlgorithm`], [`PasswordError::Malformed`].
pub fn verify(password: &str, stored: &str) -> Result<bool, PasswordError> {
    if stored.starts_with('!') {
        return Ok(false);
    }
    let mut parts = stored.split('$');
    if parts.next() != Some(ALGORITHM) {
        return Err(PasswordError::UnknownAlgorithm);
    }
    let (Some(iterations), Some(salt), Some(hash), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(PasswordError::Malformed);
    };
    let iterations = iterations.parse().map_err(|_| PasswordError::Malformed)?;
    let stored = STANDARD.decode(hash).map_err(|_| PasswordError::Malformed)?;
    let stored: [u8; HASH] = stored.try_into().map_err(|_| PasswordError::Malformed)?;
    let hash = derive(password, salt, iterations).ok_or(PasswordError::Malformed)?;
    Ok(hash.ct_eq(&stored).into())
}

fn derive(password: &str, salt: &str, iterations: u32) -> Option<[u8; HASH]> {
    let params = Params::new(iterations).ok().filter(|_| iterations <= MOST_ITERATIONS)?;
    let mut hash = [0; HASH];
    Pbkdf2::new(Algorithm::Pbkdf2Sha256, params).hash_password_into(password.as_bytes(), salt.as_bytes(), &mut hash);
    Some(hash)
}

fn salt() -> Result<String, PasswordError> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut salt = String::with_capacity(SALT);
    while salt.len() < SALT {
        let bytes: [u8; 32] = random().map_err(|_: FernetError| PasswordError::Random)?;
        // 62 does not divide 256: the bytes above its last multiple are left out, for all letters to be as likely.
        let letters = bytes.into_iter().filter(|byte| *byte < 248).map(|byte| char::from(LETTERS[usize::from(byte % 62)]));
        salt.extend(letters.take(SALT - salt.len()));
    }
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: `hashlib.pbkdf2_hmac("sha256", b"s3cr\xc3\xa9t", b"seasalt", 1000)`.
    const KNOWN: &str = "pbkdf2_sha256$1000$seasalt$jBdU4ptvJaPco0achcLgIX9V1+wt5nVLvvhFz3NvZ6Q=";

    #[test]
    fn a_hash_of_the_other_implementation_is_checked() {
        assert_eq!(verify("s3cr\u{e9}t", KNOWN), Ok(true));
        assert_eq!(verify("s3cret", KNOWN), Ok(false));
        assert_eq!(verify("", KNOWN), Ok(false));
    }

    #[test]
    fn what_is_made_is_verified_and_salted() {
        let (one, other) = (make("pw", 1000).unwrap(), make("pw", 1000).unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with("pbkdf2_sha256$1000$"));
        assert_eq!(one.split('$').nth(2).unwrap().len(), SALT);
        assert_eq!((verify("pw", &one), verify("pw", &other), verify("PW", &one)), (Ok(true), Ok(true), Ok(false)));
        assert_eq!(make("pw", 999), Err(PasswordError::Iterations));
    }

    #[test]
    fn damaged_hashes_are_errors_and_unusable_ones_are_not() {
        assert_eq!(verify("", "!"), Ok(false));
        assert_eq!(verify("x", "!Zq0"), Ok(false));
        assert_eq!(verify("x", "argon2$argon2id$v=19"), Err(PasswordError::UnknownAlgorithm));
        assert_eq!(verify("", ""), Err(PasswordError::UnknownAlgorithm));
        let cut = &KNOWN[..KNOWN.len() - 4];
        for bad in [
            "pbkdf2_sha256",
            "pbkdf2_sha256$1000$salt",
            &format!("{KNOWN}$more"),
            cut,
            &KNOWN.replace("1000", "x"),
            &KNOWN.replace("1000", "0"),
            &KNOWN.replace("1000", "4000000000"),
        ] {
            assert_eq!(verify("s3cr\u{e9}t", bad), Err(PasswordError::Malformed), "{bad}");
        }
    }
}
