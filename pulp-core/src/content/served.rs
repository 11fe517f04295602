//! What was found at a path: the decision, as a value. How it looks on the wire is [rendered](super::render) elsewhere.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

use super::{Listing, ServeError};
use crate::clock::Timestamp;
use crate::digest::Sha256;
use crate::storage::{ArtifactPath, ByteStream};

/// What was found at a path.
#[derive(Debug)]
#[non_exhaustive]
pub enum Served {
    /// A file that is stored.
    File(ServedFile),
    /// Bytes from elsewhere: lazy content, or whatever a content type makes up as it is read.
    Stream(ServedStream),
    /// Some bytes in memory.
    Bytes(ServedBytes),
    /// It is somewhere else.
    Redirect(Redirect),
    /// A directory.
    Listing(Listing),
    /// Nothing, and which part of the way did not lead on.
    NotFound(String),
}

/// What is known of a file before its bytes are read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Representation {
    /// The path by which it is served: its last part names it, and says its media type.
    pub name: String,
    /// Size in bytes, where known. Ranges need it.
    pub size: Option<u64>,
    /// Digest, where known: the strong entity tag.
    pub sha256: Option<Sha256>,
    /// When it came to be.
    pub modified: Option<Timestamp>,
    /// Headers of the content type’s own. They win over those that are derived.
    pub headers: HeaderMap,
}

impl Representation {
    /// A file of this name, of which nothing else is known yet.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A stored file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServedFile {
    /// What it is. Size, digest and time are always known.
    pub representation: Representation,
    /// Where it lies. [`Storage::local_file`](crate::storage::Storage::local_file) tells its place on this host, if it has one.
    pub path: ArtifactPath,
    /// The artifact’s key.
    pub artifact: Uuid,
    /// Bytes.
    pub size: u64,
}

/// Gives the bytes of something that is not a stored file.
#[async_trait]
pub trait Source: Send + Sync {
    /// The bytes, or a part of them. Called only if the client wants any, so not for a `HEAD`; once for each range.
    ///
    /// # Errors
    /// Whatever is known before the first byte; later errors cut the response.
    async fn open(&self, range: Option<Range<u64>>) -> Result<ByteStream<ServeError>, ServeError>;
}

/// Bytes from elsewhere.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServedStream {
    /// What it is, as far as that is known.
    pub representation: Representation,
    /// Where the bytes come from.
    pub source: Arc<dyn Source>,
}

impl ServedStream {
    /// Bytes of `source`.
    pub fn new(representation: Representation, source: impl Source + 'static) -> Self {
        Self { representation, source: Arc::new(source) }
    }
}

impl fmt::Debug for ServedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedStream").field("representation", &self.representation).finish_non_exhaustive()
    }
}

/// Bytes in memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServedBytes {
    /// What it is; the size is that of the bytes, whatever is said here.
    pub representation: Representation,
    /// The bytes.
    pub bytes: Bytes,
}

impl ServedBytes {
    /// These bytes.
    pub fn new(mut representation: Representation, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        representation.size = Some(bytes.len() as u64);
        Self { representation, bytes }
    }
}

/// Where else to look.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirect {
    /// At the same path with a slash at its end: 301.
    Directory,
    /// Elsewhere, for now: 302.
    To(String),
}
