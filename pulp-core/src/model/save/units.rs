//! Rows of content units, each once by its natural key.

use std::collections::HashMap;

use uuid::Uuid;

use super::{ContentKind, Unit, UnitKey};
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Insert, Sql, Value, rows_per_statement};
use crate::ids::new_id;

/// How many units of a batch tell whether most of it is known.
const SAMPLE: usize = 16;

/// A unit that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedUnit {
    /// Its key.
    pub id: Uuid,
    /// Whether it was not there before.
    pub new: bool,
}

/// Inserts units of one type; a unit that the domain has already gets no second row. Old ones now count as of use, unless they
/// did since `since`.
///
/// # Errors
/// If the database cannot be reached.
pub async fn save_units<E: Executor + ?Sized>(
    executor: &E,
    kind: &'static ContentKind,
    units: &[&Unit],
    domain: Uuid,
    since: Timestamp,
    now: Timestamp,
) -> Result<HashMap<UnitKey, SavedUnit>, DbError> {
    let mut sorted: Vec<(UnitKey, &Unit)> = units.iter().map(|unit| (unit.key(), *unit)).collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    sorted.dedup_by(|a, b| a.0 == b.0);
    let mut saved = HashMap::with_capacity(sorted.len());
    for some in sorted.chunks(2_000) {
        let mut old = Vec::new();
        let mut missing = some.to_vec();
        if mostly_known(executor, kind, some, domain).await? {
            let all: Vec<&Unit> = some.iter().map(|(_, unit)| *unit).collect();
            let stored = find_units(executor, kind, &all, domain).await?;
            missing.retain(|(key, _)| !stored.contains_key(key));
            old.extend(stored.values().copied());
            saved.extend(stored.into_iter().map(|(key, id)| (key, SavedUnit { id, new: false })));
        }
        old.extend(save_missing(executor, kind, &missing, domain, now, &mut saved).await?);
        touch(executor, &old, since, now).await?;
    }
    Ok(saved)
}

/// Whether the domain has most of some units: then it costs less to look for them than to try and insert them.
async fn mostly_known<E: Executor + ?Sized>(
    executor: &E,
    kind: &'static ContentKind,
    units: &[(UnitKey, &Unit)],
    domain: Uuid,
) -> Result<bool, DbError> {
    if units.len() <= SAMPLE {
        return Ok(false);
    }
    let sample: Vec<&Unit> = units.iter().step_by(units.len() / SAMPLE).map(|(_, unit)| *unit).collect();
    Ok(find_units(executor, kind, &sample, domain).await?.len() > sample.len() / 2)
}

/// Inserts units that are not known to be there. The keys of those that are.
async fn save_missing<E: Executor + ?Sized>(
    executor: &E,
    kind: &'static ContentKind,
    units: &[(UnitKey, &Unit)],
    domain: Uuid,
    now: Timestamp,
    saved: &mut HashMap<UnitKey, SavedUnit>,
) -> Result<Vec<Uuid>, DbError> {
    let new: Vec<(&UnitKey, &Unit, Uuid)> = units.iter().map(|(key, unit)| (key, *unit, new_id())).collect();
    if insert_details(executor, kind, &new, domain).await? == new.len() as u64 {
        insert_contents(executor, kind, new.iter().map(|(.., id)| *id), domain, now).await?;
        saved.extend(new.iter().map(|(key, _, id)| ((*key).clone(), SavedUnit { id: *id, new: true })));
        return Ok(Vec::new());
    }
    let only: Vec<&Unit> = new.iter().map(|(_, unit, _)| *unit).collect();
    let stored = find_units(executor, kind, &only, domain).await?;
    let won = new.iter().filter(|(key, _, id)| stored.get(key) == Some(id)).map(|(.., id)| *id);
    insert_contents(executor, kind, won, domain, now).await?;
    let mut old = Vec::new();
    for (key, _, id) in &new {
        if let Some(stored) = stored.get(key) {
            let is_new = stored == id;
            if !is_new {
                old.push(*stored);
            }
            saved.insert((*key).clone(), SavedUnit { id: *stored, new: is_new });
        }
    }
    Ok(old)
}

/// The keys of those units of one type that the domain has.
///
/// # Errors
/// If the database cannot be reached.
pub async fn find_units<E: Executor + ?Sized>(
    executor: &E,
    kind: &'static ContentKind,
    units: &[&Unit],
    domain: Uuid,
) -> Result<HashMap<UnitKey, Uuid>, DbError> {
    let dialect = executor.dialect();
    let names: Vec<String> = (0..kind.key.len()).map(|place| format!("k{place}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut found = HashMap::with_capacity(units.len());
    for some in units.chunks(rows_per_statement(kind.key.len())) {
        let mut sql = Sql::new("with ");
        sql.push_table(dialect, "wanted", &names, some.iter().map(|unit| unit.key_values().cloned()))?;
        let (before, after) = dialect.look_up(kind.table, "unit", "unit.content_ptr_id");
        sql.push(" select wanted.n, unit.content_ptr_id from wanted").push(before);
        sql.push("unit._pulp_domain_id = ").push_bind(domain);
        for (column, name) in kind.key.iter().zip(&names) {
            sql.push(format!(" and unit.{column} = wanted.{name}"));
        }
        sql.push(after);
        for (n, id) in executor.all::<(i64, Uuid)>(sql).await? {
            if let Some(unit) = usize::try_from(n - 1).ok().and_then(|at| some.get(at)) {
                found.insert(unit.key(), id);
            }
        }
    }
    Ok(found)
}

async fn insert_details<E: Executor + ?Sized>(
    executor: &E,
    kind: &ContentKind,
    units: &[(&UnitKey, &Unit, Uuid)],
    domain: Uuid,
) -> Result<u64, DbError> {
    let columns: String = kind.columns.iter().map(|column| format!(", {column}")).collect();
    let insert = Insert::into(format!("{} (content_ptr_id, _pulp_domain_id{columns})", kind.table))
        .then(format!("on conflict ({}, _pulp_domain_id) do nothing", kind.key.join(", ")))
        .rows(units.iter().map(|(_, unit, id)| [Value::from(*id), Value::from(domain)].into_iter().chain(unit.values.iter().cloned())));
    executor.insert(insert).await
}

async fn insert_contents<E: Executor + ?Sized>(
    executor: &E,
    kind: &ContentKind,
    ids: impl Iterator<Item = Uuid> + Send,
    domain: Uuid,
    now: Timestamp,
) -> Result<(), DbError> {
    let insert = Insert::into("core_content (pulp_id, pulp_created, pulp_last_updated, pulp_type, timestamp_of_interest, pulp_domain_id)")
        .rows(ids.map(|id| -> [Value; 6] { [id.into(), now.into(), now.into(), kind.pulp_type.into(), now.into(), domain.into()] }));
    executor.insert(insert).await?;
    Ok(())
}

/// Notes that units are of use, if nobody has since `since`. If one has been removed meanwhile, or is just being removed, the whole batch is to be tried again.
async fn touch<E: Executor + ?Sized>(executor: &E, ids: &[Uuid], since: Timestamp, now: Timestamp) -> Result<(), DbError> {
    let removed = || DbError::Retry("a content unit was removed while it was saved".to_owned());
    for some in ids.chunks(2_000) {
        let mut known = Sql::new("select pulp_id, timestamp_of_interest < ");
        known.push_bind(since).push(" from core_content where pulp_id in ").push_list(some);
        let known: Vec<(Uuid, bool)> = executor.all(known).await?;
        if known.len() != some.len() {
            return Err(removed());
        }
        let idle: Vec<Uuid> = known.into_iter().filter(|(_, idle)| *idle).map(|(id, _)| id).collect();
        if idle.is_empty() {
            continue;
        }
        if note_use(executor, &idle, now).await? != idle.len() as u64 {
            return Err(removed());
        }
    }
    Ok(())
}

/// Notes that units are of use now; how many of them there are.
pub(crate) async fn note_use<E: Executor + ?Sized>(executor: &E, ids: &[Uuid], now: Timestamp) -> Result<u64, DbError> {
    let mut noted = 0;
    for some in ids.chunks(2_000) {
        let mut sql = Sql::new("update core_content set timestamp_of_interest = ");
        sql.push_bind(now).push(" where pulp_id in ").push_list(some);
        noted += executor.execute(sql).await?;
    }
    Ok(noted)
}
