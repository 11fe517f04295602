//! What the repository has already, just as it is declared: with its files, and with the same sources. Nothing of it needs to be written.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use futures::future::try_join_all;
use url::Url;
use uuid::Uuid;

use super::download::note_settled;
use super::{Declared, DeclaredFile, FileSource, SyncContext};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{DbError, Dialect, Executor as _, ExecutorExt as _, Sql, Value, rows_per_statement};
use crate::model::Policy;
use crate::model::save::{ContentKind, note_use};
use crate::version::VersionDraft;

/// For how long a unit that is in use is not noted to be in use again: the time for which an orphan is kept counts from that moment.
const NOTED: TimeDelta = TimeDelta::hours(1);

/// Files of one question.
const ASKED: usize = 1_000;
/// Questions under way: PostgreSQL answers each on a core of its own.
const AT_ONCE: usize = 2;

/// The units of a sync that need no more than this stage.
#[derive(Debug)]
pub(super) struct Settled {
    /// Where they must be; nowhere if nothing is there.
    repository: Option<Uuid>,
    /// In use since this moment, as far as anybody needs to know.
    noted: Timestamp,
    /// Their keys, if anybody wants to know.
    units: Option<HashSet<Uuid>>,
}

/// A declared file, for the question whether it is settled.
struct Asked<'a> {
    /// Which of the batch.
    declared: usize,
    file: &'a DeclaredFile,
    url: &'a Url,
}

#[derive(sqlx::FromRow)]
struct Found {
    /// Which of the files asked for, from 1.
    n: i64,
    unit: Uuid,
    /// Whether its unit is to be noted as in use.
    idle: bool,
}

impl Settled {
    /// None yet of those that the version before `draft` has.
    pub(super) fn of(draft: &VersionDraft, since: Timestamp) -> Self {
        Self { repository: draft.inhabited(), noted: since - NOTED, units: draft.is_mirror().then(HashSet::new) }
    }

    /// Their keys, if the draft needs to be told.
    pub(super) fn into_units(self) -> HashSet<Uuid> {
        self.units.unwrap_or_default()
    }

    /// Takes out of a batch what is settled.
    pub(super) async fn take(&mut self, batch: Vec<Declared>, cx: &SyncContext) -> Result<Vec<Declared>> {
        let Some(repository) = self.repository else { return Ok(batch) };
        let settled = self.look(repository, &batch, cx).await?;
        let idle: Vec<Uuid> = settled.iter().flatten().filter(|found| found.idle).map(|found| found.unit).collect();
        match note_use(cx.pulp().db(), &idle, cx.pulp().now()).await {
            // Somebody else notes the same of some of them. They are in a version: that keeps them.
            Err(DbError::Retry(reason)) => tracing::debug!(reason, "units in use are not noted to be"),
            other => drop(other?),
        }
        let mut rest = Vec::new();
        for (declared, settled) in batch.into_iter().zip(settled) {
            match settled {
                Some(found) => {
                    note_settled(cx, &declared);
                    if let Some(units) = &mut self.units {
                        units.insert(found.unit);
                    }
                }
                None => rest.push(declared),
            }
        }
        Ok(rest)
    }

    /// For each of a batch, whether it is settled.
    async fn look(&self, repository: Uuid, batch: &[Declared], cx: &SyncContext) -> Result<Vec<Option<Found>>> {
        let kinds = by_kind(batch);
        let mut answers = Vec::new();
        for (kind, asked) in &kinds {
            for some in asked.chunks(ASKED.min(rows_per_statement(kind.key.len() + 2))) {
                answers.push(answer(cx, self.question(cx, kind, repository, batch, some)?, some));
            }
        }
        let mut left: Vec<usize> = batch.iter().map(|declared| declared.files.len()).collect();
        let mut settled: Vec<Option<Found>> = batch.iter().map(|_| None).collect();
        let mut answers = answers.into_iter();
        while answers.len() > 0 {
            for (declared, found) in try_join_all(answers.by_ref().take(AT_ONCE)).await?.into_iter().flatten() {
                left[declared] = left[declared].saturating_sub(1);
                settled[declared] = (left[declared] == 0).then_some(found);
            }
        }
        Ok(settled)
    }

    /// Asks which of some files are settled.
    fn question(&self, cx: &SyncContext, kind: &ContentKind, repository: Uuid, batch: &[Declared], asked: &[Asked<'_>]) -> Result<Sql> {
        let dialect = cx.pulp().db().dialect();
        let keys: Vec<String> = (0..kind.key.len()).map(|place| format!("k{place}")).collect();
        let columns: Vec<&str> = keys.iter().map(String::as_str).chain(["path", "url"]).collect();
        let rows = asked.iter().map(|asked| {
            let key = batch[asked.declared].unit.key_values().cloned();
            key.chain([Value::from(asked.file.relative_path.as_str()), Value::from(asked.url.as_str())])
        });
        let mut sql = Sql::new("with ");
        sql.push_table(dialect, "wanted", &columns, rows)?;
        sql.push(" select wanted.n as n, unit.content_ptr_id as unit, content.timestamp_of_interest < ").push_bind(self.noted);
        sql.push(" as idle from wanted");
        look_up(&mut sql, dialect, kind.table, "unit", "unit.content_ptr_id", |sql| {
            sql.push("unit._pulp_domain_id = ").push_bind(cx.task().domain().pulp_id);
            for (column, key) in kind.key.iter().zip(&keys) {
                sql.push(format!(" and unit.{column} = wanted.{key}"));
            }
        });
        look_up(&mut sql, dialect, "core_repositorycontent", "member", "member.pulp_id", |sql| {
            sql.push("member.repository_id = ").push_bind(repository);
            sql.push(" and member.content_id = unit.content_ptr_id and member.version_removed_id is null");
        });
        look_up(&mut sql, dialect, "core_content", "content", "content.timestamp_of_interest", |sql| {
            sql.push("content.pulp_id = unit.content_ptr_id");
        });
        look_up(&mut sql, dialect, "core_contentartifact", "file", "file.pulp_id, file.artifact_id", |sql| {
            sql.push("file.content_id = unit.content_ptr_id and file.relative_path = wanted.path");
        });
        look_up(&mut sql, dialect, "core_remoteartifact", "source", "source.sha256", |sql| {
            sql.push("source.content_artifact_id = file.pulp_id and source.remote_id = ").push_bind(cx.remote().pulp_id);
            sql.push(" and source.failed_at is null and source.url = wanted.url");
        });
        sql.push(" where file.artifact_id is not null");
        if cx.policy() != Policy::Immediate {
            // Unless it has come here by another way: then it is noted where it is.
            sql.push(" or source.sha256 is not null and not exists (");
            sql.push("select 1 from core_artifact here where here.sha256 = source.sha256 and here.pulp_domain_id = ");
            sql.push_bind(cx.task().domain().pulp_id).push(")");
        }
        Ok(sql)
    }
}

/// The files to ask for, by the type of their unit: of units all of whose files are at the upstream. What the first stage brings itself is stored.
fn by_kind(batch: &[Declared]) -> Vec<(&'static ContentKind, Vec<Asked<'_>>)> {
    let mut kinds: BTreeMap<&str, (&'static ContentKind, Vec<Asked<'_>>)> = BTreeMap::new();
    for (at, Declared { unit, files }) in batch.iter().enumerate() {
        let (_, asked) = kinds.entry(unit.kind.pulp_type).or_insert_with(|| (unit.kind, Vec::new()));
        asked.extend(files.iter().filter_map(|file| match &file.source {
            FileSource::Url(url) => Some(Asked { declared: at, file, url }),
            FileSource::Spooled(_) => None,
        }));
    }
    kinds.into_values().collect()
}

/// Which of the batch the files that are settled belong to, and what was found.
async fn answer(cx: &SyncContext, question: Sql, asked: &[Asked<'_>]) -> Result<Vec<(usize, Found)>> {
    let found: Vec<Found> = cx.pulp().db().all(question).await?;
    let of = |found: Found| Some((asked.get(usize::try_from(found.n - 1).ok()?)?.declared, found));
    Ok(found.into_iter().filter_map(of).collect())
}

fn look_up(sql: &mut Sql, dialect: Dialect, table: &str, alias: &str, columns: &str, condition: impl FnOnce(&mut Sql)) {
    let (before, after) = dialect.look_up(table, alias, columns);
    sql.push(before);
    condition(sql);
    sql.push(after);
}
