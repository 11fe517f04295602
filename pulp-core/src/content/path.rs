//! The path of a request, decoded, and split at the distribution that serves it.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest path that is looked up, in bytes once decoded.
const MAX_LEN: usize = 4_096;

/// A path below a distribution: decoded, without a slash at its start. Empty for the distribution’s root.
///
/// It comes from the client and may hold anything but control characters that no stored path has: look it up, and never join it to
/// a directory or a URL unless [`is_plain`](Self::is_plain).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentPath(String);

impl ContentPath {
    /// A path below a distribution; slashes at its start do not count.
    pub fn new(path: &str) -> Self {
        Self(path.trim_start_matches('/').to_owned())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a directory: it is empty, or ends with a slash.
    pub fn is_directory(&self) -> bool {
        self.0.is_empty() || self.0.ends_with('/')
    }

    /// This path as that of a directory: empty, or with a slash at its end.
    pub fn to_directory(&self) -> String {
        if self.is_directory() { self.0.clone() } else { format!("{}/", self.0) }
    }

    /// Whether each of its parts is an ordinary name: no empty one, no `.` and no `..`. A slash at the end is allowed.
    pub fn is_plain(&self) -> bool {
        self.0.strip_suffix('/').unwrap_or(&self.0).split('/').all(|part| !matches!(part, "" | "." | ".."))
    }
}

impl fmt::Display for ContentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may stand in a part of a path as it is: the unreserved characters of RFC 3986.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, and the slashes between parts.
const PLAIN_PATH: &AsciiSet = &PLAIN.remove(b'/');

/// A name as a part of a path.
pub(super) fn encode_name(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

/// A path as it stands in a URL.
pub(super) fn encode(path: &str) -> String {
    utf8_percent_encode(path, PLAIN_PATH).to_string()
}

/// Decodes what a request line holds; `None` where no stored path can be meant: not UTF-8, control characters, too long.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let path = percent_decode_str(raw).decode_utf8().ok()?;
    let possible = path.len() <= MAX_LEN && !path.contains(|c: char| c.is_control());
    possible.then_some(path)
}

/// The base paths that a decoded path can lie under, longest first. Base paths have no slash at either end.
pub(super) fn base_paths(path: &str) -> Vec<&str> {
    /// More parts than any base path has.
    const DEEPEST: usize = 64;
    let mut all: Vec<&str> =
        path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]).filter(|base| !base.is_empty()).take(DEEPEST).collect();
    all.dedup();
    all.reverse();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_paths_end_at_slashes() {
        assert_eq!(base_paths("a/b/c.txt"), ["a/b/c.txt", "a/b", "a"]);
        assert_eq!(base_paths("a/b/"), ["a/b/", "a/b", "a"]);
        assert_eq!(base_paths("a"), ["a"]);
        assert!(base_paths("").is_empty());
        assert_eq!(base_paths(&"x/".repeat(5_000)).len(), 64);
    }

    #[test]
    fn decoding_refuses_what_nothing_is_called() {
        assert_eq!(decode("a%2fb%20%C3%A9").as_deref(), Some("a/b \u{e9}"));
        assert_eq!(decode("a%252fb").as_deref(), Some("a%2fb"));
        for bad in ["%ff", "a%00b", "a%0ab", &"a".repeat(5_000)] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn plain_paths_have_no_dots_and_no_holes() {
        for good in ["a", "a/b", "a/b/", "a..b/.c"] {
            assert!(ContentPath::new(good).is_plain(), "{good}");
        }
        for bad in ["", "..", "a/../b", "a/./b", "a//b", "a/.."] {
            assert!(!ContentPath::new(bad).is_plain(), "{bad}");
        }
        assert_eq!(ContentPath::new("//dir/").as_str(), "dir/");
    }
}
