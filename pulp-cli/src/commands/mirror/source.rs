//! What is mirrored: a manifest somewhere, or a local directory as it is.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use pulp_core::crypto::redact_url;
use pulp_core::plugins::file::manifest::{PULP_MANIFEST, check_path};
use url::Url;

use crate::error::{Error, Result};

/// A source, as far as its name tells.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) place: Place,
    /// User and password of the URL. They do not stay in it: a URL is shown and stored as it is.
    pub(super) login: Option<(String, String)>,
    /// The local directory, links resolved.
    directory: Option<PathBuf>,
    /// The name that the mirror gets unless it is told another.
    pub(super) name: String,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The address of a manifest, remote or local.
    Manifest(Url),
    /// The `file://` address of a directory without one.
    Directory(Url),
}

impl Source {
    /// Reads what the user named; `data` is the data directory, which cannot be mirrored into itself.
    pub(super) fn read(named: &str, data: &Path) -> Result<Self> {
        match Url::parse(named) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Self::remote(url),
            Ok(url) if url.scheme() == "file" => match url.to_file_path() {
                Ok(path) => Self::local(&path, data),
                Err(()) => Err(Error::usage(format!("'{named}': a file URL needs an absolute path: file:///srv/files"))),
            },
            // A file may have such a name.
            Ok(url) if named.contains("://") && !Path::new(named).exists() => {
                Err(Error::usage(format!("cannot mirror {}: its scheme must be http, https or file", redact_url(&url))))
            }
            _ => Self::local(Path::new(named), data),
        }
    }

    fn remote(mut url: Url) -> Result<Self> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        // Neither fails for a URL that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let names_manifest = url.path_segments().and_then(|mut parts| parts.next_back()).is_some_and(is_manifest);
        if let (false, Ok(mut parts)) = (names_manifest, url.path_segments_mut()) {
            parts.pop_if_empty().push(PULP_MANIFEST);
        }
        let parts: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
        let above = parts.iter().rev().nth(1).map(|part| decoded(part)).filter(|part| check_path(part).is_ok());
        let name = above.or_else(|| url.host_str().map(str::to_owned)).unwrap_or_else(|| "mirror".to_owned());
        Ok(Self { place: Place::Manifest(url), login, directory: None, name })
    }

    fn local(path: &Path, data: &Path) -> Result<Self> {
        let found = path.canonicalize().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                Error::usage(format!("there is no file or directory '{}'; a URL begins with http:// or https://", path.display()))
            }
            _ => Error::File { action: "read", path: path.to_owned(), source },
        })?;
        let manifest = if found.is_dir() { found.join(PULP_MANIFEST) } else { found.clone() };
        let directory = if found.is_dir() { found } else { found.parent().unwrap_or(&found).to_owned() };
        if data.canonicalize().is_ok_and(|data| directory.starts_with(data)) {
            return Err(Error::usage(format!("'{}' lies in the data directory itself; name another with --into", path.display())));
        }
        let url = |path: &Path| Url::from_file_path(path).map_err(|()| Error::usage(format!("'{}' is not a path", path.display())));
        let place = if manifest.is_file() { Place::Manifest(url(&manifest)?) } else { Place::Directory(url(&directory)?) };
        let last = directory.file_name().and_then(|name| name.to_str()).filter(|name| check_path(name).is_ok());
        let name = last.unwrap_or("mirror").to_owned();
        Ok(Self { place, login: None, directory: Some(directory), name })
    }

    /// Its address, without credentials.
    pub(super) fn url(&self) -> &Url {
        match &self.place {
            Place::Manifest(url) | Place::Directory(url) => url,
        }
    }

    /// The local directory that is read.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// For people: a path, or a URL without what grants access.
    pub(super) fn shown(&self) -> String {
        match (&self.place, &self.directory) {
            (Place::Directory(_), Some(directory)) => directory.display().to_string(),
            (place, _) => match place {
                Place::Manifest(url) | Place::Directory(url) => redact_url(url),
            },
        }
    }
}

/// Whether the last part of a URL’s path is a manifest rather than a directory.
fn is_manifest(part: &str) -> bool {
    part.to_ascii_lowercase().contains("manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(url: &str) -> (String, String) {
        let source = Source::read(url, Path::new("pulp-data")).unwrap();
        (source.url().to_string(), source.name)
    }

    fn pair(url: &str, name: &str) -> (String, String) {
        (url.to_owned(), name.to_owned())
    }

    #[test]
    fn a_url_names_a_manifest_or_a_directory() {
        assert_eq!(remote("http://h/a/isos/PULP_MANIFEST"), pair("http://h/a/isos/PULP_MANIFEST", "isos"));
        assert_eq!(remote("http://h/a/isos/"), pair("http://h/a/isos/PULP_MANIFEST", "isos"));
        assert_eq!(remote("http://h/a/isos-8.2"), pair("http://h/a/isos-8.2/PULP_MANIFEST", "isos-8.2"));
        assert_eq!(remote("https://h/my%20isos?token=x#y"), pair("https://h/my%20isos/PULP_MANIFEST?token=x", "my isos"));
        assert_eq!(remote("http://h/x/other.manifest"), pair("http://h/x/other.manifest", "x"));
        assert_eq!(remote("http://h"), pair("http://h/PULP_MANIFEST", "h"));
        assert_eq!(remote("http://h/a%2fb/"), pair("http://h/a%2fb/PULP_MANIFEST", "a/b"));
        assert_eq!(remote("http://h/%2e%2e%2fb/").1, "h", "a name that is no path is not taken");
    }

    #[test]
    fn credentials_leave_the_url() {
        let source = Source::read("https://us%40er:p%3Aw@h/isos/", Path::new("pulp-data")).unwrap();
        assert_eq!(source.url().as_str(), "https://h/isos/PULP_MANIFEST");
        assert_eq!(source.login, Some(("us@er".to_owned(), "p:w".to_owned())));
        assert!(!source.shown().contains("p:w"));
    }

    #[test]
    fn a_directory_has_a_manifest_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().canonicalize().unwrap().join("my isos");
        std::fs::create_dir(&tree).unwrap();
        let data = dir.path().join("data");
        let plain = Source::read(tree.to_str().unwrap(), &data).unwrap();
        assert_eq!((plain.place.clone(), plain.name.as_str()), (Place::Directory(Url::from_file_path(&tree).unwrap()), "my isos"));
        assert_eq!(plain.directory(), Some(tree.as_path()));
        let manifest = tree.join(PULP_MANIFEST);
        std::fs::write(&manifest, "").unwrap();
        let place = Place::Manifest(Url::from_file_path(&manifest).unwrap());
        assert_eq!(Source::read(tree.to_str().unwrap(), &data).unwrap().place, place);
        assert_eq!(Source::read(manifest.to_str().unwrap(), &data).unwrap().place, place);
        assert_eq!(Source::read(Url::from_directory_path(&tree).unwrap().as_str(), &data).unwrap().place, place);
    }

    #[test]
    fn what_cannot_be_mirrored_is_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let fails = |named: &str| Source::read(named, dir.path()).err().unwrap().to_string();
        assert!(fails("ftp://user:secret@h/x").contains("http, https or file"));
        assert!(!fails("ftp://user:secret@h/x").contains("secret"));
        assert!(fails("/no/such/directory").contains("'/no/such/directory'"));
        assert!(fails("example.com/isos").contains("http://"));
        assert!(fails(dir.path().to_str().unwrap()).contains("--into"));
    }
}
