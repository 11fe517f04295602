//! For how long caches may keep a file without asking.

use http::HeaderValue;

use super::artifact::ARTIFACT_DISTRIBUTION;
use crate::model::{Distribution, Domain};
use crate::settings::Settings;

/// The same path may serve another file after the next publication: keep it, but ask each time.
pub(super) const MOVING: &str = "public, max-age=0, must-revalidate";
/// A path never serves another file.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// For how long caches may keep the files of a distribution.
#[derive(Debug)]
pub(super) struct Freshness {
    /// What is said of a file of which nothing more is known.
    pub(super) usual: HeaderValue,
    /// Whether somebody has said it: then it counts whatever is known of a file.
    said: bool,
    guarded: bool,
}

impl Freshness {
    /// What the distribution says itself, or the settings say of its base path, or what is safe.
    ///
    /// Checkpoints and artifacts by their key do not change. A distribution of one version or publication can be pointed to another at
    /// any time, so its files are asked for each time as well.
    pub(super) fn of(settings: &Settings, domain: &Domain, distribution: &Distribution) -> Self {
        let fixed = distribution.checkpoint || distribution.pulp_type == ARTIFACT_DISTRIBUTION;
        let set = distribution.cache_control.as_deref().or_else(|| setting(settings, domain, distribution));
        let guarded = distribution.content_guard_id.is_some();
        let usual = value(set.unwrap_or(if fixed { IMMUTABLE } else { MOVING }), guarded);
        Self { usual, said: set.is_some(), guarded }
    }

    /// What is said of a file of which its handler says this.
    pub(super) fn given(&self, own: &HeaderValue) -> HeaderValue {
        match own.to_str() {
            Ok(own) if !self.said => value(own, self.guarded),
            _ => self.usual.clone(),
        }
    }
}

fn value(text: &str, guarded: bool) -> HeaderValue {
    // Where a cache asks each time, it asks the guard, with what its client has shown.
    let value = if guarded && text != MOVING { HeaderValue::try_from(private(text)) } else { HeaderValue::from_str(text) };
    value.unwrap_or(HeaderValue::from_static("no-cache"))
}

/// The most characters of a `Cache-Control`.
const LONGEST: usize = 500;

/// Checks that a text can stand as `Cache-Control` (RFC 9111, 5.2): directives with commas between them.
///
/// # Errors
/// What is wrong with it, in words for whoever wrote it.
pub fn check_cache_control(text: &str) -> Result<(), String> {
    /// Directives whose value is a number of seconds.
    const SECONDS: [&str; 4] = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];
    if text.len() > LONGEST {
        return Err(format!("A Cache-Control has no more than {LONGEST} characters."));
    }
    let token =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let quoted = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.is_some_and(|inner| inner.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'))
    };
    let mut names = Vec::new();
    for directive in text.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').map_or((directive, None), |(name, value)| (name, Some(value)));
        if !token(name) {
            return Err(format!("\"{directive}\" is no directive of Cache-Control: write, say, \"public, max-age=3600\"."));
        }
        let name = name.to_ascii_lowercase();
        if SECONDS.contains(&name.as_str()) && value.and_then(|value| value.parse::<u32>().ok()).is_none() {
            return Err(format!("\"{name}\" takes a number of seconds: {name}=3600."));
        }
        if value.is_some_and(|value| !token(value) && !quoted(value)) {
            return Err(format!("The value of \"{name}\" is neither a word nor a text in quotes without commas."));
        }
        names.push(name);
    }
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("public") && has("private") {
        return Err("\"public\" and \"private\" contradict each other.".to_owned());
    }
    Ok(())
}

/// What the longest pattern says that the base path fits.
fn setting<'s>(settings: &'s Settings, domain: &Domain, distribution: &Distribution) -> Option<&'s str> {
    if settings.content_cache_control.is_empty() {
        return None;
    }
    let within = if settings.domain_enabled { format!("{}/", domain.name) } else { String::new() };
    let base_path = format!("{within}{}", distribution.base_path);
    let fitting = settings.content_cache_control.iter().filter(|(pattern, _)| fits(pattern, &base_path));
    fitting.max_by_key(|(pattern, _)| pattern.len()).map(|(_, value)| value.as_str())
}

fn fits(pattern: &str, base_path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => base_path.starts_with(start),
        None => pattern == base_path,
    }
}

/// The same for a client that a guard let pass: no cache that others share may give it to them unasked.
fn private(value: &str) -> String {
    let shared = |directive: &&str| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        ["public", "private", "s-maxage"].iter().any(|shared| name.eq_ignore_ascii_case(shared))
    };
    let others = value.split(',').map(str::trim).filter(|directive| !shared(directive));
    std::iter::once("private").chain(others).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_paths_or_beginnings_of_them() {
        for (pattern, base_path, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
            ("a/*", "a/b", true),
            ("a/*", "a", false),
            ("*", "x/y", true),
            ("a*", "ab/c", true),
        ] {
            assert_eq!(fits(pattern, base_path), expected, "{pattern} {base_path}");
        }
    }

    #[test]
    fn behind_a_guard_nothing_is_shared_that_is_not_asked_for_each_time() {
        for (text, expected) in [
            (MOVING, MOVING),
            (IMMUTABLE, "private, max-age=31536000, immutable"),
            ("Public, s-maxage=60, max-age=5", "private, max-age=5"),
            ("no-store", "private, no-store"),
            ("private", "private"),
        ] {
            assert_eq!(value(text, true), expected);
            assert_eq!(value(text, false), text);
        }
    }

    #[test]
    fn a_cache_control_is_directives() {
        for good in ["no-store", "public, max-age=3600", "Private,max-age=0", "max-age=1, stale-if-error=60", "x-own=\"a b\", immutable"] {
            assert_eq!(check_cache_control(good), Ok(()), "{good}");
        }
        for (bad, part) in [
            ("", "no directive"),
            ("public,, immutable", "no directive"),
            ("max age=3", "no directive"),
            ("public\r\nX-Evil: 1", "no directive"),
            ("max-age", "number of seconds"),
            ("max-age=-1", "number of seconds"),
            ("s-maxage=soon", "number of seconds"),
            ("private=\"a, b\"", "neither a word"),
            ("x=\"a\r\nb\"", "neither a word"),
            ("public, private", "contradict"),
        ] {
            assert!(check_cache_control(bad).unwrap_err().contains(part), "{bad}");
        }
        assert!(check_cache_control(&"a".repeat(600)).is_err());
    }
}
