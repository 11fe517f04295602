//! Whether something could be imported, before anybody tries.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use serde::Serialize;

use crate::Pulp;

/// What is to be said of one parameter.
#[derive(Debug, Serialize)]
pub(crate) struct Evaluation {
    /// The parameter.
    pub(crate) context: String,
    /// Whether it would do.
    pub(crate) is_valid: bool,
    /// Why not.
    pub(crate) messages: Vec<String>,
}

impl Evaluation {
    fn new(context: &str, messages: Vec<String>) -> Self {
        Self { context: context.to_owned(), is_valid: messages.is_empty(), messages }
    }
}

/// Whether a file can be read from there.
pub(crate) async fn check_file(pulp: &Pulp, text: &str) -> Evaluation {
    let (files, path) = (pulp.import_files().clone(), text.to_owned());
    let messages = tokio::task::spawn_blocking(move || messages(&files, Path::new(&path))).await;
    Evaluation::new(text, messages.unwrap_or_else(|_| vec![format!("file {text} cannot be looked at")]))
}

fn messages(files: &crate::download::FileDownloader, path: &Path) -> Vec<String> {
    let shown = path.display();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // The directory counts: that the file itself is a link is told by where it leads.
    let directory = real.parent().unwrap_or(Path::new("/"));
    if !files.covers(path) {
        return vec![format!("{} is not an allowed import path", directory.display())];
    }
    let can = |path: &Path, what: Access| rustix::fs::accessat(CWD, path, what, AtFlags::EACCESS).is_ok();
    let mut messages = Vec::new();
    if !directory.exists() {
        return vec![format!("[Errno 2] No such file or directory: '{}'", directory.display())];
    }
    if !can(directory, Access::READ_OK) {
        messages.push(format!("directory {} must allow pulp read-access", directory.display()));
    }
    if !path.exists() {
        messages.push(format!("file {shown} does not exist"));
    } else if !path.is_file() {
        messages.push(format!("{shown} is not a file"));
    } else if !can(path, Access::READ_OK) {
        messages.push(format!("file {shown} exists but cannot be read."));
    }
    if !can(directory, Access::WRITE_OK) {
        messages.push(format!("directory {} must allow pulp write-access", directory.display()));
    }
    messages
}

/// Whether a text is a mapping of repositories.
pub(crate) fn check_mapping(text: &str) -> Evaluation {
    let read: Result<serde_json::Value, _> = serde_json::from_str(text);
    Evaluation::new(text, if read.is_ok() { Vec::new() } else { vec!["invalid JSON".to_owned()] })
}
