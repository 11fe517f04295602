//! Rows of content units, each once by its natural key.

use std::collections::HashMap;

use uuid::Uuid;

use super::{ContentKind, Unit, UnitKey};
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Insert, Row, Sql, Value, rows_per_statement};
use crate::ids::new_id;

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
        let new: Vec<(&UnitKey, &Unit, Uuid)> = some.iter().map(|(key, unit)| (key, *unit, new_id())).collect();
        if insert_details(executor, kind, &new, domain).await? == new.len() as u64 {
            insert_contents(executor, kind, new.iter().map(|(.., id)| *id), domain, now).await?;
            saved.extend(new.iter().map(|(key, _, id)| ((*key).clone(), SavedUnit { id: *id, new: true })));
            continue;
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
        touch(executor, &old, since, now).await?;
    }
    Ok(saved)
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
    let mut found = HashMap::new();
    for some in units.chunks(rows_per_statement(kind.key.len())) {
        let names: Vec<String> = (0..kind.key.len()).map(|place| format!("k{place}")).collect();
        let mut sql = Sql::new(format!("with wanted ({}) as (values ", names.join(", ")));
        let mut first = true;
        for unit in some {
            if !std::mem::take(&mut first) {
                sql.push(", ");
            }
            sql.push_list(unit.key_values().cloned());
        }
        sql.push(") select unit.content_ptr_id");
        for column in kind.key {
            sql.push(", unit.").push(column);
        }
        // Named in this order for SQLite, which takes a cross join literally: look each wanted key up in the index.
        sql.push(" from wanted cross join ").push(kind.table).push(" unit where unit._pulp_domain_id = ").push_bind(domain);
        for (column, name) in kind.key.iter().zip(&names) {
            sql.push(" and unit.").push(column).push(" = wanted.").push(name);
        }
        let example: Vec<&Value> = some.first().map(|unit| unit.key_values().collect()).unwrap_or_default();
        for row in executor.rows(sql).await? {
            let key = example.iter().enumerate().map(|(place, like)| read(&row, place + 1, like)).collect::<Result<Vec<_>, _>>()?;
            found.insert(UnitKey::of(key.iter()), row.at::<Uuid>(0)?);
        }
    }
    Ok(found)
}

/// Reads a column as what the value in the same place is.
fn read(row: &Row, place: usize, like: &Value) -> Result<Value, DbError> {
    Ok(match like {
        Value::Bool(_) => row.at::<Option<bool>>(place)?.into(),
        Value::Int(_) => row.at::<Option<i64>>(place)?.into(),
        Value::Float(_) => row.at::<Option<f64>>(place)?.into(),
        Value::Text(_) => row.at::<Option<String>>(place)?.into(),
        Value::Uuid(_) => row.at::<Option<Uuid>>(place)?.into(),
        Value::Time(_) => row.at::<Option<Timestamp>>(place)?.into(),
        Value::Json(_) => Value::Json(row.at::<Option<sqlx::types::Json<serde_json::Value>>>(place)?.map(|json| json.0)),
    })
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

/// Notes that units are of use, if nobody has since `since`. One that has been removed meanwhile makes the whole batch be tried again.
async fn touch<E: Executor + ?Sized>(executor: &E, ids: &[Uuid], since: Timestamp, now: Timestamp) -> Result<(), DbError> {
    for some in ids.chunks(2_000) {
        let mut idle = Sql::new("select pulp_id from core_content where timestamp_of_interest < ");
        idle.push_bind(since).push(" and pulp_id in ").push_list(some);
        let idle: Vec<Uuid> = executor.column(idle).await?;
        if idle.is_empty() {
            continue;
        }
        let mut sql = Sql::new("update core_content set timestamp_of_interest = ");
        sql.push_bind(now).push(" where pulp_id in ").push_list(&idle);
        if executor.execute(sql).await? != idle.len() as u64 {
            return Err(DbError::Retry("a content unit was removed while it was saved".to_owned()));
        }
    }
    Ok(())
}
