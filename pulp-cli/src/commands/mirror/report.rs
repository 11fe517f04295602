//! What a run has changed, and how to fetch from it: on standard output.

use std::borrow::Cow;
use std::path::Path;

use indicatif::{BinaryBytes, HumanCount};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pulp_core::Pulp;
use pulp_core::model::{Policy, RepositoryVersion};
use pulp_core::plugins::file::Repo;
use pulp_core::sync::Reading;

use super::source::Source;
use crate::error::Result;
use crate::output;

/// What stays as it is in the path of a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What the sync has changed; nothing, if it made no version.
pub(super) async fn outcome(name: &str, repository: &Repo, version: Option<&RepositoryVersion>, reading: Reading) -> Result<()> {
    let count = |n: i64| HumanCount(n.try_into().unwrap_or(0));
    match version {
        Some(version) => {
            let changes = repository.changes(version).await?;
            let mut text = format!("{name}: version {}: {} added", version.number, count(changes.added));
            if changes.replaced > 0 {
                text.push_str(&format!(", {} replaced", count(changes.replaced)));
            }
            text.push_str(&format!(", {} removed, {} unchanged", count(changes.removed), count(changes.unchanged)));
            output::line(&text)?;
        }
        None => output::line(&format!("{name}: nothing has changed since version {}", repository.latest().await?.number))?,
    }
    if reading.fetched.files > 0 {
        let files = if reading.fetched.files == 1 { "file" } else { "files" };
        output::line(&format!("Stored {} {files}, {}", HumanCount(reading.fetched.files), BinaryBytes(reading.fetched.bytes)))?;
    }
    if reading.skipped > 0 {
        let entries = if reading.skipped == 1 { "entry" } else { "entries" };
        output::note(&format!(
            "Passed over {} {entries}: links that lead out of the directory or to another directory, or special files",
            HumanCount(reading.skipped)
        ));
    }
    Ok(())
}

/// The commands that serve it.
pub(super) fn how_to_serve(named: &str, data: &Path, source: &Source, policy: Policy) -> Result<()> {
    let data_text = data.to_string_lossy();
    output::line("\nServe it, until Ctrl-C:")?;
    let lazy_local = source.directory().filter(|_| policy != Policy::Immediate);
    match lazy_local {
        Some(directory) => {
            output::line(&format!("  pulp mirror {} --policy {policy} --into {} --serve", quoted(named), quoted(&data_text)))?;
            output::note(&format!("Files are read from {} when they are asked for: keep it.", directory.display()));
        }
        None => {
            // A URL with a password in it is not printed.
            output::line(&format!("  pulp-server --data-dir {}", quoted(&data_text)))?;
        }
    }
    Ok(())
}

/// Lines that fetch the manifest and a file.
pub(super) async fn how_to_fetch(origin: &str, pulp: &Pulp, repository: &Repo) -> Result<()> {
    let base = format!("{origin}{}{}", pulp.settings().content_path_prefix, encoded(&repository.repository().name));
    output::line("\nFetch from it:")?;
    output::line(&format!("  curl {base}/PULP_MANIFEST"))?;
    for path in repository.some_paths(1).await? {
        output::line(&format!("  curl -O {base}/{}", encoded(&path)))?;
    }
    Ok(())
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// A word of a shell command.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell() {
        assert_eq!(quoted("http://h:80/a-b"), "http://h:80/a-b");
        assert_eq!(quoted("it's mine"), r"'it'\''s mine'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn paths_for_a_url() {
        assert_eq!(encoded("a b/ü?#%"), "a%20b/%C3%BC%3F%23%25");
    }
}
