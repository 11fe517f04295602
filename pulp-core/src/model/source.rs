//! Where a missing file can be fetched.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Model, Remote, RemoteArtifact};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Row, Sql};
use crate::digest::{Algorithm, Digests, Expected};

/// A source of a file, with the remote that says how to reach it.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// What is known of the file there.
    pub artifact: RemoteArtifact,
    /// How to reach it.
    pub remote: Remote,
    /// Whether that is an alternate content source.
    pub alternate: bool,
}

impl RemoteArtifact {
    /// What the source’s metadata says that the file is.
    pub fn expected(&self) -> Expected {
        let columns = [
            (Algorithm::Md5, &self.md5),
            (Algorithm::Sha1, &self.sha1),
            (Algorithm::Sha224, &self.sha224),
            (Algorithm::Sha256, &self.sha256),
            (Algorithm::Sha384, &self.sha384),
            (Algorithm::Sha512, &self.sha512),
        ];
        let mut digests = Digests::new();
        for (algorithm, digest) in columns {
            if let Some(digest) = digest {
                // What is no digest in the database is none.
                let _ = digests.insert(algorithm, digest);
            }
        }
        Expected { size: self.size.and_then(|size| u64::try_from(size).ok()), digests }
    }

    /// Notes that the source gave a wrong file: it is left alone for a while.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn note_failure<E: Executor + ?Sized>(executor: &E, id: Uuid, now: Timestamp) -> Result<(), DbError> {
        let sql = Sql::new("update core_remoteartifact set failed_at = $2, pulp_last_updated = $2 where pulp_id = $1");
        executor.execute(sql.bind(id).bind(now)).await?;
        Ok(())
    }
}

impl FileSource {
    /// The sources of a file: alternate content sources that have a file of its sha256, then its own, oldest first; only those that
    /// did not fail at `failed_after` or later.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of<E: Executor + ?Sized>(executor: &E, content_artifact: Uuid, failed_after: Timestamp) -> Result<Vec<Self>> {
        let found = Place::of(executor, content_artifact, failed_after).await?;
        let ids: Vec<Uuid> = found.iter().map(|found| found.artifact.remote_id).collect();
        let remotes = Remote::find_many(executor, &ids).await?;
        let remotes: HashMap<Uuid, Remote> = remotes.into_iter().map(|remote| (remote.pulp_id, remote)).collect();
        // One whose remote is just being deleted is no source any more.
        let pair = |found: Place| {
            let remote = remotes.get(&found.artifact.remote_id)?.clone();
            Some(found.with(remote))
        };
        Ok(found.into_iter().filter_map(pair).collect())
    }
}

const STORED: &str =
    "stored.pulp_id as stored_id, stored.file as stored_file, stored.size as stored_size, stored.pulp_created as stored_at";
const JOIN_STORED: &str =
    "left join core_artifact stored on stored.sha256 = source.sha256 and stored.pulp_domain_id = source.pulp_domain_id";

/// A source of a file, whose remote is still to be looked up.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Place {
    /// What is known of the file there.
    #[sqlx(flatten)]
    pub(crate) artifact: RemoteArtifact,
    alternate: bool,
    /// The artifact of the announced sha256, if the domain has it: its key; and its file, its size and when it was stored.
    pub(crate) stored_id: Option<Uuid>,
    pub(crate) stored_file: Option<String>,
    pub(crate) stored_size: Option<i64>,
    pub(crate) stored_at: Option<Timestamp>,
}

impl Place {
    /// As [`FileSource::of`].
    pub(crate) async fn of<E: Executor + ?Sized>(
        executor: &E,
        content_artifact: Uuid,
        failed_after: Timestamp,
    ) -> Result<Vec<Self>, DbError> {
        let sql = Sql::new(format!(
            "select source.*, {STORED} from \
             (select own.*, exists (select 1 from core_alternatecontentsource acs where acs.remote_id = own.remote_id) as alternate \
             from core_remoteartifact own where own.content_artifact_id = $1 and (own.failed_at is null or own.failed_at < $2) \
             union \
             select other.*, true as alternate from core_remoteartifact own join core_remoteartifact other on other.sha256 = own.sha256 \
             join core_alternatecontentsource acs on acs.remote_id = other.remote_id and acs.pulp_domain_id = own.pulp_domain_id \
             where own.content_artifact_id = $1 and (other.failed_at is null or other.failed_at < $2)) source \
             {JOIN_STORED} order by source.alternate desc, source.pulp_id"
        ));
        executor.all(sql.bind(content_artifact).bind(failed_after)).await
    }

    /// Appends the query for a file that is called `found`, along with its own sources.
    pub(super) fn push_own(sql: &mut Sql, failed_after: Timestamp) {
        sql.push(format!(
            "select found.*, source.*, {STORED}, exists (select 1 from core_alternatecontentsource) as alternate from found \
             left join core_remoteartifact source on found.artifact_id is null and source.content_artifact_id = found.found_id \
             and (source.failed_at is null or source.failed_at < "
        ));
        sql.push_bind(failed_after).push(format!(") {JOIN_STORED} order by source.pulp_id"));
    }

    /// What those rows hold; `None` if there are alternate content sources, of which some may have the file.
    pub(super) fn own(rows: &[Row]) -> Result<Option<Vec<Self>>, DbError> {
        let mut places = Vec::new();
        for row in rows {
            if row.get("alternate")? {
                return Ok(None);
            }
            if row.get::<Option<Uuid>>("remote_id")?.is_some() {
                places.push(row.read()?);
            }
        }
        Ok(Some(places))
    }

    /// The source, with its remote.
    pub(crate) fn with(self, remote: Remote) -> FileSource {
        FileSource { artifact: self.artifact, remote, alternate: self.alternate }
    }
}

impl super::ContentArtifact {
    /// Notes that a file is stored now. One that was stored meanwhile stays.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn store<E: Executor + ?Sized>(executor: &E, id: Uuid, artifact: Uuid, now: Timestamp) -> Result<(), DbError> {
        let sql =
            Sql::new("update core_contentartifact set artifact_id = $2, pulp_last_updated = $3 where pulp_id = $1 and artifact_id is null");
        executor.execute(sql.bind(id).bind(artifact).bind(now)).await?;
        Ok(())
    }

    /// Notes that a file of this digest is stored now wherever a source says that it has it: under other paths, say, that somebody waits for
    /// as well. Files that are passed on and never stored stay so, and so does what alternate content sources are known to have.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn store_all<E: Executor + ?Sized>(
        executor: &E,
        domain: Uuid,
        sha256: &str,
        artifact: Uuid,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let sql = Sql::new(format!(
            "update core_contentartifact set artifact_id = $1, pulp_last_updated = $2 where artifact_id is null and pulp_id in \
             (select source.content_artifact_id from core_remoteartifact source join core_remote remote on remote.pulp_id = source.remote_id \
                where source.sha256 = $3 and source.pulp_domain_id = $4 and remote.policy <> 'streamed' \
                and not exists (select 1 from core_alternatecontentsource near where near.remote_id = remote.pulp_id) \
                limit {LINKED})"
        ));
        executor.execute(sql.bind(artifact).bind(now).bind(sha256).bind(domain)).await?;
        Ok(())
    }
}

/// How many paths of one file are noted at a time; the others are when somebody asks for them.
const LINKED: u32 = 1_000;
