//! The programs that keep keys, and check signatures: GnuPG or Sequoia.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::str::FromStr;

use super::SigningError;
use super::program::{Workroom, run};
use crate::Pulp;
use crate::crypto::openpgp::{Certificate, dearmor};

/// Which program keeps a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyBackend {
    /// GnuPG: `gpg`.
    #[default]
    Gpg,
    /// Sequoia: `sq`.
    Sq,
}

impl FromStr for KeyBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "gpg" => Ok(Self::Gpg),
            "sq" => Ok(Self::Sq),
            _ => Err(format!("`{text}` is no backend: choose gpg or sq")),
        }
    }
}

/// A public key, armored, and its fingerprint in upper case.
pub(super) struct PublicKey {
    pub(super) armored: String,
    pub(super) fingerprint: String,
}

impl KeyBackend {
    /// The public key that a key id, a fingerprint or a name means; `home` is where the program keeps its keys.
    pub(super) async fn find(self, key: &str, home: Option<&Path>, keyring: Option<&str>) -> Result<PublicKey, SigningError> {
        if key.starts_with('-') {
            return Err(SigningError::Refused(format!("\"{key}\" is no key")));
        }
        match self {
            Self::Gpg => {
                let mut common: Vec<OsString> = vec!["--batch".into(), "--no-tty".into()];
                if let Some(home) = home {
                    common.extend(["--homedir".into(), home.into()]);
                }
                if let Some(keyring) = keyring {
                    common.extend(["--no-default-keyring".into(), "--keyring".into(), keyring.into()]);
                }
                let with = |more: &[&str]| common.iter().cloned().chain(more.iter().map(OsString::from)).collect::<Vec<_>>();
                let listed = run(Path::new("gpg"), with(&["--with-colons", "--list-keys", "--", key]), &[]).await?;
                let fingerprint = primary_fingerprint(&String::from_utf8_lossy(&listed))
                    .ok_or_else(|| SigningError::Refused(format!("gpg knows no key \"{key}\"")))?;
                let armored = run(Path::new("gpg"), with(&["--armor", "--export", "--", &fingerprint]), &[]).await?;
                Ok(PublicKey { armored: armored_text(armored)?, fingerprint })
            }
            Self::Sq => {
                let environment: Vec<(&str, &OsStr)> = home.iter().map(|home| ("SEQUOIA_HOME", home.as_os_str())).collect();
                let armored = armored_text(run(Path::new("sq"), ["cert", "export", "--cert", key], &environment).await?)?;
                let fingerprint = Certificate::from_armor(&armored)
                    .map_err(|error| SigningError::Refused(format!("sq exported no public key: {error}")))?
                    .fingerprint()
                    .to_uppercase();
                Ok(PublicKey { armored, fingerprint })
            }
        }
    }

    /// Checks a detached signature by a public key, and by no other.
    pub(super) async fn verify(self, pulp: &Pulp, key: &str, signature: &Path, file: &Path) -> Result<(), SigningError> {
        let room = Workroom::new(pulp).await?;
        let verified = match self {
            Self::Gpg => {
                // The key alone is the keyring: nothing is imported, so that no agent is needed.
                let keyring = room.path().join("key.gpg");
                let bytes = dearmor(key).map_err(|error| SigningError::Refused(format!("the public key cannot be read: {error}")))?;
                tokio::fs::write(&keyring, bytes).await?;
                let arguments: [&OsStr; 12] = [
                    "--batch".as_ref(),
                    "--no-tty".as_ref(),
                    "--no-autostart".as_ref(),
                    "--homedir".as_ref(),
                    room.path().as_os_str(),
                    "--no-default-keyring".as_ref(),
                    "--keyring".as_ref(),
                    keyring.as_os_str(),
                    "--trust-model=always".as_ref(),
                    "--verify".as_ref(),
                    signature.as_os_str(),
                    file.as_os_str(),
                ];
                run(Path::new("gpg"), arguments, &[]).await
            }
            Self::Sq => {
                let key_file = room.path().join("key.asc");
                tokio::fs::write(&key_file, key).await?;
                let arguments: [&OsStr; 6] = [
                    "verify".as_ref(),
                    "--signer-file".as_ref(),
                    key_file.as_os_str(),
                    "--signature-file".as_ref(),
                    signature.as_os_str(),
                    file.as_os_str(),
                ];
                run(Path::new("sq"), arguments, &[]).await
            }
        };
        match verified {
            Ok(_) => Ok(()),
            Err(SigningError::Program { reason, .. }) => Err(SigningError::Unverified(reason)),
            Err(other) => Err(other),
        }
    }
}

fn armored_text(bytes: Vec<u8>) -> Result<String, SigningError> {
    match String::from_utf8(bytes) {
        Ok(text) if text.contains("BEGIN PGP PUBLIC KEY BLOCK") => Ok(text),
        _ => Err(SigningError::Refused("no public key was exported".to_owned())),
    }
}

/// The fingerprint of the first key that gpg lists; those of its subkeys follow.
fn primary_fingerprint(listing: &str) -> Option<String> {
    let mut primary = false;
    for line in listing.lines() {
        let mut fields = line.split(':');
        match fields.next() {
            Some("pub") => primary = true,
            Some("fpr") if primary => return fields.nth(8).map(str::to_owned),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_the_primary_key() {
        let listing = "tru::1:17:0:3:1:5\npub:u:255:22:3DD1:1:::u:::scESC:::::ed25519:::0:\nfpr:::::::::AAAA:\nuid:u::::1::B::x::::::::::0:\n\
                       sub:u:255:18:9999:1::::::e:::::cv25519::\nfpr:::::::::BBBB:\n";
        assert_eq!(primary_fingerprint(listing).as_deref(), Some("AAAA"));
        assert_eq!(primary_fingerprint("fpr:::::::::AAAA:\n"), None);
        assert_eq!("sq".parse(), Ok(KeyBackend::Sq));
        assert!("pgp".parse::<KeyBackend>().is_err());
    }
}
