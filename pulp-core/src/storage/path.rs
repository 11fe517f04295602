//! Names of stored files.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use uuid::Uuid;

use crate::digest::Sha256;

/// The longest path, in bytes. Object stores allow 1024 for a key, of which a prefix may need some.
const MAX_LEN: usize = 512;
/// The longest name within a path, in bytes, as file systems have it.
const MAX_NAME: usize = 255;

/// The path of a stored file, relative to the root of its storage; for artifacts `artifact/ab/cdef…`, as Pulp lays them out.
///
/// Names of ASCII letters, digits, `-`, `_` and `.`, which do not begin with a dot, joined by single slashes: safe to join to a
/// directory, and the same text in a URL and as the key of an object. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(Arc<str>);

/// The text is no path of a stored file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a path in the storage: {reason}")]
pub struct InvalidPath {
    shown: String,
    reason: &'static str,
}

impl ArtifactPath {
    /// Where Pulp keeps the artifact of that sha256: its first two digits name a directory, the others the file.
    pub fn of(sha256: &Sha256) -> Self {
        let hex = sha256.to_string();
        let (shard, rest) = hex.split_at(2);
        Self(format!("artifact/{shard}/{rest}").into())
    }

    /// Where Pulp keeps an artifact when domains are on: as [`of`](Self::of), in a directory per domain.
    pub fn in_domain(domain: Uuid, sha256: &Sha256) -> Self {
        let hex = sha256.to_string();
        let (shard, rest) = hex.split_at(2);
        Self(format!("artifact/{}/{shard}/{rest}", domain.hyphenated()).into())
    }

    /// The path, with slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below `root`.
    pub(super) fn below(&self, root: &std::path::Path) -> PathBuf {
        root.join(self.as_str())
    }

    /// Checks the name of a directory, as given to [`list`](super::Storage::list); the empty one is the root.
    pub(super) fn check_prefix(prefix: &str) -> Result<&str, InvalidPath> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !prefix.is_empty() {
            check(prefix)?;
        }
        Ok(prefix)
    }
}

impl FromStr for ArtifactPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<&str> for ArtifactPath {
    type Error = InvalidPath;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl AsRef<str> for ArtifactPath {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn check(text: &str) -> Result<(), InvalidPath> {
    let refuse = |reason| {
        Err(InvalidPath {
            // It comes from outside, so it may hold anything and any amount of it.
            shown: text.chars().take(80).flat_map(char::escape_default).collect(),
            reason,
        })
    };
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > MAX_LEN {
        return refuse("it is longer than 512 bytes");
    }
    for name in text.split('/') {
        if name.is_empty() {
            return refuse("it begins or ends with a slash, or has two in a row");
        }
        if name.starts_with('.') {
            return refuse("a part of it begins with a dot");
        }
        if name.len() > MAX_NAME {
            return refuse("a part of it is longer than 255 bytes");
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return refuse("it holds something else than ASCII letters, digits, `-`, `_`, `.`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_that_of_pulp() {
        let hex = "6ba314dd58d5e95da49a52ef95b4c385b157b911e2a5a372fd80356b2e963777";
        let sha256 = hex.parse().unwrap();
        let tail = "a314dd58d5e95da49a52ef95b4c385b157b911e2a5a372fd80356b2e963777";
        assert_eq!(ArtifactPath::of(&sha256).as_str(), format!("artifact/6b/{tail}"));
        let domain = Uuid::nil();
        assert_eq!(ArtifactPath::in_domain(domain, &sha256).as_str(), format!("artifact/00000000-0000-0000-0000-000000000000/6b/{tail}"));
        for path in [ArtifactPath::of(&sha256), ArtifactPath::in_domain(domain, &sha256)] {
            assert_eq!(path.as_str().parse(), Ok(path));
        }
    }

    #[test]
    fn paths_that_could_lead_elsewhere_are_refused() {
        let long = "a/".repeat(256) + "ab";
        let name = "n".repeat(256);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/.hidden",
            "../a",
            "a/./b",
            "a\\b",
            "C:\\a",
            "a\0b",
            "a\nb",
            "a b",
            "a~",
            "a%2f",
            "\u{e9}",
            &long,
            &name,
        ] {
            assert!(bad.parse::<ArtifactPath>().is_err(), "{bad:?}");
        }
        let error = "\u{1b}[2J".repeat(1000).parse::<ArtifactPath>().unwrap_err();
        assert!(!error.to_string().contains('\u{1b}') && error.to_string().len() < 1000);
    }

    proptest! {
        #[test]
        fn what_is_accepted_stays_below_its_root(text in r"[a./\\\x00é~ -]{0,12}") {
            if let Ok(path) = text.parse::<ArtifactPath>() {
                let root = std::path::Path::new("/root");
                let joined = path.below(root);
                prop_assert!(joined.starts_with(root) && joined != root);
                prop_assert!(joined.components().skip(2).all(|c| matches!(c, std::path::Component::Normal(_))));
                prop_assert_eq!(path.as_str(), text);
            }
        }
    }
}
