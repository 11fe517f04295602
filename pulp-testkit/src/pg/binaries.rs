//! Where PostgreSQL's programs are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where distributions keep the programs that they leave out of `PATH`: a directory per version, with `bin` in it.
const HOMES: [&str; 3] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/postgresql"];

/// A directory that holds `initdb`, `postgres` and `pg_ctl`.
#[derive(Clone, Debug)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// Looks on `PATH`, then where distributions keep them, the newest version first.
    pub(super) fn find() -> Option<Self> {
        Self::find_in(std::env::var_os("PATH"), &HOMES.map(PathBuf::from))
    }

    fn find_in(path: Option<OsString>, homes: &[PathBuf]) -> Option<Self> {
        let on_path = path.iter().flat_map(std::env::split_paths).collect::<Vec<_>>();
        let mut versions = Vec::new();
        for entry in homes.iter().filter_map(|home| std::fs::read_dir(home).ok()).flatten().flatten() {
            let version = entry.file_name().to_string_lossy().parse::<f64>().unwrap_or_default();
            versions.push((version, entry.path().join("bin")));
        }
        versions.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let directories = on_path.into_iter().chain(versions.into_iter().map(|(_, bin)| bin));
        directories.into_iter().find(|bin| is_whole(bin)).map(Self)
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn is_whole(bin: &Path) -> bool {
    // A client package brings some of them, not all.
    bin.is_absolute() && ["initdb", "postgres", "pg_ctl"].iter().all(|name| bin.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(bin: &Path) {
        std::fs::create_dir_all(bin).unwrap();
        for name in ["initdb", "postgres", "pg_ctl"] {
            std::fs::write(bin.join(name), "").unwrap();
        }
    }

    #[test]
    fn the_path_first_then_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let (home, path) = (dir.path().join("home"), dir.path().join("path"));
        let find = || Binaries::find_in(Some(path.clone().into()), std::slice::from_ref(&home)).map(|found| found.0);
        assert_eq!(find(), None);
        for version in ["9.6", "15", "8"] {
            install(&home.join(version).join("bin"));
        }
        std::fs::create_dir_all(home.join("17/bin")).unwrap();
        std::fs::write(home.join("17/bin/pg_ctl"), "").unwrap();
        assert_eq!(find(), Some(home.join("15/bin")));
        install(&path);
        assert_eq!(find(), Some(path.clone()));
    }
}
