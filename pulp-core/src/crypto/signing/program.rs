//! Running a program to its end, within bounds.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::SigningError;
use crate::ids::new_id;
use crate::storage::Spooled;
use crate::{Pulp, Result};

/// What a program may take: a key on a slow token is asked for its PIN.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes that a program may say.
const SAID: u64 = 1 << 20;
/// Characters of it that an error shows.
const SHOWN: usize = 2_000;

/// A directory that goes away with it, and that nobody else may read.
pub(super) struct Workroom {
    path: PathBuf,
    /// Keeps the spool’s directory.
    _anchor: Spooled,
}

impl Workroom {
    pub(super) async fn new(pulp: &Pulp) -> Result<Self> {
        let anchor = pulp.spool().store("signing").await?;
        let area = anchor.path().parent().map(Path::to_path_buf).unwrap_or_default();
        // A program that runs elsewhere must find it, too.
        let area = std::path::absolute(area).map_err(|error| crate::Error::io("the spool's directory has no path", error))?;
        let path = area.join(format!("signing-{}", new_id().simple()));
        let mut builder = tokio::fs::DirBuilder::new();
        builder.mode(0o700);
        builder.create(&path).await.map_err(|error| crate::Error::io("a directory for signing cannot be made", error))?;
        Ok(Self { path, _anchor: anchor })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workroom {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the spool’s directory.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Runs a program; what it wrote to its output.
pub(super) async fn run<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
    environment: &[(&str, &OsStr)],
) -> Result<Vec<u8>, SigningError> {
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let failed = |reason: String| SigningError::Program { program: name.clone(), reason };
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let ended = tokio::time::timeout(TIMEOUT, async {
        if let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) {
            let (mut output, mut errors) = (output.take(SAID), errors.take(SAID));
            // An end that cannot be read shows in the status.
            let _ = tokio::join!(output.read_to_end(&mut said), errors.read_to_end(&mut complained));
        }
        child.wait().await
    });
    match ended.await {
        Err(_) => Err(failed(format!("it did not end within {} seconds", TIMEOUT.as_secs()))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(status)) if status.success() => Ok(said),
        Ok(Ok(status)) => {
            let text: String = String::from_utf8_lossy(&complained).trim().chars().take(SHOWN).collect();
            Err(failed(if text.is_empty() { status.to_string() } else { text }))
        }
    }
}
