//! Units of the type `file.file`: a path and a digest.

use super::manifest::Entry;
use crate::prelude::*;

/// How such units are stored.
pub static FILE: ContentKind = ContentKind {
    pulp_type: "file.file",
    table: "file_filecontent",
    columns: &["relative_path", "digest"],
    key: &["relative_path", "digest"],
};

/// The unit with this path and sha256.
pub(super) fn unit(relative_path: &str, sha256: &str) -> Unit {
    Unit::new(&FILE, vec![relative_path.into(), sha256.into()])
}

/// A line of a manifest as the unit that it declares.
pub(super) fn declared(entry: Entry, source: FileSource) -> Declared {
    let unit = unit(&entry.relative_path, &entry.sha256.to_string());
    let expected = Expected { size: Some(entry.size), digests: entry.sha256.into() };
    Declared::one(unit, DeclaredFile { relative_path: entry.relative_path, expected, source })
}
