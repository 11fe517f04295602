//! Directories.

use std::fmt;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::ServeError;
use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt as _, Sql};
use crate::model::{Cursor, Domain, Tree, TreeEntry, after_all_below};

/// How many files one statement looks at. A directory is passed over with the next one, however much is in it.
const PAGE: u32 = 500;
/// At most, in a directory of many files, and where all are looked at, whatever is shown.
const LARGE_PAGE: u32 = 5_000;

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name, without a slash.
    pub name: String,
    /// Whether it is a directory.
    pub directory: bool,
    /// When it was added.
    pub modified: Option<Timestamp>,
    /// Size in bytes.
    pub size: Option<u64>,
}

impl Entry {
    /// A directory of this name.
    pub fn directory(name: impl Into<String>) -> Self {
        Self { name: name.into(), directory: true, modified: None, size: None }
    }

    /// A file of this name.
    pub fn file(name: impl Into<String>, modified: Option<Timestamp>, size: Option<u64>) -> Self {
        Self { name: name.into(), directory: false, modified, size }
    }

    /// The name, of a directory with a slash at its end.
    pub(super) fn path(&self) -> String {
        format!("{}{}", self.name, if self.directory { "/" } else { "" })
    }
}

/// Pages of entries, in the order of the bytes of their names, those of directories with a slash at their end.
pub type Entries = BoxStream<'static, Result<Vec<Entry>, ServeError>>;

/// A directory: its entries come as they are read, so that its size does not matter.
pub struct Listing {
    /// What it calls itself: the path of the request, where not set.
    pub title: Option<String>,
    /// Whether there is a directory above it.
    pub parent: bool,
    /// The entries.
    pub entries: Entries,
    /// How to read them from elsewhere on; none where they were given.
    trees: Option<Walk>,
}

/// From where entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin<'a> {
    /// From the first on; whether all of them will be read.
    First { all: bool },
    /// From the one behind this on.
    After(&'a str),
    /// From the one in front of this, or the last, back to the first.
    Before(Option<&'a str>),
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("title", &self.title).finish_non_exhaustive()
    }
}

impl Listing {
    /// A listing of these entries.
    pub fn of_entries(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_cached_key(Entry::path);
        Self { title: None, parent: true, entries: stream::iter([Ok(entries)]).boxed(), trees: None }
    }

    /// What lies directly in `directory` (empty, or with a slash at its end) of several trees taken together; `None` if that is nothing.
    ///
    /// # Errors
    /// If the database cannot be reached for the first page.
    pub async fn of_trees(db: Db, trees: Vec<Tree>, directory: String) -> Result<Option<Self>, ServeError> {
        let start = Cursor::From(directory.clone());
        let walk = Walk { db, trees, directory, next: None, size: PAGE };
        let mut reading = walk.clone();
        let Some(first) = reading.page(&start).await? else {
            return Ok(None);
        };
        let others = stream::try_unfold(reading, Walk::step);
        Ok(Some(Self { title: None, parent: true, entries: stream::iter([Ok(first)]).chain(others).boxed(), trees: Some(walk) }))
    }

    /// The entries from somewhere on, and whether they come as they were wanted; those that were given come from the first on.
    pub(super) fn read(self, from: Begin<'_>) -> (Entries, bool) {
        let Some(mut walk) = self.trees else { return (self.entries, matches!(from, Begin::First { .. })) };
        walk.next = match from {
            Begin::First { all: false } => return (self.entries, true),
            Begin::First { all: true } => {
                walk.size = LARGE_PAGE;
                Some(Cursor::From(walk.directory.clone()))
            }
            // Of a directory, nothing that lies below it.
            Begin::After("") => Some(Cursor::From(walk.directory.clone())),
            Begin::After(name) => {
                let path = format!("{}{name}", walk.directory);
                Some(after_all_below(&path).map_or(Cursor::After(path), Cursor::From))
            }
            Begin::Before(name) => Some(Cursor::Before(name.map(|name| format!("{}{name}", walk.directory)))),
        };
        (stream::try_unfold(walk, Walk::step).boxed(), true)
    }

    /// The next parts of the base paths below `prefix` (empty, or with a slash at its end); `None` if no distribution lies below.
    ///
    /// Hidden distributions are left out, and guarded ones if the domain or `hide_guarded` says so.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_distributions(db: &Db, domain: &Domain, prefix: &str, hide_guarded: bool) -> Result<Option<Self>, DbError> {
        let mut sql = Sql::new("select base_path from core_distribution where (hidden is null or hidden = false) and pulp_domain_id = ");
        sql.push_bind(domain.pulp_id);
        if hide_guarded || domain.hide_guarded_distributions {
            sql.push(" and content_guard_id is null");
        }
        if let Some(end) = after_all_below(prefix) {
            sql.push(" and base_path >= ").push_bind(prefix).push(" and base_path < ").push_bind(end);
        }
        sql.push(" order by base_path");
        let mut names: Vec<String> = Vec::new();
        for base_path in db.column::<String>(sql).await? {
            let name = base_path[prefix.len()..].split('/').next().unwrap_or_default();
            if !name.is_empty() && names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() && !prefix.is_empty() {
            return Ok(None);
        }
        let title = if prefix.is_empty() { None } else { Some(prefix.to_owned()) };
        let entries = names.into_iter().map(Entry::directory).collect();
        Ok(Some(Self { title, parent: !prefix.is_empty(), ..Self::of_entries(entries) }))
    }
}

/// Walks over a directory: reads a page of paths, and passes over each directory that it meets.
#[derive(Clone)]
struct Walk {
    db: Db,
    trees: Vec<Tree>,
    directory: String,
    next: Option<Cursor>,
    size: u32,
}

impl Walk {
    async fn step(mut self) -> Result<Option<(Vec<Entry>, Self)>, ServeError> {
        let Some(cursor) = self.next.take() else {
            return Ok(None);
        };
        Ok(self.page(&cursor).await?.map(|entries| (entries, self)))
    }

    /// The entries of a page, and notes where the next begins; `None` if there are no files from here on.
    async fn page(&mut self, cursor: &Cursor) -> Result<Option<Vec<Entry>>, ServeError> {
        let files = Tree::entries(&self.trees, &self.db, &self.directory, cursor, self.size).await?;
        if files.is_empty() {
            return Ok(None);
        }
        let full = files.len() == self.size as usize;
        let back = matches!(cursor, Cursor::Before(_));
        let (mut entries, next) = self.gather(files, back);
        if back {
            for entry in entries.iter_mut().filter(|entry| entry.directory) {
                entry.modified = self.first_below(&entry.name).await?;
            }
        }
        self.next = next.filter(|_| full);
        // Each statement has to put the files of a version in order first: where there are many, ever larger ones are asked for.
        if entries.len() >= self.size as usize / 2 {
            self.size = (self.size * 4).min(LARGE_PAGE);
        }
        Ok(Some(entries))
    }

    /// The time that a directory is shown with: that of its first file.
    async fn first_below(&self, name: &str) -> Result<Option<Timestamp>, ServeError> {
        let directory = format!("{}{name}/", self.directory);
        let first = Tree::entries(&self.trees, &self.db, &directory, &Cursor::From(directory.clone()), 1).await?;
        Ok(first.first().map(|file| file.added))
    }

    /// The entries that a page of paths makes, and where to go on.
    fn gather(&self, files: Vec<TreeEntry>, back: bool) -> (Vec<Entry>, Option<Cursor>) {
        let mut entries: Vec<Entry> = Vec::new();
        let mut next = None;
        for file in files {
            let Some(rest) = file.relative_path.get(self.directory.len()..) else {
                continue;
            };
            match rest.split_once('/') {
                Some((name, _)) => {
                    let same = entries.last().is_some_and(|last| last.directory && last.name == name);
                    // A name that is empty (two slashes in a row) could not be followed.
                    if !same && !name.is_empty() {
                        entries.push(Entry { modified: Some(file.added), ..Entry::directory(name) });
                    }
                    let below = format!("{}{name}/", self.directory);
                    next = if back { Some(Cursor::Before(Some(below))) } else { after_all_below(&below).map(Cursor::From) };
                }
                None => {
                    let same = entries.last().is_some_and(|last| !last.directory && last.name == rest);
                    if !same && !rest.is_empty() {
                        let size = file.size.and_then(|size| u64::try_from(size).ok());
                        entries.push(Entry::file(rest, Some(file.added), size));
                    }
                    next = Some(if back { Cursor::Before(Some(file.relative_path)) } else { Cursor::After(file.relative_path) });
                }
            }
        }
        (entries, next)
    }
}
