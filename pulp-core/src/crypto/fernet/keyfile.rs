//! The file that `DB_ENCRYPTION_KEY` names.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use uuid::Uuid;

use super::{Fernet, FernetError, FernetKey};

/// A key file larger than this is something else.
const LARGEST: u64 = 64 * 1024;

impl Fernet {
    /// With the keys of a text: one per line; empty lines are skipped.
    ///
    /// # Errors
    /// [`FernetError::NoKey`], [`FernetError::BadKey`].
    pub fn from_lines(text: &str) -> Result<Self, FernetError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let keys = lines.map(|(at, line)| line.parse().map_err(|_| FernetError::BadKey { line: at + 1 }));
        Self::new(keys.collect::<Result<_, _>>()?)
    }

    /// With the keys of a file. Blocking.
    ///
    /// # Errors
    /// [`FernetError::File`], and those of [`from_lines`](Self::from_lines).
    pub fn load(path: &Path) -> Result<Self, FernetError> {
        let failed = |source| FernetError::File { action: "read", source };
        let file = fs::File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            tracing::warn!("the encryption key file (DB_ENCRYPTION_KEY) can be read by everybody on this host: chmod it to 0600");
        }
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
        Self::from_lines(&text)
    }

    /// With the keys of a file, which is made, with one new key, if it is missing; only its owner can read it then. Blocking.
    ///
    /// Of several processes that do this at once, one makes the file, and all use it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_or_create(path: &Path) -> Result<Self, FernetError> {
        if !path.try_exists().map_err(|source| FernetError::File { action: "read", source })? {
            create(path).map_err(|error| match error {
                Failure::Fernet(error) => error,
                Failure::Io(source) => FernetError::File { action: "written", source },
            })?;
        }
        Self::load(path)
    }
}

enum Failure {
    Fernet(FernetError),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes the file whole under another name first: a key that is cut short by a crash would lock its owner out for good.
fn create(path: &Path) -> Result<(), Failure> {
    let key = FernetKey::generate().map_err(Failure::Fernet)?.to_text();
    let draft = path.with_file_name(format!(".{}.key", Uuid::now_v7().simple()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        writeln!(file, "{}", key.expose())?;
        file.sync_all()
    });
    // Unlike a rename, a link does not replace the key that another process has just begun to use.
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    linked.and(removed)?;
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}
