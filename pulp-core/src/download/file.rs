//! Reading `file://` URLs, as far as the operator allows it.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use super::{Download, DownloadError, DownloadRequest, Downloader, RedactedUrl, StrongValidator};

const CHUNK: u64 = 256 * 1024;

/// Reads local files under the allowed import paths, and nothing else: not through `..`, not through a
/// symbolic link that leads out. Each request looks again, for links change.
#[derive(Debug, Clone, Default)]
pub struct FileDownloader {
    allowed: Vec<PathBuf>,
}

impl FileDownloader {
    /// Allows what is under the directories of `allowed` (the setting `ALLOWED_IMPORT_PATHS`). With none,
    /// every request is refused.
    #[must_use]
    pub fn new(allowed: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { allowed: allowed.into_iter().collect() }
    }

    /// Whether `path`, with links resolved, is under an allowed directory, with links resolved.
    fn allows(&self, path: &Path) -> bool {
        self.allowed.iter().filter_map(|root| root.canonicalize().ok()).any(|root| path.starts_with(root))
    }

    /// Whether a path, with links resolved as far as it exists, is under an allowed directory. Blocks.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        let plain = path.is_absolute() && !path.components().any(|part| matches!(part, std::path::Component::ParentDir));
        plain && self.allows(&path.canonicalize().unwrap_or_else(|_| lexical(path)))
    }

    /// Opens a file under an allowed directory. Blocks.
    pub(crate) fn open_path(&self, path: &Path) -> Result<(File, Metadata), OpenError> {
        // A NUL, for one, cannot be in a path; such a name is simply not there.
        let resolved = match path.canonicalize() {
            Ok(resolved) => resolved,
            // Whether something exists outside must not show.
            Err(_) if !self.allows(&lexical(path)) => return Err(OpenError::NotAllowed),
            Err(error) => return Err(OpenError::Io(error)),
        };
        if !self.allows(&resolved) {
            return Err(OpenError::NotAllowed);
        }
        let before = resolved.symlink_metadata().map_err(OpenError::Io)?;
        // Opening a pipe would wait for a writer; a device is no file to mirror.
        if !before.is_file() {
            return Err(OpenError::NotRegular { directory: before.is_dir() });
        }
        let file = File::open(&resolved).map_err(OpenError::Io)?;
        let opened = file.metadata().map_err(OpenError::Io)?;
        // What was checked must be what was opened, though somebody may swap links in between.
        if (opened.dev(), opened.ino()) != (before.dev(), before.ino()) {
            return Err(OpenError::Changed);
        }
        Ok((file, opened))
    }

    fn open(&self, url: &Url) -> Result<(File, Metadata), DownloadError> {
        let shown = || RedactedUrl::new(url);
        let path = url.to_file_path().map_err(|()| DownloadError::InvalidUrl {
            url: shown(),
            reason: "not a local path: use file:/// and an absolute path".to_owned(),
        })?;
        self.open_path(&path).map_err(|error| match error {
            OpenError::NotAllowed => DownloadError::NotAllowed { url: shown() },
            OpenError::NotRegular { .. } => DownloadError::Read { url: shown(), detail: "not a regular file".to_owned() },
            OpenError::Changed => DownloadError::Changed { url: shown() },
            OpenError::Io(error) => failure(shown(), &error),
        })
    }
}

/// Why a local file is not read.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// It is under no allowed directory.
    NotAllowed,
    /// It is a directory, a pipe or a device.
    NotRegular {
        /// Whether it is a directory.
        directory: bool,
    },
    /// Somebody put another file in its place just now.
    Changed,
    /// The system says so.
    Io(io::Error),
}

/// The nearest part of the path that exists, resolved: enough to say whether a missing file is inside.
fn lexical(path: &Path) -> PathBuf {
    path.ancestors().skip(1).find_map(|parent| parent.canonicalize().ok()).unwrap_or_default()
}

fn failure(url: RedactedUrl, error: &io::Error) -> DownloadError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => DownloadError::NotFound { url },
        kind => DownloadError::Read { url, detail: kind.to_string() },
    }
}

#[async_trait]
impl Downloader for FileDownloader {
    async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
        let shown = request.redacted();
        if request.url.scheme() != "file" {
            return Err(DownloadError::InvalidUrl { url: shown, reason: "not a file:// URL".to_owned() });
        }
        let this = self.clone();
        let url = request.url.clone();
        let (file, metadata) = blocking(shown.clone(), move || this.open(&url)).await??;
        let size = metadata.len();
        let tag = entity_tag(&metadata);
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, tag.clone());
        let answer = |status, offset, end: u64| {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - offset));
            Download {
                url: request.url.clone(),
                status,
                headers: std::mem::take(&mut headers),
                offset,
                content_length: Some(end - offset),
                complete_length: Some(size),
                validator: Some(StrongValidator::new(tag.clone())),
                body: read(Arc::new(file), shown.clone(), offset, end).boxed(),
            }
        };
        if request.if_none_match.as_ref() == Some(&tag) {
            return Ok(answer(StatusCode::NOT_MODIFIED, 0, 0));
        }
        let unchanged = request.if_range.as_ref().is_none_or(|validator| *validator.header() == tag);
        match request.range.filter(|_| unchanged) {
            None => Ok(answer(StatusCode::OK, 0, size)),
            Some(range) => {
                let end = range.end.unwrap_or(size).min(size);
                if range.start >= end {
                    return Err(DownloadError::RangeNotSatisfiable { url: shown });
                }
                Ok(answer(StatusCode::PARTIAL_CONTENT, range.start, end))
            }
        }
    }
}

/// Changes whenever the file is written or replaced.
fn entity_tag(metadata: &Metadata) -> HeaderValue {
    let text = format!("\"{:x}-{:x}-{:x}.{:x}\"", metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    // Hexadecimal digits always are a header value.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn read(
    file: Arc<File>,
    url: RedactedUrl,
    start: u64,
    end: u64,
) -> impl stream::Stream<Item = Result<Bytes, DownloadError>> + Send + 'static {
    stream::try_unfold(start, move |at| {
        let (file, url) = (file.clone(), url.clone());
        async move {
            if at >= end {
                return Ok(None);
            }
            let wanted = (end - at).min(CHUNK);
            let bytes = blocking(url.clone(), move || read_at(&file, at, wanted)).await?.map_err(|error| failure(url.clone(), &error))?;
            if bytes.is_empty() {
                // Somebody cut the file while it was read.
                return Err(DownloadError::Truncated { url, expected: Some(end - start), got: at - start });
            }
            let next = at + bytes.len() as u64;
            Ok(Some((bytes, next)))
        }
    })
}

fn read_at(file: &File, at: u64, wanted: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(CHUNK as usize)];
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(n) => {
                buffer.truncate(n);
                return Ok(buffer.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

async fn blocking<T: Send + 'static>(url: RedactedUrl, work: impl FnOnce() -> T + Send + 'static) -> Result<T, DownloadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| DownloadError::Read { url, detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::ByteRange;
    use futures::TryStreamExt as _;

    struct Tree {
        dir: tempfile::TempDir,
    }

    impl Tree {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("in/deep")).unwrap();
            std::fs::write(dir.path().join("in/deep/a b"), b"0123456789").unwrap();
            std::fs::write(dir.path().join("secret"), b"secret").unwrap();
            Self { dir }
        }

        fn url(&self, path: &str) -> Url {
            Url::parse(&format!("file://{}/{path}", self.dir.path().display())).unwrap()
        }

        async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
            FileDownloader::new([self.dir.path().join("in")]).get(request).await
        }

        async fn fetch(&self, path: &str) -> Result<Download, DownloadError> {
            self.get(DownloadRequest::new(self.url(path))).await
        }
    }

    async fn body(download: Download) -> Vec<u8> {
        let chunks: Vec<Bytes> = download.body.try_collect().await.unwrap();
        chunks.concat()
    }

    #[tokio::test]
    async fn reads_whole_and_in_part() {
        let tree = Tree::new();
        let whole = tree.fetch("in/deep/a%20b").await.unwrap();
        assert_eq!(whole.content_length, Some(10));
        let validator = whole.validator.clone();
        assert_eq!(body(whole).await, b"0123456789");

        let range = ByteRange { start: 4, end: Some(6) };
        let url = tree.url("in/deep/a%20b");
        let part = tree.get(DownloadRequest::new(url.clone()).range(range, validator)).await.unwrap();
        assert_eq!((part.offset, part.complete_length), (4, Some(10)));
        assert_eq!(body(part).await, b"45");

        let beyond = DownloadRequest::new(url).range(ByteRange::from(10), None);
        let error = tree.get(beyond).await.unwrap_err();
        assert!(matches!(error, DownloadError::RangeNotSatisfiable { .. }));
    }

    #[tokio::test]
    async fn a_changed_file_is_given_whole() {
        let tree = Tree::new();
        let validator = tree.fetch("in/deep/a%20b").await.unwrap().validator;
        std::fs::write(tree.dir.path().join("in/deep/a b"), b"another one").unwrap();
        let request = DownloadRequest::new(tree.url("in/deep/a%20b")).range(ByteRange::from(4), validator.clone());
        let again = tree.get(request).await.unwrap();
        assert_eq!((again.status, again.offset), (StatusCode::OK, 0));
        assert_eq!(body(again).await, b"another one");
    }

    #[tokio::test]
    async fn an_unchanged_file_is_not_sent_again() {
        let tree = Tree::new();
        let mut request = DownloadRequest::new(tree.url("in/deep/a%20b"));
        let first = tree.get(request.clone()).await.unwrap();
        request.if_none_match = first.headers.get(header::ETAG).cloned();
        let second = tree.get(request).await.unwrap();
        assert!(second.not_modified());
        assert_eq!(body(second).await, b"");
    }

    #[tokio::test]
    async fn nothing_outside_is_read_nor_told_apart() {
        let tree = Tree::new();
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, tree.dir.path().join("in").join(name)).unwrap();
        };
        link("../secret", "link");
        link("..", "up");
        for path in ["secret", "in/../secret", "in/%2e%2e/secret", "in/..%2fsecret", "in/link", "in/up/secret", "in/up/missing", "missing"]
        {
            let error = tree.fetch(path).await.unwrap_err();
            assert!(matches!(error, DownloadError::NotAllowed { .. }), "{path}: {error}");
        }
    }

    #[tokio::test]
    async fn links_inside_are_followed() {
        let tree = Tree::new();
        std::os::unix::fs::symlink("deep/a b", tree.dir.path().join("in/link")).unwrap();
        assert_eq!(body(tree.fetch("in/link").await.unwrap()).await, b"0123456789");
    }

    #[tokio::test]
    async fn missing_files_directories_and_other_hosts_are_named_errors() {
        let tree = Tree::new();
        let error = tree.fetch("in/missing").await.unwrap_err();
        assert!(matches!(error, DownloadError::NotFound { .. }), "{error}");
        let error = tree.fetch("in/deep").await.unwrap_err();
        assert!(matches!(error, DownloadError::Read { .. }), "{error}");
        let error = tree.fetch("in/a%00b").await.unwrap_err();
        assert!(matches!(error, DownloadError::NotFound { .. }), "{error}");
        let elsewhere = Url::parse("file://elsewhere/in/deep").unwrap();
        let error = tree.get(DownloadRequest::new(elsewhere)).await.unwrap_err();
        assert!(matches!(error, DownloadError::InvalidUrl { .. }), "{error}");
    }

    #[tokio::test]
    async fn nothing_is_allowed_by_default() {
        let tree = Tree::new();
        let request = DownloadRequest::new(tree.url("in/deep/a%20b"));
        let error = FileDownloader::default().get(request).await.unwrap_err();
        assert!(matches!(error, DownloadError::NotAllowed { .. }));
    }
}
