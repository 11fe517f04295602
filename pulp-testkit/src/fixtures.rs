//! Trees of files as people publish them, odd names included, and manifests as they should not be.

use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

use crate::Blob;

/// Names that trip those who quote, split or decode carelessly. Each is a path of a file.
pub const ODD_NAMES: &[&str] = &[
    "with space.txt",
    " leading and trailing ",
    "quote\"double.txt",
    "quote'single.txt",
    "back\\slash.txt",
    "colon:name.txt",
    "percent%2fslash.txt",
    "percent%.txt",
    "plus+and&ampersand.txt",
    "question?mark#hash.txt",
    "semi;colon.txt",
    "brackets[1]{2}.txt",
    "tilde~1.0~rc1.txt",
    "snö/ünïcode/文件.txt",
    "emoji-📦.txt",
    "e\u{301}-decomposed.txt",
    "...dots/..hidden/.x",
    "-dash",
    "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/deep.txt",
    "index.html",
];

/// A directory of files that goes away with its handle.
///
/// ```
/// use pulp_testkit::Tree;
///
/// let tree = Tree::new().file("a/b.txt", "hello").generate(3, 100, 1).manifest();
/// assert_eq!(tree.files().len(), 4);
/// assert!(tree.path().join("PULP_MANIFEST").exists());
/// ```
#[derive(Debug)]
pub struct Tree {
    dir: TempDir,
    files: Vec<String>,
    has_manifest: bool,
}

impl Tree {
    /// An empty directory.
    ///
    /// # Panics
    /// When it cannot be made. So do the other methods that write.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("pulp-tree-").tempdir();
        Self { dir: dir.expect("a temporary directory"), files: Vec::new(), has_manifest: false }
    }

    /// Adds a file, or replaces it.
    ///
    /// # Panics
    /// When `path` leads out of the tree.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Blob>) -> Self {
        let at = self.inside(path);
        let parent = at.parent().expect("a path inside the tree");
        std::fs::create_dir_all(parent).expect("a directory of the tree");
        content.into().write_to(&at).expect("a file of the tree");
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_owned());
        }
        self
    }

    /// Adds `count` files of about `size` bytes (half of it to one and a half times) in nested directories, the
    /// same for the same `seed`.
    #[must_use]
    pub fn generate(mut self, count: usize, size: u64, seed: u64) -> Self {
        let mut made: std::collections::BTreeSet<PathBuf> = std::collections::BTreeSet::new();
        for index in 0..count as u64 {
            let path = format!("gen-{seed}/{:02}/{:02}/{index:06}.bin", index % 7, index % 61);
            let blob = Blob::seeded(seed ^ (index << 20), size / 2 + index.wrapping_mul(7919) % size.max(1));
            let at = self.inside(&path);
            let parent = at.parent().expect("a path inside the tree").to_owned();
            if !made.contains(&parent) {
                std::fs::create_dir_all(&parent).expect("a directory of the tree");
                made.insert(parent);
            }
            blob.write_to(&at).expect("a file of the tree");
            self.files.push(path);
        }
        self
    }

    /// Adds a small file for each of [`ODD_NAMES`].
    #[must_use]
    pub fn odd_names(self) -> Self {
        ODD_NAMES.iter().fold(self, |tree, name| tree.file(name, format!("this is {name}\n")))
    }

    /// Writes `PULP_MANIFEST` of the files that there are by now, sorted by path.
    #[must_use]
    pub fn manifest(mut self) -> Self {
        let mut text = String::new();
        for path in self.files() {
            let bytes = std::fs::read(self.inside(&path)).expect("a file of the tree");
            text.push_str(&Blob::from(bytes).manifest_line(&path));
        }
        std::fs::write(self.dir.path().join("PULP_MANIFEST"), text).expect("a manifest");
        self.has_manifest = true;
        self
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory as a `file://` URL with a slash at the end.
    ///
    /// # Panics
    /// Never: a temporary directory has an absolute path.
    #[must_use]
    pub fn url(&self) -> String {
        let url = url::Url::from_directory_path(self.path()).expect("an absolute path");
        url.into()
    }

    /// All files but the manifest, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let mut files = self.files.clone();
        files.sort();
        files
    }

    pub(crate) fn files_and_manifest(&self) -> Vec<String> {
        let mut files = self.files();
        if self.has_manifest {
            files.push("PULP_MANIFEST".to_owned());
        }
        files
    }

    fn inside(&self, path: &str) -> PathBuf {
        let ordinary = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(ordinary && !path.is_empty(), "{path:?} leads out of the tree");
        self.dir.path().join(path)
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

/// One thing that is wrong with a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestFault {
    /// The digest is that of something else.
    WrongDigest,
    /// The size is one more than that of the file.
    WrongSize,
    /// The path begins with a slash.
    AbsolutePath,
    /// The path leads upwards: `../x`.
    ParentPath,
    /// The path leads upwards from inside: `a/../../x`.
    InnerParentPath,
    /// One line comes twice.
    DuplicateLine,
    /// One path comes twice, with other digests.
    DuplicatePath,
    /// A line has two fields.
    MissingField,
    /// A line has four fields.
    ExtraField,
    /// The digest is too short.
    ShortDigest,
    /// The digest has a letter that hexadecimal has not.
    BadDigest,
    /// The size is no number.
    BadSize,
    /// The size is below zero.
    NegativeSize,
    /// The size does not fit into 64 bits.
    HugeSize,
    /// The path is empty.
    EmptyPath,
    /// A path holds a NUL character.
    NulInPath,
    /// A path is not UTF-8.
    NotUtf8,
    /// One line of a gigabyte.
    GigabyteLine,
    /// It is a web page: what a captive portal, or a wrong address, gives.
    Html,
    /// Its last line stops in the middle.
    Truncated,
}

impl ManifestFault {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::WrongDigest,
        Self::WrongSize,
        Self::AbsolutePath,
        Self::ParentPath,
        Self::InnerParentPath,
        Self::DuplicateLine,
        Self::DuplicatePath,
        Self::MissingField,
        Self::ExtraField,
        Self::ShortDigest,
        Self::BadDigest,
        Self::BadSize,
        Self::NegativeSize,
        Self::HugeSize,
        Self::EmptyPath,
        Self::NulInPath,
        Self::NotUtf8,
        Self::GigabyteLine,
        Self::Html,
        Self::Truncated,
    ];
}

/// A manifest that is right about `path` and `content`, but for `fault`.
#[must_use]
pub fn bad_manifest(fault: ManifestFault, path: &str, content: &Blob) -> Blob {
    let digest = content.sha256();
    let other = Blob::from("something else").sha256();
    let size = content.len();
    let good = content.manifest_line(path);
    match fault {
        ManifestFault::WrongDigest => format!("{path},{other},{size}\n").into(),
        ManifestFault::WrongSize => format!("{path},{digest},{}\n", size + 1).into(),
        ManifestFault::AbsolutePath => format!("/{path},{digest},{size}\n").into(),
        ManifestFault::ParentPath => format!("../{path},{digest},{size}\n").into(),
        ManifestFault::InnerParentPath => format!("a/../../{path},{digest},{size}\n").into(),
        ManifestFault::DuplicateLine => format!("{good}{good}").into(),
        ManifestFault::DuplicatePath => format!("{good}{path},{other},14\n").into(),
        ManifestFault::MissingField => format!("{path},{digest}\n").into(),
        ManifestFault::ExtraField => format!("{path},{digest},{size},{size}\n").into(),
        ManifestFault::ShortDigest => format!("{path},{},{size}\n", &digest[..40]).into(),
        ManifestFault::BadDigest => format!("{path},{},{size}\n", digest.replace(|_| true, "g")).into(),
        ManifestFault::BadSize => format!("{path},{digest},many\n").into(),
        ManifestFault::NegativeSize => format!("{path},{digest},-1\n").into(),
        ManifestFault::HugeSize => format!("{path},{digest},99999999999999999999\n").into(),
        ManifestFault::EmptyPath => format!(",{digest},{size}\n").into(),
        ManifestFault::NulInPath => format!("a\0b,{digest},{size}\n").into(),
        ManifestFault::NotUtf8 => {
            let mut bytes = b"caf\xe9.txt".to_vec();
            bytes.extend_from_slice(format!(",{digest},{size}\n").as_bytes());
            bytes.into()
        }
        ManifestFault::GigabyteLine => Blob::repeated(b'a', 1 << 30),
        ManifestFault::Html => "<!doctype html><html><body>Please sign in</body></html>\n".into(),
        ManifestFault::Truncated => good[..path.len() + 20].to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_on_disk_and_gone_after() {
        let tree = Tree::new().odd_names().generate(200, 64, 5).manifest();
        assert_eq!(tree.files().len(), 200 + ODD_NAMES.len());
        let manifest = std::fs::read_to_string(tree.path().join("PULP_MANIFEST")).unwrap();
        assert_eq!(manifest.lines().count(), tree.files().len());
        for (line, path) in manifest.lines().zip(tree.files()) {
            let bytes = std::fs::read(tree.path().join(&path)).unwrap();
            assert_eq!(format!("{line}\n"), Blob::from(bytes).manifest_line(&path));
        }
        let path = tree.path().to_owned();
        drop(tree);
        assert!(!path.exists());
    }

    #[test]
    fn a_tree_can_be_made_again() {
        let read = |tree: Tree| std::fs::read(tree.path().join("PULP_MANIFEST")).unwrap();
        let one = read(Tree::new().generate(20, 50, 5).manifest());
        assert_eq!(one, read(Tree::new().generate(20, 50, 5).manifest()));
        assert_ne!(one, read(Tree::new().generate(20, 50, 6).manifest()));
    }

    #[test]
    #[should_panic(expected = "leads out of the tree")]
    fn no_file_leaves_the_tree() {
        let _ = Tree::new().file("a/../../b", "x");
    }

    #[test]
    fn every_bad_manifest_differs_from_the_good_one() {
        let content = Blob::from("abc");
        for &fault in ManifestFault::ALL {
            let bad = bad_manifest(fault, "a.txt", &content).read(0, 1000);
            assert_ne!(bad, content.manifest_line("a.txt").as_bytes(), "{fault:?}");
        }
    }
}
