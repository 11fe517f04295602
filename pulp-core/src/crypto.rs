//! Secrets: how they are held in memory, encrypted in the database, and how passwords are checked.

pub mod secret;

pub use secret::{Secret, redact_url, redact_url_text};
