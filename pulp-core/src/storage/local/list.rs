//! Walking the directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::super::{ArtifactPath, Result, StorageError, io::blocking};

/// What is known and what is still to be read; one directory at a time, so that memory is that of the largest one.
struct Walk {
    root: PathBuf,
    directories: Vec<String>,
    files: std::vec::IntoIter<ArtifactPath>,
}

pub(super) fn list(root: PathBuf, prefix: &str) -> BoxStream<'static, Result<ArtifactPath>> {
    let prefix = match ArtifactPath::check_prefix(prefix) {
        Ok(prefix) => prefix.to_owned(),
        Err(error) => return stream::iter([Err(error.into())]).boxed(),
    };
    let walk = Walk { root, directories: vec![prefix], files: Vec::new().into_iter() };
    stream::try_unfold(walk, |mut walk| async move {
        loop {
            if let Some(file) = walk.files.next() {
                return Ok(Some((file, walk)));
            }
            let Some(directory) = walk.directories.pop() else {
                return Ok(None);
            };
            walk = blocking(move || {
                let (directories, files) =
                    read(&walk.root, &directory).map_err(|error| StorageError::io(format!("directory `{directory}`"), error))?;
                walk.directories.extend(directories);
                walk.files = files.into_iter();
                Ok(walk)
            })
            .await?;
        }
    })
    .boxed()
}

/// The directories and the files in one directory.
fn read(root: &Path, directory: &str) -> io::Result<(Vec<String>, Vec<ArtifactPath>)> {
    let (mut directories, mut files) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(root.join(directory)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok((directories, files));
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        let Ok(checked) = path.parse::<ArtifactPath>() else {
            continue;
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            directories.push(path);
        } else if kind.is_file() {
            files.push(checked);
        }
    }
    Ok((directories, files))
}
