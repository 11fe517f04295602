//! What the first stage declares.

use url::Url;

use crate::digest::Expected;
use crate::model::save::Unit;
use crate::storage::Spooled;

/// A content unit that the upstream has, with its files.
#[derive(Debug)]
pub struct Declared {
    /// The unit.
    pub unit: Unit,
    /// Its files.
    pub files: Vec<DeclaredFile>,
}

/// One file of a declared unit.
#[derive(Debug)]
pub struct DeclaredFile {
    /// Where the file lies in the unit, and so in a repository that is served as it is.
    pub relative_path: String,
    /// What the metadata say about it. What differs when it is fetched is an error.
    pub expected: Expected,
    /// Where it is.
    pub source: FileSource,
}

/// Where a declared file is.
#[derive(Debug)]
pub enum FileSource {
    /// At the upstream: fetched now or later, as the remote’s policy says.
    Url(Url),
    /// Here already: the first stage made or fetched it. It is stored whatever the policy.
    Spooled(Spooled),
}

impl Declared {
    /// A unit with one file.
    pub fn one(unit: Unit, file: DeclaredFile) -> Self {
        Self { unit, files: vec![file] }
    }

    /// Bytes of the files, as far as they are announced.
    pub(super) fn announced(&self) -> u64 {
        self.files.iter().filter_map(|file| file.expected.size).fold(0, u64::saturating_add)
    }
}
