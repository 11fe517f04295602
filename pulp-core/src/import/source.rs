//! Where an archive lies: one file, or the chunks that a table of contents lists.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::download::{FileDownloader, OpenError};
use crate::export::checksum;
use crate::tasks::ProgressReport;
use crate::{Error, Result};

/// The largest table of contents, in bytes.
const MOST_TOC: u64 = 16 << 20;

/// The most chunks.
const MOST_CHUNKS: usize = 100_000;

/// What is imported, as the client named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An archive.
    Path(String),
    /// A table of contents; the chunks lie beside it.
    Toc(String),
}

impl Source {
    /// The path that was named.
    pub fn path(&self) -> &str {
        match self {
            Self::Path(path) | Self::Toc(path) => path,
        }
    }
}

/// The bytes of an archive, in one piece or several.
#[derive(Debug)]
pub(super) struct Parts {
    /// Each with the place of its end.
    files: Vec<(File, u64)>,
}

#[derive(Debug, Deserialize)]
struct Toc {
    meta: Option<Json>,
    files: Option<Map<String, Json>>,
}

impl Parts {
    /// Opens an archive. Blocks.
    ///
    /// # Errors
    /// If a file is not there or not allowed; with a report, which counts the chunks, if one is not what the table of contents says.
    pub(super) fn open(allowed: &FileDownloader, source: &Source, verify: Option<&ProgressReport>) -> Result<Self> {
        let chunks = match source {
            Source::Path(path) => vec![PathBuf::from(path)],
            Source::Toc(path) => chunks(allowed, Path::new(path), verify)?,
        };
        let mut files = Vec::with_capacity(chunks.len());
        let mut end = 0_u64;
        for path in chunks {
            let (file, metadata) = open(allowed, &path)?;
            end = end.saturating_add(metadata.len());
            files.push((file, end));
        }
        Ok(Self { files })
    }

    /// Bytes of the whole.
    pub(super) fn size(&self) -> u64 {
        self.files.last().map_or(0, |(_, end)| *end)
    }

    /// Reads at a place; fewer bytes than the buffer has only at the end. Blocks.
    pub(super) fn read_at(&self, buffer: &mut [u8], mut at: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            let place = self.files.partition_point(|(_, end)| *end <= at);
            let Some((file, _)) = self.files.get(place) else { break };
            let start = place.checked_sub(1).and_then(|before| self.files.get(before)).map_or(0, |(_, end)| *end);
            let now = match file.read_at(&mut buffer[read..], at - start) {
                // It has become shorter than it was.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(now) => now,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // What a chunk has got since it was opened is none of ours.
            let left = self.files.get(place).map_or(0, |(_, end)| end - at);
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(now);
            read += now;
            at += now as u64;
        }
        Ok(read)
    }
}

/// A part of an archive, to be read.
pub(super) struct Slice<'a> {
    pub(super) parts: &'a Parts,
    pub(super) at: u64,
    pub(super) left: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.parts.read_at(&mut buffer[..most], self.at)?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

fn open(allowed: &FileDownloader, path: &Path) -> Result<(File, std::fs::Metadata)> {
    let shown = path.display();
    allowed.open_path(path).map_err(|error| {
        Error::BadRequest(match error {
            OpenError::NotAllowed => format!("path '{shown}' is not an allowed import path"),
            OpenError::NotRegular { directory: true } => format!("[Errno 21] Is a directory: '{shown}'"),
            OpenError::NotRegular { directory: false } => format!("'{shown}' is not a regular file"),
            OpenError::Changed => format!("'{shown}' was replaced while it was opened: try again"),
            OpenError::Io(error) => return crate::export::refused(&shown.to_string(), &error),
        })
    })
}

/// The chunks that a table of contents lists, in its order.
fn chunks(allowed: &FileDownloader, path: &Path, verify: Option<&ProgressReport>) -> Result<Vec<PathBuf>> {
    let (file, metadata) = open(allowed, path)?;
    let refused = |message: String| Err(Error::BadRequest(message));
    if metadata.len() > MOST_TOC {
        return refused(format!("the table of contents has more than {MOST_TOC} bytes"));
    }
    let toc: Toc = serde_json::from_reader(io::BufReader::new(file.take(MOST_TOC)))
        .map_err(|error| Error::BadRequest(format!("the table of contents cannot be read: {error}")))?;
    let (Some(_), Some(files)) = (toc.meta, toc.files) else {
        return refused("Missing 'files' or 'meta' keys in table-of-contents!".to_owned());
    };
    if files.is_empty() || files.len() > MOST_CHUNKS {
        return refused(format!("the table of contents lists {} files: it must list 1 to {MOST_CHUNKS}", files.len()));
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut chunks = Vec::with_capacity(files.len());
    let mut wrong = Vec::new();
    if let Some(report) = verify {
        report.set_total(i64::try_from(files.len()).unwrap_or(i64::MAX));
    }
    for (name, expected) in &files {
        if name.is_empty() || name.contains(['/', '\0']) || matches!(name.as_str(), "." | "..") {
            return refused(format!("the table of contents lists \"{}\", which is no name of a file beside it", name.escape_debug()));
        }
        let chunk = directory.join(name);
        if let Some(report) = verify {
            let expected = expected.as_str().unwrap_or_default();
            let actual = sum(&open(allowed, &chunk)?.0).map_err(|error| crate::export::refused(&chunk.display().to_string(), &error))?;
            if actual != expected {
                wrong.push(format!("'File {name} expected checksum : {expected}, computed checksum : {actual}'"));
            }
            report.increment();
        }
        chunks.push(chunk);
    }
    if wrong.is_empty() { Ok(chunks) } else { refused(format!("Import chunk hash mismatch: [{}]).", wrong.join(", "))) }
}

fn sum(mut file: &File) -> io::Result<String> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(checksum(hasher)),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
