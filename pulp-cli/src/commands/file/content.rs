//! `pulp file content`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::repository_content::{add_units, as_href};
use super::{REPOSITORIES, one_type_group};
use crate::client::Query;
use crate::commands::label::LabelCommand;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::{LabelFilter, Page};
use crate::lookup::Lookup;
use crate::progress;
use crate::reference::{Reference, TypedReference};
use crate::resource::{Body, Kind, text};
use crate::size::Size;
use crate::upload::{self, ARTIFACT, LocalFile};

/// Content units: a file at a path.
pub(super) static CONTENT: Kind = Kind::known("file content", "content/file/files/");

/// How many files of a directory are on their way at once.
const UPLOADS_AT_ONCE: usize = 4;

/// How many files of a directory are taken.
const DIRECTORY_LIMIT: usize = 1_000_000;

one_type_group!(
    /// `pulp file content`
    ContentGroup, ContentCommand
);

#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// List content units
    List(List),
    /// Show a content unit
    Show(ContentLookup),
    /// Make a content unit of an artifact that is there, or of a file that the server is to fetch
    Create(Create),
    /// Upload a file, or all files of a directory, and make content units of them
    Upload(Upload),
    /// Labels of a content unit
    #[command(subcommand)]
    Label(LabelCommand<ContentLookup>),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    /// Only those at this path
    #[arg(long, value_name = "PATH")]
    relative_path: Option<String>,
    /// Only those with this SHA-256 digest
    #[arg(long)]
    sha256: Option<String>,
    #[command(flatten)]
    label: LabelFilter,
    /// Only those in this repository version, by href or PRN
    #[arg(long, value_name = "HREF|PRN")]
    repository_version: Option<String>,
    /// Only those that this repository version added
    #[arg(long, value_name = "HREF|PRN")]
    repository_version_added: Option<String>,
    /// Only those that this repository version removed
    #[arg(long, value_name = "HREF|PRN")]
    repository_version_removed: Option<String>,
}

/// Names a content unit: by its href or PRN, or by digest and path.
#[derive(Debug, Args)]
pub(crate) struct ContentLookup {
    /// Href or PRN of the content unit
    #[arg(long, required_unless_present = "sha256", conflicts_with_all = ["sha256", "relative_path"])]
    href: Option<String>,
    /// Path of the content unit
    #[arg(long, value_name = "PATH", requires = "sha256")]
    relative_path: Option<String>,
    /// SHA-256 digest of the file
    #[arg(long, requires = "relative_path")]
    sha256: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Path of the content unit
    #[arg(long, value_name = "PATH")]
    relative_path: String,
    /// SHA-256 digest of the artifact
    #[arg(long, required_unless_present = "file_url", conflicts_with = "file_url")]
    sha256: Option<String>,
    /// URL that the server is to fetch the file from
    #[arg(long, value_name = "URL")]
    file_url: Option<String>,
    /// Repository to add it to: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long)]
    repository: Option<TypedReference>,
}

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The file
    #[arg(long, requires = "relative_path", required_unless_present = "directory", conflicts_with = "directory")]
    file: Option<PathBuf>,
    /// Directory whose files to upload, with those of its directories
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Path of the content unit; for a directory, what to put before the path of each file in it
    #[arg(long, value_name = "PATH")]
    relative_path: Option<String>,
    /// Upload files above this size in pieces of it, like 1MB
    #[arg(long, value_name = "SIZE")]
    chunk_size: Option<Size>,
    /// Repository to add them to, in one new version: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long)]
    repository: Option<TypedReference>,
}

impl ContentCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &CONTENT).await?),
            Self::Create(create) => create.exec(cx).await,
            Self::Upload(upload) => match &upload.directory {
                Some(directory) => upload.directory(cx, directory).await,
                None => upload.file(cx).await,
            },
            Self::Label(command) => command.exec(cx, &CONTENT).await,
        }
    }
}

impl List {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let filters = Query::new()
            .with("relative_path", self.relative_path.as_deref())
            .with("sha256", self.sha256.as_deref())
            .with("repository_version", self.repository_version.as_deref())
            .with("repository_version_added", self.repository_version_added.as_deref())
            .with("repository_version_removed", self.repository_version_removed.as_deref());
        self.page.exec(cx, CONTENT.path(), filters.and(self.label.query())).await
    }
}

impl Lookup for ContentLookup {
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String> {
        match self.by_href() {
            Some(reference) => cx.href(kind, &reference).await,
            None => Ok(text(&self.find(cx, kind).await?, "pulp_href")?.to_owned()),
        }
    }

    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value> {
        match (self.by_href(), &self.sha256, &self.relative_path) {
            (Some(reference), ..) => cx.find(kind, &reference).await,
            (None, Some(sha256), Some(path)) => by_key(cx, sha256, path).await,
            _ => Err(Error::usage("name the content: --href, or --sha256 and --relative-path")),
        }
    }
}

impl ContentLookup {
    fn by_href(&self) -> Option<Reference> {
        let href = self.href.as_deref()?;
        Some(match href.parse() {
            Ok(prn @ Reference::Prn(_)) => prn,
            _ => Reference::Href(href.to_owned()),
        })
    }
}

/// The content unit with the digest and the path.
async fn by_key(cx: &Context, sha256: &str, relative_path: &str) -> Result<Value> {
    let query = Query::new().with("sha256", Some(sha256)).with("relative_path", Some(relative_path));
    let criteria = format!("sha256 '{sha256}' and relative path '{relative_path}'");
    cx.find_one(&CONTENT, &query, &criteria).await
}

/// The href of the content unit with the digest and the path.
pub(super) async fn find_unit(cx: &Context, sha256: &str, relative_path: &str) -> Result<String> {
    Ok(text(&by_key(cx, sha256, relative_path).await?, "pulp_href")?.to_owned())
}

impl Create {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let artifact = match &self.sha256 {
            Some(sha256) => {
                let artifact = upload::existing_artifact(cx, sha256)
                    .await?
                    .ok_or_else(|| Error::NotFound { noun: ARTIFACT.noun().to_owned(), criteria: format!("sha256 '{sha256}'") })?;
                Some(text(&artifact, "pulp_href")?.to_owned())
            }
            None => None,
        };
        let body = Body::new()
            .with("relative_path", Some(&self.relative_path))
            .with("artifact", artifact)
            .with("file_url", self.file_url.as_ref())
            .with("repository", cx.target_if(&REPOSITORIES, self.repository.as_ref()).await?);
        cx.create(&CONTENT, body).await
    }
}

impl Upload {
    async fn file(&self, cx: &Context) -> Result<()> {
        let (Some(path), Some(relative_path)) = (&self.file, &self.relative_path) else {
            return Err(Error::usage("give --file and --relative-path, or --directory"));
        };
        let repository = cx.target_if(&REPOSITORIES, self.repository.as_ref()).await?;
        let file = LocalFile::open(path).await?;
        let fields = Body::new().with("relative_path", Some(relative_path)).with("repository", repository);
        match upload::content(cx, &CONTENT, &file, self.limit(cx), fields.into()).await? {
            Some(content) => cx.print(&content),
            None => Ok(()),
        }
    }

    fn limit(&self, cx: &Context) -> Option<Size> {
        self.chunk_size.or(cx.chunk_size)
    }

    async fn directory(&self, cx: &Context, directory: &Path) -> Result<()> {
        if cx.background {
            return Err(Error::usage("--background: a directory is uploaded file by file, which has to be waited for"));
        }
        let repository = cx.target_if(&REPOSITORIES, self.repository.as_ref()).await?;
        let files = files_below(directory, self.relative_path.as_deref().unwrap_or_default())?;
        let bar = progress::count(files.len() as u64, "Files");
        // The tasks of the single files would only clutter the screen.
        let quiet = cx.quiet();
        let units: Vec<Value> = futures::stream::iter(files)
            .map(|(path, relative_path)| {
                let (quiet, bar) = (&quiet, &bar);
                async move {
                    let file = LocalFile::open(&path).await?;
                    let fields = json!({ "relative_path": relative_path });
                    let unit = upload::content(quiet, &CONTENT, &file, self.limit(cx), fields).await?;
                    bar.inc(1);
                    Ok::<_, Error>(unit.unwrap_or(Value::Null))
                }
            })
            .buffered(UPLOADS_AT_ONCE)
            .try_collect()
            .await?;
        bar.finish_and_clear();
        if let Some(repository) = repository {
            let hrefs = units.iter().map(|unit| Ok(text(unit, "pulp_href")?.to_owned())).collect::<Result<Vec<_>>>()?;
            add_units(cx, as_href(&repository)?, &hrefs).await?;
        }
        cx.print(&units.into())
    }
}

/// The files below the directory in the order of their paths, each with its path as a content unit: `/` between the
/// parts, `prefix` before it. Links are followed to files, and not to directories, which could lead in circles.
fn files_below(directory: &Path, prefix: &str) -> Result<Vec<(PathBuf, String)>> {
    let failed = |path: &Path, source| Error::File { action: "read", path: path.to_owned(), source };
    let prefix = match prefix.trim_end_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let mut files = Vec::new();
    let mut open = vec![(directory.to_owned(), prefix)];
    while let Some((directory, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&directory).map_err(|error| failed(&directory, error))? {
            let entry = entry.map_err(|error| failed(&directory, error))?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| Error::usage(format!("the name of '{}' is not UTF-8: rename it or leave it out", path.display())))?;
            let relative = format!("{prefix}{name}");
            let real = entry.file_type().map_err(|error| failed(&path, error))?;
            if real.is_dir() {
                open.push((path, format!("{relative}/")));
            } else if std::fs::metadata(&path).map_err(|error| failed(&path, error))?.is_file() {
                files.push((path, relative));
            }
            if files.len() > DIRECTORY_LIMIT {
                return Err(Error::usage(format!("more than {DIRECTORY_LIMIT} files: upload the directories below one by one")));
            }
        }
    }
    files.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_walked_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("b/c")).unwrap();
        for name in ["z", "b/c/d", "a"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        let names = |prefix| files_below(root, prefix).unwrap().into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(""), ["a", "b/c/d", "z"]);
        assert_eq!(names("x/"), ["x/a", "x/b/c/d", "x/z"]);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = files_below(Path::new("/no/such"), "").unwrap_err().to_string();
        assert!(error.contains("/no/such"), "{error}");
    }
}
