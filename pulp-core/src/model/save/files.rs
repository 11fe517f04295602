//! Rows that say which files a unit has, and where missing ones can be fetched.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::SavedUnit;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Insert, Sql, Value};
use crate::digest::{Algorithm, Expected};
use crate::ids::new_id;

/// A file of a unit.
#[derive(Debug, Clone)]
pub struct UnitFile<'a> {
    /// The unit.
    pub unit: SavedUnit,
    /// Where the file lies in the unit.
    pub relative_path: &'a str,
    /// The stored file, if it is.
    pub artifact: Option<Uuid>,
    /// Where it can be fetched, and through which remote.
    pub source: Option<(Uuid, &'a str)>,
    /// What the source’s metadata say about it.
    pub expected: &'a Expected,
}

/// Notes the files of units, and their sources. A file that was missing and is stored now is filled in; a source that a remote
/// names anew replaces that remote’s former one.
///
/// # Errors
/// If the database cannot be reached.
pub async fn save_files<E: Executor + ?Sized>(executor: &E, files: &[UnitFile<'_>], domain: Uuid, now: Timestamp) -> Result<(), DbError> {
    let mut sorted: Vec<&UnitFile<'_>> = files.iter().collect();
    sorted.sort_unstable_by(|a, b| (a.unit.id, a.relative_path).cmp(&(b.unit.id, b.relative_path)));
    sorted.dedup_by(|a, b| (a.unit.id, a.relative_path) == (b.unit.id, b.relative_path));
    for some in sorted.chunks(2_000) {
        let keys = save_content_artifacts(executor, some, now).await?;
        save_sources(executor, some, &keys, domain, now).await?;
    }
    Ok(())
}

/// The key of each file’s row, in the same order; none where the row vanished meanwhile.
async fn save_content_artifacts<E: Executor + ?Sized>(
    executor: &E,
    files: &[&UnitFile<'_>],
    now: Timestamp,
) -> Result<Vec<Option<Uuid>>, DbError> {
    let mut keys: Vec<Option<Uuid>> = files.iter().map(|_| Some(new_id())).collect();
    let table = "core_contentartifact (pulp_id, pulp_created, pulp_last_updated, relative_path, artifact_id, content_id)";
    // What a new unit has is new as well: the database need not look for it.
    let mut new = Insert::into(table);
    let mut known = Insert::into(table).then(
        "on conflict (content_id, relative_path) do update \
         set artifact_id = excluded.artifact_id, pulp_last_updated = excluded.pulp_last_updated \
         where core_contentartifact.artifact_id is null and excluded.artifact_id is not null",
    );
    let old: Vec<Uuid> = files.iter().filter(|file| !file.unit.new).map(|file| file.unit.id).collect();
    let mut stored = StoredFiles::of(executor, &old).await?;
    for (file, id) in files.iter().zip(&keys) {
        let insert = match file.unit.new {
            true => &mut new,
            // A row that an insert runs into is locked, which PostgreSQL writes down as it does a change.
            false if stored.get(file).is_some_and(|stored| stored.filled || file.artifact.is_none()) => continue,
            false => &mut known,
        };
        let row: [Value; 6] = [(*id).into(), now.into(), now.into(), file.relative_path.into(), file.artifact.into(), file.unit.id.into()];
        insert.row(row);
    }
    executor.insert(new).await?;
    if !known.is_empty() {
        executor.insert(known).await?;
        stored = StoredFiles::of(executor, &old).await?;
    }
    // Whose unit is new has the key that was given.
    for (file, key) in files.iter().zip(&mut keys).filter(|(file, _)| !file.unit.new) {
        *key = stored.get(file).map(|stored| stored.key);
    }
    Ok(keys)
}

/// The files that units have rows for, in the order of unit and path.
struct StoredFiles(Vec<StoredFile>);

#[derive(sqlx::FromRow)]
struct StoredFile {
    unit: Uuid,
    relative_path: String,
    key: Uuid,
    /// Whether its bytes are stored.
    filled: bool,
}

impl StoredFiles {
    async fn of<E: Executor + ?Sized>(executor: &E, units: &[Uuid]) -> Result<Self, DbError> {
        if units.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut sql = Sql::new(
            "select content_id as unit, relative_path, pulp_id as key, artifact_id is not null as filled \
             from core_contentartifact where content_id in ",
        );
        sql.push_list(units);
        let mut files: Vec<StoredFile> = executor.all(sql).await?;
        files.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        Ok(Self(files))
    }

    fn get(&self, file: &UnitFile<'_>) -> Option<&StoredFile> {
        let at = self.0.binary_search_by(|stored| stored.order().cmp(&(file.unit.id, file.relative_path))).ok()?;
        self.0.get(at)
    }
}

impl StoredFile {
    fn order(&self) -> (Uuid, &str) {
        (self.unit, &self.relative_path)
    }
}

async fn save_sources<E: Executor + ?Sized>(
    executor: &E,
    files: &[&UnitFile<'_>],
    keys: &[Option<Uuid>],
    domain: Uuid,
    now: Timestamp,
) -> Result<(), DbError> {
    let rows: Vec<(&UnitFile<'_>, Uuid, Uuid, &str)> = files
        .iter()
        .zip(keys)
        .filter_map(|(file, key)| file.source.and_then(|(remote, url)| Some((*file, (*key)?, remote, url))))
        .collect();
    // Few upstreams announce more than one digest: columns that would be null throughout are left out.
    let algorithms: Vec<Algorithm> =
        Algorithm::ALL.into_iter().filter(|algorithm| rows.iter().any(|row| row.0.expected.digests.contains(*algorithm))).collect();
    let names: String = algorithms.iter().map(|algorithm| format!(", {algorithm}")).collect();
    let anew: String = algorithms.iter().map(|algorithm| format!(", {algorithm} = excluded.{algorithm}")).collect();
    let table = format!(
        "core_remoteartifact (pulp_id, pulp_created, pulp_last_updated, url, size, content_artifact_id, remote_id, pulp_domain_id{names})"
    );
    let mut new = Insert::into(table.as_str());
    let mut known = Insert::into(table).then(format!(
        "on conflict (content_artifact_id, remote_id) do update set url = excluded.url, size = excluded.size, failed_at = null{anew}, \
         pulp_last_updated = excluded.pulp_last_updated \
         where core_remoteartifact.url <> excluded.url or core_remoteartifact.failed_at is not null"
    ));
    let told = sources_of(executor, rows.iter().filter(|row| !row.0.unit.new).map(|(_, file, remote, _)| (*file, *remote))).await?;
    for (UnitFile { unit, expected, .. }, file, remote, url) in rows {
        if told.get(&(file, remote)).is_some_and(|told| told == url) {
            continue;
        }
        let size = expected.size.and_then(|size| i64::try_from(size).ok());
        let fixed: [Value; 8] =
            [new_id().into(), now.into(), now.into(), url.into(), size.into(), file.into(), remote.into(), domain.into()];
        let digests = algorithms.iter().map(|algorithm| expected.digests.get(*algorithm).into());
        let insert = if unit.new { &mut new } else { &mut known };
        insert.row(fixed.into_iter().chain(digests));
    }
    executor.insert(new).await?;
    executor.insert(known).await?;
    Ok(())
}

/// Where these files are said to be, by file and remote, so far as nobody has failed to fetch one there.
async fn sources_of<E: Executor + ?Sized>(
    executor: &E,
    files: impl Iterator<Item = (Uuid, Uuid)>,
) -> Result<HashMap<(Uuid, Uuid), String>, DbError> {
    let (files, remotes): (Vec<Uuid>, BTreeSet<Uuid>) = files.unzip();
    if files.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new("select content_artifact_id, remote_id, url from core_remoteartifact where failed_at is null and remote_id in ");
    sql.push_list(remotes).push(" and content_artifact_id in ").push_list(&files);
    Ok(executor.all::<(Uuid, Uuid, String)>(sql).await?.into_iter().map(|(file, remote, url)| ((file, remote), url)).collect())
}
