//! Whom the server runs as: PostgreSQL refuses to be root.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Accounts to run as when this process is root, the best first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An account of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    gid: u32,
    /// Whether it is another than the account of this process, which is root then.
    other: bool,
}

impl Account {
    /// The account of this process, or, if that is root, one that PostgreSQL accepts.
    pub(super) fn choose() -> io::Result<Self> {
        let (uid, gid) = (id(&["-u"])?, id(&["-g"])?);
        if uid != 0 {
            return Ok(Self { uid, gid, other: false });
        }
        let candidates = CANDIDATES.iter().find_map(|name| Some((id(&["-u", name]).ok()?, id(&["-g", name]).ok()?)));
        let (uid, gid) = candidates.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "tests run as root, and there is neither a user `postgres` nor a user `nobody` to run PostgreSQL",
            )
        })?;
        Ok(Self { uid, gid, other: true })
    }

    /// Makes a command run as this account.
    pub(super) fn run_as(self, command: &mut Command) {
        if self.other {
            // Setting the user as root drops the supplementary groups too.
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a path to this account.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        if self.other { std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }
}

fn id(arguments: &[&str]) -> io::Result<u32> {
    let output = Command::new("id").args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| io::Error::other("`id` gave no number"))
}
