//! Where exports may go.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// Whether a path lies in a directory that exports may be written to.
///
/// # Errors
/// [`Error::BadRequest`] in the words that clients know.
pub(crate) async fn check(path: &str, allowed: &[PathBuf]) -> Result<PathBuf> {
    let (wanted, allowed) = (path.to_owned(), allowed.to_vec());
    let found = tokio::task::spawn_blocking(move || resolve(Path::new(&wanted), &allowed)).await;
    let found = found.map_err(|error| Error::Internal(error.to_string()))?;
    found.ok_or_else(|| Error::BadRequest(format!("Path '{path}' is not an allowed export path")))
}

/// The path with its links resolved, as far as it exists; nothing if that is in none of the allowed directories.
pub(super) fn resolve(path: &Path, allowed: &[PathBuf]) -> Option<PathBuf> {
    if !path.is_absolute() || path.components().any(|part| matches!(part, Component::ParentDir)) {
        return None;
    }
    let (above, real) = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)))?;
    let rest = path.strip_prefix(above).ok()?;
    // What ends in `/` once joined with nothing would differ from what it names.
    let resolved: PathBuf = real.components().chain(rest.components()).collect();
    let inside = |root: &PathBuf| root.canonicalize().is_ok_and(|root| resolved.starts_with(root));
    allowed.iter().any(inside).then_some(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_an_allowed_directory_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        std::fs::create_dir_all(inside.join("deep")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("way-out")).unwrap();
        std::os::unix::fs::symlink(inside.join("deep"), inside.join("way-in")).unwrap();
        let allowed = [inside.canonicalize().unwrap()];
        let at = |path: &str| resolve(&inside.join(path), &allowed);
        assert_eq!(at("a/b/"), Some(allowed[0].join("a/b")));
        assert_eq!(at("way-in/x"), Some(allowed[0].join("deep/x")));
        assert_eq!(at("./x"), Some(allowed[0].join("x")));
        for refused in ["way-out", "way-out/x/y", "../out", "deep/../x", "../in2"] {
            assert_eq!(at(refused), None, "{refused}");
        }
        assert_eq!(resolve(Path::new("in/x"), &allowed), None);
        // A name that begins alike is another directory.
        assert_eq!(resolve(&dir.path().join("in-other"), &allowed), None);
        assert_eq!(resolve(&inside, &[]), None);
    }
}
