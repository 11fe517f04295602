//! What a new password must be: the rules that Pulp has.

use std::collections::HashSet;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

/// The least number of characters.
const SHORTEST: usize = 8;

static COMMON: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut text = String::new();
    // It is part of the program: a test reads it.
    if GzDecoder::new(&include_bytes!("passwords/common.txt.gz")[..]).read_to_string(&mut text).is_err() {
        tracing::error!("the list of common passwords cannot be read");
    }
    text.lines().map(str::to_owned).collect()
});

/// Whether a password may be chosen.
///
/// # Errors
/// What is wrong with it, in words for whoever chose it.
pub fn check_new(password: &str) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    if password.chars().count() < SHORTEST {
        wrong.push(format!("This password is too short. It must contain at least {SHORTEST} characters."));
    }
    if COMMON.contains(&password.trim().to_lowercase()) {
        wrong.push("This password is too common.".to_owned());
    }
    if !password.is_empty() && password.chars().all(char::is_numeric) {
        wrong.push("This password is entirely numeric.".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_easily_guessed_is_refused() {
        assert_eq!(check_new("a-good-one"), Ok(()));
        assert_eq!(check_new("password"), Err(vec!["This password is too common.".to_owned()]));
        assert_eq!(check_new(" PassWord "), Err(vec!["This password is too common.".to_owned()]));
        assert_eq!(check_new("123").unwrap_err().len(), 3);
        assert_eq!(check_new("83912745061").unwrap_err(), ["This password is entirely numeric."]);
        assert!(COMMON.len() > 19_000);
    }
}
