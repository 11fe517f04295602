//! Secrets: how they are held in memory, encrypted in the database, and how passwords are checked.

pub mod credentials;
pub mod fernet;
pub mod openpgp;
pub mod password;
pub mod passwords;
pub mod secret;
pub mod signing;

pub use credentials::CredentialCache;
pub use fernet::{Fernet, FernetError, FernetKey};
pub use password::PasswordError;
pub use secret::{Secret, redact_url, redact_url_text};
pub use signing::{KeyBackend, NewSigningService, SIGNING_CLASSES, SigningError, SigningService};
