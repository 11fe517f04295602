//! Beginnings of large files that did not come in whole: whoever fetches the same file next goes on behind them.
//!
//! Nothing is believed of them. They count as bytes of one more source, and the digest of the whole file tells whether they were right.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use crate::digest::{Algorithm, Expected};

/// Less than this, in bytes, is fetched again sooner than it is found.
pub(super) const WORTH: u64 = 4 << 20;

/// After this a beginning is removed: its upstream may not have the file any more.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What makes two fetches of one file: a tenant, and the digest that its metadata announce.
///
/// Beginnings are shared within a tenant only: what the credentials of one have fetched is not shown to another who knows the digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartialKey(String);

impl PartialKey {
    /// The key of a file of a tenant; none where no digest is announced, without which nobody could tell in the end whether the parts fit.
    #[must_use]
    pub fn new(tenant: Uuid, expected: &Expected) -> Option<Self> {
        let strongest = Algorithm::ALL.into_iter().rev();
        let (algorithm, digest) = strongest.filter_map(|algorithm| Some((algorithm, expected.digests.get(algorithm)?))).next()?;
        Some(Self(format!("{}-{algorithm}-{digest}", tenant.simple())))
    }

    /// The key in the name of a spool file.
    pub(super) fn of_file(name: &str) -> Option<Self> {
        let (_, key) = name.split_once('.')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (!key.is_empty() && key.bytes().all(plain)).then(|| Self(key.to_owned()))
    }
}

impl fmt::Display for PartialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory of the beginnings. Everything in it is blocking.
#[derive(Debug)]
pub(super) struct Partials {
    dir: PathBuf,
    /// Bytes that all of them together may have.
    most: u64,
}

impl Partials {
    pub(super) fn new(parent: &Path, most: u64) -> Self {
        Self { dir: parent.join("partial"), most }
    }

    pub(super) fn are_kept(&self) -> bool {
        self.most >= WORTH
    }

    /// Takes a file that is not complete, if it is worth it; whatever is not taken is removed.
    pub(super) fn keep(&self, file: &Path, key: &PartialKey) -> io::Result<()> {
        let len = fs::metadata(file)?.len();
        let place = self.dir.join(&key.0);
        let known = fs::metadata(&place).map_or(0, |known| known.len());
        if !(WORTH..=self.most).contains(&len) || len <= known {
            return fs::remove_file(file);
        }
        fs::create_dir_all(&self.dir)?;
        self.tidy(self.most - len)?;
        fs::rename(file, &place)
    }

    /// Whether there is something of a file. A look at one name is so short that it needs no thread of its own: most files are new.
    pub(super) fn have(&self, key: &PartialKey) -> bool {
        self.are_kept() && self.dir.join(&key.0).exists()
    }

    /// Moves what there is of a file to `place`; how many bytes that are. None if there is nothing, or more than the file is to have.
    pub(super) fn take(&self, key: &PartialKey, place: &Path, limit: u64) -> io::Result<Option<u64>> {
        if !self.are_kept() {
            return Ok(None);
        }
        match fs::rename(self.dir.join(&key.0), place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        }
        let len = fs::metadata(place)?.len();
        if (WORTH..=limit).contains(&len) {
            return Ok(Some(len));
        }
        fs::remove_file(place)?;
        Ok(None)
    }

    /// Removes what is too old, and then the oldest until no more than so many bytes are left.
    pub(super) fn tidy(&self, most: u64) -> io::Result<()> {
        let now = SystemTime::now();
        let mut left = Vec::new();
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            // It may have been taken meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
            left.push((age, metadata.len(), entry.path()));
        }
        left.sort();
        let mut bytes = 0_u64;
        for (age, len, path) in left {
            bytes = bytes.saturating_add(len);
            if age > KEPT_FOR || bytes > most {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// As [`tidy`](Self::tidy), with all the room there is.
    pub(super) fn tidy_up(&self) -> io::Result<()> {
        self.tidy(self.most)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::hash_bytes;

    fn key(text: &str) -> PartialKey {
        let (digests, size) = hash_bytes(&[Algorithm::Md5, Algorithm::Sha256], text.as_bytes());
        PartialKey::new(Uuid::nil(), &Expected { size: Some(size), digests }).unwrap()
    }

    fn file(dir: &Path, len: u64) -> PathBuf {
        let path = dir.join("file");
        fs::File::create(&path).unwrap().set_len(len).unwrap();
        path
    }

    #[test]
    fn a_key_is_of_a_tenant_and_of_the_strongest_digest() {
        let key = key("x");
        assert!(key.to_string().starts_with("00000000000000000000000000000000-sha256-2d71"), "{key}");
        assert_eq!(PartialKey::of_file(&format!("17.{key}")), Some(key));
        assert_eq!(PartialKey::new(Uuid::nil(), &Expected::anything()), None);
        for name in ["17", "17.", "17.a/b", "17..", "17.a.b"] {
            assert_eq!(PartialKey::of_file(name), None, "{name}");
        }
    }

    #[test]
    fn the_longest_beginning_is_kept_and_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let partials = Partials::new(dir.path(), 100 << 20);
        let place = dir.path().join("place");
        for len in [WORTH - 1, WORTH + 7, WORTH, 100 << 21] {
            partials.keep(&file(dir.path(), len), &key("x")).unwrap();
            assert!(!dir.path().join("file").exists());
        }
        assert_eq!((partials.have(&key("x")), partials.have(&key("y"))), (true, false));
        assert_eq!(partials.take(&key("y"), &place, u64::MAX).unwrap(), None);
        assert_eq!(partials.take(&key("x"), &place, u64::MAX).unwrap(), Some(WORTH + 7));
        assert_eq!(partials.take(&key("x"), &place, u64::MAX).unwrap(), None);
        // More than the file is to have cannot be its beginning.
        partials.keep(&place, &key("x")).unwrap();
        assert_eq!(partials.take(&key("x"), &place, WORTH).unwrap(), None);
        assert!(!place.exists());
    }

    #[test]
    fn the_oldest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let partials = Partials::new(dir.path(), 3 * WORTH);
        let age = |name: &str, hours: u64| {
            let at = SystemTime::now() - Duration::from_secs(hours * 3_600);
            fs::File::options().write(true).open(dir.path().join("partial").join(key(name).to_string())).unwrap().set_modified(at).unwrap();
        };
        for (name, hours) in [("a", 2), ("b", 1), ("c", 30)] {
            partials.keep(&file(dir.path(), WORTH), &key(name)).unwrap();
            age(name, hours);
        }
        partials.tidy_up().unwrap();
        partials.keep(&file(dir.path(), 2 * WORTH), &key("d")).unwrap();
        let place = dir.path().join("place");
        let left = ["a", "b", "c", "d"].map(|name| partials.take(&key(name), &place, u64::MAX).unwrap().is_some());
        assert_eq!(left, [false, true, false, true], "c was too old, and a the oldest when there was no room");
    }
}
