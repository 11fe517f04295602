//! Writing an archive: a tar file, in one piece or in chunks of one size, with a checksum of each.
//!
//! The format is that of Pulp’s exports: POSIX headers, metadata of no owner and no time, files of the storage by the paths
//! that they have there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crc32fast::Hasher;

use super::directory::{Directory, refused};
use crate::{Error, Result};

/// How much is handed to the disk at once.
const BLOCK: usize = 1 << 20;

/// A tar file ends at a multiple of this.
const RECORD: u64 = 10_240;

/// A tar file that is being written, in one piece or in chunks. Dropped before its end, it is removed.
#[derive(Debug)]
pub(super) struct ArchiveWriter {
    /// Of the directory, as the client named it.
    shown: String,
    chunks: Option<Chunks>,
    buffer: BytesMut,
    /// Bytes so far.
    written: u64,
}

/// The files, as far as they are written.
#[derive(Debug)]
struct Chunks {
    directory: Arc<Directory>,
    name: String,
    size: Option<u64>,
    file: Option<File>,
    left: u64,
    checksum: Hasher,
    complete: Vec<(String, String)>,
    written: Written,
}

impl ArchiveWriter {
    /// Begins a file of this name; with a size, chunks of it.
    pub(super) fn begin(directory: Arc<Directory>, shown: &str, name: String, chunk_size: Option<u64>) -> Self {
        let chunks = Chunks {
            directory: Arc::clone(&directory),
            name,
            size: chunk_size,
            file: None,
            left: 0,
            checksum: Hasher::new(),
            complete: Vec::new(),
            written: Written::new(directory, []),
        };
        Self { shown: shown.to_owned(), chunks: Some(chunks), buffer: BytesMut::new(), written: 0 }
    }

    /// Begins a member; its bytes follow by [`write`](Self::write), and [`end_member`](Self::end_member).
    pub(super) async fn member(&mut self, name: &str, size: u64, modified: u64) -> Result<()> {
        if name.len() > 100 || !name.is_ascii() {
            let record = extended("path", name);
            let header = header("././@PaxHeader", tar::EntryType::XHeader, record.len() as u64, 0);
            self.write(header).await?;
            self.write(record.into()).await?;
            self.end_member().await?;
        }
        let header = header(name, tar::EntryType::Regular, size, modified);
        self.write(header).await
    }

    /// Appends bytes.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.written += bytes.len() as u64;
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= BLOCK { self.flush().await } else { Ok(()) }
    }

    /// Fills a member up.
    pub(super) async fn end_member(&mut self) -> Result<()> {
        self.pad(512).await
    }

    async fn pad(&mut self, to: u64) -> Result<()> {
        let over = self.written % to;
        if over == 0 {
            return Ok(());
        }
        let zeros = usize::try_from(to - over).unwrap_or_default();
        self.write(Bytes::from(vec![0; zeros])).await
    }

    /// The file’s end; its chunks by name, each with its checksum, in order. They are removed if the guard is dropped.
    pub(super) async fn finish(mut self) -> Result<(Vec<(String, String)>, Written)> {
        self.write(Bytes::from_static(&[0; 1024])).await?;
        self.pad(RECORD).await?;
        self.flush().await?;
        let Some(mut chunks) = self.chunks.take() else { return Err(lost()) };
        let ended = tokio::task::spawn_blocking(move || chunks.end().map(|()| (chunks.complete, chunks.written))).await;
        ended.map_err(|error| Error::Internal(error.to_string()))?.map_err(|error| refused(&self.shown, &error))
    }

    async fn flush(&mut self) -> Result<()> {
        let Some(mut chunks) = self.chunks.take() else { return Err(lost()) };
        let bytes = self.buffer.split().freeze();
        let written = tokio::task::spawn_blocking(move || (chunks.write(&bytes), chunks)).await;
        let (written, chunks) = written.map_err(|error| Error::Internal(error.to_string()))?;
        self.chunks = Some(chunks);
        written.map_err(|error| refused(&self.shown, &error))
    }
}

fn lost() -> Error {
    Error::Internal("a write to an archive was given up".to_owned())
}

impl Chunks {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.file.is_none() {
                self.next()?;
            }
            let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(now);
            if let Some(file) = &mut self.file {
                file.write_all(part)?;
            }
            self.checksum.update(part);
            self.left -= now as u64;
            bytes = rest;
            if self.left == 0 {
                self.end()?;
            }
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<()> {
        let name = match self.size {
            Some(_) => format!("{}.{:04}", self.name, self.complete.len()),
            None => self.name.clone(),
        };
        self.file = Some(self.directory.create(OsStr::new(&name))?);
        self.written.names.push(name.into());
        self.left = self.size.unwrap_or(u64::MAX);
        self.checksum = Hasher::new();
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        file.sync_all()?;
        let name = self.written.names.last().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.complete.push((name, checksum(self.checksum.clone())));
        Ok(())
    }
}

/// A checksum as Pulp writes it: hexadecimal digits, without zeros at its start.
pub(crate) fn checksum(hasher: Hasher) -> String {
    format!("{:x}", hasher.finalize())
}

fn header(name: &str, kind: tar::EntryType, size: u64, modified: u64) -> Bytes {
    let mut header = tar::Header::new_ustar();
    // Not `set_path`: it would refuse what the extended header says anyway.
    let short: Vec<u8> = name.bytes().map(|byte| if byte.is_ascii() { byte } else { b'?' }).take(100).collect();
    let field = header.as_old_mut();
    field.name[..short.len()].copy_from_slice(&short);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(modified);
    header.set_size(size);
    header.set_cksum();
    Bytes::copy_from_slice(header.as_bytes())
}

/// A record of an extended header: its length, which counts itself, a key and a value.
fn extended(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

/// Files that were written, to be removed again unless all is well in the end.
#[derive(Debug)]
pub(super) struct Written {
    directory: Arc<Directory>,
    names: Vec<OsString>,
}

impl Written {
    /// These files of a directory.
    pub(super) fn new(directory: Arc<Directory>, names: impl IntoIterator<Item = String>) -> Self {
        Self { directory, names: names.into_iter().map(OsString::from).collect() }
    }

    /// They stay.
    pub(super) fn keep(mut self) {
        self.names.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for name in &self.names {
            if let Err(error) = self.directory.remove(name) {
                tracing::warn!(path = %self.directory.path().join(name).display(), %error, "what a failed export has written stays");
            }
        }
    }
}
