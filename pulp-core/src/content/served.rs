//! What was found at a path: the decision, as a value. How it looks on the wire is [rendered](super::render) elsewhere.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

use super::{Listing, ServeError};
use crate::body::Body;
use crate::clock::Timestamp;
use crate::digest::Sha256;
use crate::model::Artifact;
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

impl ServedFile {
    /// An artifact, as it is served under a name.
    ///
    /// # Errors
    /// [`ServeError::Internal`] if its row holds what no row should.
    pub fn of(artifact: &Artifact, name: impl Into<String>) -> Result<Self, ServeError> {
        let id = artifact.pulp_id;
        Self::from_row(name.into(), id, &artifact.file, artifact.size, &artifact.sha256, artifact.pulp_created)
    }

    pub(super) fn from_row(
        name: String,
        artifact: Uuid,
        file: &str,
        size: i64,
        sha256: &str,
        stored: Timestamp,
    ) -> Result<Self, ServeError> {
        let broken = |what: &dyn fmt::Display| ServeError::Internal(format!("the row of artifact {artifact} is damaged: {what}"));
        let size = u64::try_from(size).map_err(|error| broken(&error))?;
        let sha256 = sha256.parse().map_err(|error| broken(&error))?;
        let path = file.parse().map_err(|error| broken(&error))?;
        let representation =
            Representation { size: Some(size), sha256: Some(sha256), modified: Some(stored), ..Representation::named(name) };
        Ok(Self { representation, path, artifact, size })
    }
}

/// Gives the bytes of something that is not a stored file.
#[async_trait]
pub trait Source: Send + Sync {
    /// The bytes, or a part of them. Called only if the client wants any, so not for a `HEAD`; once for each range.
    ///
    /// # Errors
    /// Whatever is known before the first byte; later errors cut the response.
    async fn open(&self, range: Option<Range<u64>>) -> Result<Opened, ServeError>;
}

/// Bytes that are about to come.
#[non_exhaustive]
pub struct Opened {
    /// Size in bytes of the whole, where it is known by now. The response promises no other.
    pub size: Option<u64>,
    /// Whether they are known to be right. If not, the response carries no validators: nobody shall join the rest of the right file to
    /// the beginning of a wrong one.
    pub verified: bool,
    /// The bytes.
    pub body: Body,
}

impl Opened {
    /// Bytes that are right.
    pub fn new(size: Option<u64>, bytes: ByteStream<ServeError>) -> Self {
        Self { size, verified: true, body: Body::stream(bytes) }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("size", &self.size).field("verified", &self.verified).finish_non_exhaustive()
    }
}

/// Bytes from elsewhere.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServedStream {
    /// What it is, as far as that is known.
    pub representation: Representation,
    /// Where the bytes come from.
    pub source: Arc<dyn Source>,
    /// Whether it is known to be there. If not, the source is opened for a `HEAD`, too.
    pub certain: bool,
}

impl ServedStream {
    /// Bytes of `source`.
    pub fn new(representation: Representation, source: impl Source + 'static) -> Self {
        Self { representation, source: Arc::new(source), certain: true }
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
    /// Elsewhere, for good: 301.
    Moved(String),
}
