//! Files from this machine to the server.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::progress;
use crate::resource::{Kind, text};
use crate::size::Size;

/// Artifacts: files without a place in a repository.
pub(crate) static ARTIFACT: Kind = Kind::known("artifact", "artifacts/");

/// How much of a file is read at once.
const PIECE: usize = 256 << 10;

/// A file to upload, read once for its digest.
#[derive(Debug, Clone)]
pub(crate) struct LocalFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// In lower case hexadecimal.
    pub(crate) sha256: String,
}

impl LocalFile {
    /// Measures the file and computes its digest.
    ///
    /// # Errors
    /// When the file cannot be read, or is a directory.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let owned = path.to_owned();
        let failed = |source| Error::File { action: "read", path: path.to_owned(), source };
        tokio::task::spawn_blocking(move || digest(&owned))
            .await
            .map_err(|error| failed(std::io::Error::other(error)))?
            .map(|(size, sha256)| Self { path: path.to_owned(), size, sha256 })
            .map_err(failed)
    }

    /// Whether the file is to be uploaded in pieces, and of what size.
    pub(crate) fn chunks(&self, limit: Option<Size>) -> Option<Size> {
        limit.filter(|limit| self.size > limit.get())
    }

    /// The bytes of the file from `start` on, `length` of them, as a part of a form. `bar` sees them pass.
    pub(crate) async fn part(&self, start: u64, length: u64, bar: &indicatif::ProgressBar) -> Result<Part> {
        let failed = |source| Error::File { action: "read", path: self.path.clone(), source };
        let mut file = tokio::fs::File::open(&self.path).await.map_err(failed)?;
        file.seek(std::io::SeekFrom::Start(start)).await.map_err(failed)?;
        let bar = bar.clone();
        let stream = ReaderStream::with_capacity(file.take(length), PIECE).inspect(move |piece| {
            if let Ok(piece) = piece {
                bar.inc(piece.len() as u64);
            }
        });
        let name = self.path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
        Ok(Part::stream_with_length(Body::wrap_stream(stream), length).file_name(name))
    }
}

fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut size = 0;
    loop {
        let got = file.read(&mut buffer)?;
        let Some(piece) = buffer.get(..got).filter(|piece| !piece.is_empty()) else {
            return Ok((size, hex::encode(hasher.finalize())));
        };
        hasher.update(piece);
        size += piece.len() as u64;
    }
}

/// The pieces of a file: where each starts, and how long it is.
fn pieces(size: u64, chunk: Size) -> impl Iterator<Item = (u64, u64)> {
    let chunk = chunk.get();
    (0..size.div_ceil(chunk)).map(move |index| {
        let start = index * chunk;
        (start, chunk.min(size - start))
    })
}

/// The artifact with the digest, if the server has it.
///
/// # Errors
/// When the server refuses.
pub(crate) async fn existing_artifact(cx: &Context, sha256: &str) -> Result<Option<Value>> {
    let query = Query::new().with("sha256", Some(sha256));
    Ok(cx.list(ARTIFACT.path(), &query, 1, 0).await?.0.pop())
}

/// Uploads the file as an artifact, in pieces if it is above the limit.
///
/// # Errors
/// When the file changes or cannot be read, or the server refuses. What was uploaded of it is removed again.
pub(crate) async fn artifact(cx: &Context, file: &LocalFile, limit: Option<Size>) -> Result<Value> {
    match file.chunks(limit) {
        Some(chunk) => artifact_in_pieces(cx, file, chunk).await,
        None => {
            let bar = progress::bytes(cx.quiet, file.size, "Uploading");
            let form = Form::new().part("file", file.part(0, file.size, &bar).await?).text("sha256", file.sha256.clone());
            let answer = cx.client.post_form(ARTIFACT.path(), form).await?;
            bar.finish_and_clear();
            Ok(answer.body)
        }
    }
}

async fn artifact_in_pieces(cx: &Context, file: &LocalFile, chunk: Size) -> Result<Value> {
    let answer = cx.client.post("uploads/", json!({ "size": file.size })).await?;
    let upload = text(&answer.body, "pulp_href")?.to_owned();
    let made = fill_and_commit(cx, file, chunk, &upload).await;
    if made.is_err() {
        // The server would keep the pieces until its next clean-up. The error that led here is the one to tell.
        let _ = cx.client.delete(&upload).await;
        // Another client may have been faster with the same file.
        if let Some(artifact) = existing_artifact(cx, &file.sha256).await.ok().flatten() {
            return Ok(artifact);
        }
    }
    made
}

async fn fill_and_commit(cx: &Context, file: &LocalFile, chunk: Size, upload: &str) -> Result<Value> {
    let bar = progress::bytes(cx.quiet, file.size, "Uploading");
    for (start, length) in pieces(file.size, chunk) {
        let form = Form::new().part("file", file.part(start, length, &bar).await?);
        let range = format!("bytes {start}-{}/{}", start + length - 1, file.size);
        cx.client.put_chunk(upload, form, range).await?;
    }
    bar.finish_and_clear();
    if !cx.quiet {
        crate::output::note("Upload complete.");
    }
    let answer = cx.client.post(&format!("{upload}commit/"), json!({ "sha256": file.sha256 })).await?;
    let task = match answer.started() {
        Some(started) => {
            crate::wait::announce(cx, started);
            crate::wait::started(cx, started).await?
        }
        None => answer.body,
    };
    match cx.created_href(&ARTIFACT, &task) {
        Some(href) => cx.client.get(href, &Query::new()).await,
        None => existing_artifact(cx, &file.sha256).await?.ok_or_else(|| Error::NotFound {
            noun: "artifact".to_owned(),
            criteria: format!("sha256 '{}', which was just uploaded", file.sha256),
        }),
    }
}

/// Fields of a form that the user gave.
pub(crate) fn form(fields: &Value) -> Form {
    let mut form = Form::new();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form = form.text(name.clone(), value);
    }
    form
}

/// Uploads the file and makes a content unit of it in one call, or by way of an artifact if the server has that already
/// or the file is above the limit. None if that runs in the background.
///
/// # Errors
/// As [`artifact`], and when the server refuses the content unit.
pub(crate) async fn content(cx: &Context, kind: &Kind, file: &LocalFile, limit: Option<Size>, fields: Value) -> Result<Option<Value>> {
    let known = existing_artifact(cx, &file.sha256).await?;
    let artifact = match known {
        Some(artifact) => Some(artifact),
        None if file.chunks(limit).is_some() => Some(artifact(cx, file, limit).await?),
        None => None,
    };
    let answer = if let Some(artifact) = artifact {
        let mut body = fields;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("artifact".to_owned(), text(&artifact, "pulp_href")?.into());
        }
        cx.client.post(kind.path(), body).await?
    } else {
        let bar = progress::bytes(cx.quiet, file.size, "Uploading");
        let form = form(&fields).part("file", file.part(0, file.size, &bar).await?);
        let answer = cx.client.post_form(kind.path(), form).await?;
        bar.finish_and_clear();
        answer
    };
    cx.created(kind, &answer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_file_without_overlap() {
        let of = |size, chunk| pieces(size, Size::bytes(chunk).unwrap()).collect::<Vec<_>>();
        assert_eq!(of(10, 4), [(0, 4), (4, 4), (8, 2)]);
        assert_eq!(of(8, 4), [(0, 4), (4, 4)]);
        assert_eq!(of(3, 4), [(0, 3)]);
        assert_eq!(of(u64::MAX, u64::MAX), [(0, u64::MAX)]);
    }

    #[tokio::test]
    async fn a_file_is_measured_and_hashed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello").unwrap();
        let local = LocalFile::open(file.path()).await.unwrap();
        assert_eq!(local.size, 5);
        assert_eq!(local.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(local.chunks(Size::bytes(5)), None);
        assert_eq!(local.chunks(Size::bytes(4)), Size::bytes(4));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named() {
        let error = LocalFile::open(Path::new("/no/such/file")).await.unwrap_err().to_string();
        assert!(error.contains("cannot read '/no/such/file'"), "{error}");
    }
}
