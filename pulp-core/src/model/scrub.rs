//! How far the scrub of stored files has come, and what it has found.

use sqlx::FromRow;
use uuid::Uuid;

use super::Artifact;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::ids::new_id;

/// What was wrong with a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// It was not there.
    Missing,
    /// It had another size.
    Size,
    /// It had the right size and another digest.
    Digest,
    /// The disk did not give all of it.
    Unreadable,
}

impl Problem {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Missing, Self::Size, Self::Digest, Self::Unreadable];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Size => "size",
            Self::Digest => "digest",
            Self::Unreadable => "unreadable",
        }
    }
}

/// How a finding has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingEnd {
    /// A source gave the file again.
    Repaired,
    /// Somebody brought it again.
    Restored,
    /// Nothing needs the file any more.
    Dropped,
}

impl FindingEnd {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Restored => "restored",
            Self::Dropped => "dropped",
        }
    }
}

/// What was seen of a wrong file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its size in bytes, if it was there.
    pub size: Option<i64>,
    /// Its sha256, if it could be read.
    pub sha256: Option<String>,
    /// Where it lies now, if it was moved.
    pub quarantined: Option<String>,
}

/// A finding of which the file is still lost.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Lost {
    /// Key.
    pub pulp_id: Uuid,
    /// The artifact.
    pub artifact_id: Uuid,
}

impl Lost {
    /// Findings whose file is still lost, `limit` at most.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn all<E: Executor + ?Sized>(executor: &E, limit: i64) -> Result<Vec<Self>, DbError> {
        let sql = Sql::new("select pulp_id, artifact_id from core_scrubfinding where state = 'lost' order by pulp_id limit $1");
        executor.all(sql.bind(limit)).await
    }

    /// Notes a file that is lost; one that was known to be keeps its finding.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn note<E: Executor + ?Sized>(
        executor: &E,
        artifact: &Artifact,
        problem: Problem,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Uuid, DbError> {
        let sql = Sql::new(
            "insert into core_scrubfinding (pulp_id, pulp_created, pulp_last_updated, problem, state, file, sha256, size, found_size, \
             found_sha256, quarantined, artifact_id, pulp_domain_id) values ($1, $2, $2, $3, 'lost', $4, $5, $6, $7, $8, $9, $10, $11) \
             on conflict (artifact_id) where state = 'lost' do update set pulp_last_updated = excluded.pulp_last_updated, \
             problem = case when excluded.problem = 'missing' then core_scrubfinding.problem else excluded.problem end, \
             found_size = coalesce(excluded.found_size, core_scrubfinding.found_size), \
             found_sha256 = coalesce(excluded.found_sha256, core_scrubfinding.found_sha256), \
             quarantined = coalesce(excluded.quarantined, core_scrubfinding.quarantined) returning pulp_id",
        );
        executor
            .scalar(
                sql.bind(new_id())
                    .bind(now)
                    .bind(problem.as_str())
                    .bind(artifact.file.as_str())
                    .bind(artifact.sha256.as_str())
                    .bind(artifact.size)
                    .bind(seen.size)
                    .bind(seen.sha256.clone())
                    .bind(seen.quarantined.clone())
                    .bind(artifact.pulp_id)
                    .bind(artifact.pulp_domain_id),
            )
            .await
    }

    /// Notes how a finding has ended.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn end<E: Executor + ?Sized>(executor: &E, finding: Uuid, end: FindingEnd, now: Timestamp) -> Result<(), DbError> {
        let sql = Sql::new(
            "update core_scrubfinding set state = $2, ended_at = $3, pulp_last_updated = $3 where pulp_id = $1 and state = 'lost'",
        );
        executor.execute(sql.bind(finding).bind(end.as_str()).bind(now)).await?;
        Ok(())
    }

    /// Ends the findings of artifacts that are gone.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn drop_unneeded<E: Executor + ?Sized>(executor: &E, now: Timestamp) -> Result<(), DbError> {
        let sql = Sql::new(
            "update core_scrubfinding set state = 'dropped', ended_at = $1, pulp_last_updated = $1 where state = 'lost' \
             and not exists (select 1 from core_artifact artifact where artifact.pulp_id = core_scrubfinding.artifact_id)",
        );
        executor.execute(sql.bind(now)).await?;
        Ok(())
    }

    /// How many files are lost, of a domain or of all.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn count<E: Executor + ?Sized>(executor: &E, domain: Option<Uuid>) -> Result<i64, DbError> {
        let mut sql = Sql::new("select count(*) from core_scrubfinding where state = 'lost'");
        if let Some(domain) = domain {
            sql.push(" and pulp_domain_id = ").push_bind(domain);
        }
        executor.scalar(sql).await
    }
}

/// The row of `core_scrub`: how far the scrub has come.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ScrubState {
    /// The artifact that was looked at last in this pass.
    pub reached: Option<Uuid>,
    /// When the pass that is under way, or else the last one, began.
    pub started_at: Option<Timestamp>,
    /// When a pass came to its end.
    pub finished_at: Option<Timestamp>,
    /// The pass looks at what was stored before.
    pub covers: Option<Timestamp>,
    /// Files that the pass has looked at.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
    /// How many tasks were dispatched for it by themselves.
    pub turns: i64,
    /// The last of them.
    pub task_id: Option<Uuid>,
}

impl ScrubState {
    /// Reads it.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn read<E: Executor + ?Sized>(executor: &E) -> Result<Self, DbError> {
        executor.one("select reached, started_at, finished_at, covers, files, bytes, turns, task_id from core_scrub where id = 1").await
    }

    /// Whether a pass has begun and not come to its end.
    pub fn is_under_way(&self) -> bool {
        self.started_at.is_some_and(|started| self.finished_at.is_none_or(|finished| finished < started))
    }

    /// Begins a pass over what was stored before `covers`.
    pub(crate) fn begin(&mut self, covers: Timestamp, now: Timestamp) {
        *self = Self { reached: None, started_at: Some(now), covers: Some(covers), files: 0, bytes: 0, ..self.clone() };
        // A pass that begins in the moment in which the last one ended is under way, too.
        self.finished_at = self.finished_at.filter(|finished| *finished < now);
    }

    /// Writes it, but for the turns.
    pub(crate) async fn write<E: Executor + ?Sized>(&self, executor: &E) -> Result<(), DbError> {
        let sql = Sql::new(
            "update core_scrub set reached = $1, started_at = $2, finished_at = $3, covers = $4, files = $5, bytes = $6 where id = 1",
        );
        let sql = sql.bind(self.reached).bind(self.started_at).bind(self.finished_at).bind(self.covers).bind(self.files).bind(self.bytes);
        executor.execute(sql).await?;
        Ok(())
    }

    /// The next artifacts of the pass.
    pub(crate) async fn page<E: Executor + ?Sized>(&self, executor: &E, limit: i64) -> Result<Vec<Artifact>, DbError> {
        let Some(covers) = self.covers else { return Ok(Vec::new()) };
        let sql = Sql::new("select * from core_artifact where pulp_id > $1 and pulp_created < $2 order by pulp_id limit $3");
        executor.all(sql.bind(self.reached.unwrap_or(Uuid::nil())).bind(covers).bind(limit)).await
    }
}
