//! Artifacts: stored files, each once per domain.

use sqlx::FromRow;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;
use crate::digest::{Algorithm, Digests, Sha256};
use crate::storage::ArtifactPath;

/// A row of `core_artifact`.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Artifact {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Path in the domain’s storage: `artifact/ab/cdef…`.
    pub file: String,
    /// Bytes.
    pub size: i64,
    /// Lower-case hex, as all of them; null where not allowed.
    pub md5: Option<String>,
    /// See [`Artifact::md5`].
    pub sha1: Option<String>,
    /// See [`Artifact::md5`].
    pub sha224: Option<String>,
    /// Always there, and unique in the domain.
    pub sha256: String,
    /// See [`Artifact::md5`].
    pub sha384: Option<String>,
    /// See [`Artifact::md5`].
    pub sha512: Option<String>,
    /// When it was last of use: protects it from orphan cleanup.
    pub timestamp_of_interest: Timestamp,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Artifact, "core_artifact", "artifact");

impl Artifact {
    /// Where the artifact with this sha256 lies in the storage. With domains each has a directory of its own.
    pub fn place(sha256: &Sha256, domain: Uuid, domains: bool) -> ArtifactPath {
        if domains { ArtifactPath::in_domain(domain, sha256) } else { ArtifactPath::of(sha256) }
    }

    /// Its digests.
    pub fn digests(&self) -> Digests {
        let columns = [
            (Algorithm::Md5, &self.md5),
            (Algorithm::Sha1, &self.sha1),
            (Algorithm::Sha224, &self.sha224),
            (Algorithm::Sha384, &self.sha384),
            (Algorithm::Sha512, &self.sha512),
        ];
        let mut digests = Digests::new();
        for (algorithm, digest) in columns.into_iter().filter_map(|(algorithm, digest)| Some((algorithm, digest.as_deref()?))) {
            // What is no digest in the database is none.
            let _ = digests.insert(algorithm, digest);
        }
        let _ = digests.insert(Algorithm::Sha256, &self.sha256);
        digests
    }
}
