//! For how long caches may keep a file without asking.

use http::HeaderValue;

use super::artifact::ARTIFACT_DISTRIBUTION;
use crate::model::{Distribution, Domain};
use crate::settings::Settings;

/// The same path may serve another file after the next publication: keep it, but ask each time.
const MOVING: &str = "public, max-age=0, must-revalidate";
/// A path never serves another file.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// `Cache-Control` of the files of a distribution: what the settings say of its base path, or what is safe.
///
/// Checkpoints and artifacts by their key do not change. A distribution of one version or publication can be pointed to another at any
/// time, so its files are asked for each time as well.
pub(super) fn cache_control(settings: &Settings, domain: &Domain, distribution: &Distribution) -> HeaderValue {
    let fixed = distribution.checkpoint || distribution.pulp_type == ARTIFACT_DISTRIBUTION;
    let default = if fixed { IMMUTABLE } else { MOVING };
    let set = setting(settings, domain, distribution);
    let value = match (set, distribution.content_guard_id) {
        (None, None) => return HeaderValue::from_static(default),
        (Some(set), None) => set.to_owned(),
        (set, Some(_)) => private(set.unwrap_or(default)),
    };
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("no-cache"))
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

/// The same for a client that a guard let pass: no cache that others share may keep it.
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
    fn behind_a_guard_nothing_is_shared() {
        for (value, expected) in [
            (MOVING, "private, max-age=0, must-revalidate"),
            ("Public, s-maxage=60, max-age=5", "private, max-age=5"),
            ("no-store", "private, no-store"),
            ("private", "private"),
        ] {
            assert_eq!(private(value), expected);
        }
    }
}
