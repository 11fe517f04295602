//! Writing rows of a resource.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::access;
use super::select::{integer_key, key_number};
use super::{Context, Field, Input, Kind, Noun, Record, Resource};
use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt, Sql, Tx, Value};
use crate::ids::{Prn, new_id};
use crate::model::Remote;
use crate::version;
use crate::{Error, Result};

impl Resource {
    /// Makes an object of a validated input.
    ///
    /// # Errors
    /// [`Error::Refused`] if another one with its unique values was made meanwhile; any of the hooks.
    pub(crate) async fn insert(&self, cx: &Context, input: &Input) -> Result<Uuid> {
        let now = cx.pulp().now();
        let tx = cx.pulp().db().begin().await?;
        let mut id = new_id();
        let mut columns: Vec<(&str, Value)> = self.stamps.iter().map(|column| (*column, now.into())).collect();
        if !self.integer_key {
            columns.push((self.key, id.into()));
        }
        if let Some(pulp_type) = self.pulp_type {
            columns.push(("pulp_type", pulp_type.into()));
        }
        if self.in_domain {
            columns.push(("pulp_domain_id", cx.domain().pulp_id.into()));
        }
        columns.extend(self.constants.iter().cloned());
        let (base, mut detail) = self.columns(input)?;
        columns.extend(base);
        if self.integer_key {
            id = integer_key(self.told(insert_numbered(&tx, self.table, self.key, columns).await)?);
        } else {
            self.told(insert_into(&tx, self.table, columns).await)?;
        }
        if let Some((table, pointer)) = self.detail {
            detail.insert(0, (pointer, id.into()));
            self.told(insert_into(&tx, table, detail).await)?;
        }
        if self.noun == Noun::Repository {
            version::create_empty_version(&tx, id, now).await?;
            tx.execute(Sql::new("update core_repository set next_version = 1 where pulp_id = $1").bind(id)).await?;
        }
        access::give_to_creator(cx.pulp(), &tx, cx.creator(), self.path, (&self.model, id)).await?;
        self.hooks.created(cx, &tx, id, input).await?;
        tx.commit().await?;
        self.hooks.committed(cx, id).await;
        Ok(id)
    }

    /// Changes an object as a validated input says.
    ///
    /// # Errors
    /// As [`Resource::insert`].
    pub(crate) async fn change(&self, cx: &Context, before: &Record, input: &Input) -> Result<()> {
        let tx = cx.pulp().db().begin().await?;
        let (mut base, detail) = self.columns(input)?;
        if self.fields.iter().any(|field| field.name == "pulp_last_updated") {
            base.insert(0, ("pulp_last_updated", cx.pulp().now().into()));
        }
        let key: Value = if self.integer_key { key_number(before.id()).into() } else { before.id().into() };
        self.told(update(&tx, self.table, self.key, key.clone(), base).await)?;
        if let Some((table, pointer)) = self.detail {
            self.told(update(&tx, table, pointer, key, detail).await)?;
        }
        self.hooks.updated(cx, &tx, before, input).await?;
        tx.commit().await?;
        let settled = self.hooks.settle(cx, before, input).await;
        self.hooks.committed(cx, before.id()).await;
        settled
    }

    /// Removes an object; whether it was still there.
    ///
    /// # Errors
    /// [`Error::Conflict`] if something else needs it; any of the hooks.
    pub(crate) async fn remove(&self, cx: &Context, id: Uuid) -> Result<bool> {
        let tx = cx.pulp().db().begin().await?;
        self.hooks.deleting(cx, &tx, id).await?;
        let kept = self.noun == Noun::Remote
            && cx.pulp().settings().keep_sources_of_deleted_remotes
            && self.told(Remote::retire(&tx, id, cx.pulp().now()).await)?;
        // These tables are too large for foreign keys.
        let related = match self.noun {
            Noun::Repository => Some("delete from core_repositorycontent where repository_id = $1"),
            Noun::Remote if !kept => Some("delete from core_remoteartifact where remote_id = $1"),
            _ => None,
        };
        if let Some(related) = related {
            tx.execute(Sql::new(related).bind(id)).await?;
        }
        if self.roles {
            access::forget(&tx, id).await?;
        }
        let key: Value = if self.integer_key { key_number(id).into() } else { id.into() };
        if let Some((table, pointer)) = self.detail {
            self.told(tx.execute(Sql::new(format!("delete from {table} where {pointer} = $1")).bind(key.clone())).await)?;
        }
        let gone = match kept {
            true => 1,
            false => self.told(tx.execute(Sql::new(format!("delete from {} where {} = $1", self.table, self.key)).bind(key)).await)?,
        };
        tx.commit().await?;
        self.hooks.committed(cx, id).await;
        Ok(gone > 0)
    }

    /// Whether an input says anything that is not so already.
    pub(crate) fn changes(&self, current: &Record, input: &Input) -> Result<bool> {
        for field in self.fields.iter().filter(|field| field.is_input()) {
            let Some(value) = input.get(field.name) else { continue };
            let Some(column) = field.stored_as() else { return Ok(true) };
            let same = match field.kind {
                // What is stored cannot be read back here; only “none” and “none” are known to be the same.
                Kind::Secret => value.is_null() && current.boolean(column) == Some(false),
                _ => current.get(column) == Some(&to_sql(field, value)?),
            };
            if !same {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The columns of both tables that an input sets.
    #[allow(clippy::type_complexity)]
    fn columns<'a>(&'a self, input: &Input) -> Result<(Vec<(&'a str, Value)>, Vec<(&'a str, Value)>)> {
        let mut base = Vec::new();
        let mut detail = Vec::new();
        for field in self.fields.iter().filter(|field| field.is_input()) {
            if let (Some(value), Some(column)) = (input.get(field.name), field.stored_as()) {
                let place = if field.place == super::Place::Detail { &mut detail } else { &mut base };
                place.push((column, to_sql(field, value)?));
            }
        }
        Ok((base, detail))
    }

    /// The columns of the type’s own table that have a default, with it.
    pub(crate) fn detail_defaults(&self) -> Result<Vec<(&str, Value)>> {
        let own = self.fields.iter().filter(|field| field.is_input() && field.place == super::Place::Detail);
        own.filter_map(|field| Some((field, field.default.as_ref()?)))
            .map(|(field, default)| Ok((field.column.as_str(), to_sql(field, default)?)))
            .collect()
    }

    /// What the database refused, in words for the client.
    fn told<T>(&self, outcome: Result<T, DbError>) -> Result<T> {
        outcome.map_err(|error| match error {
            DbError::Unique { constraint } => {
                let field = self.fields.iter().filter(|field| field.unique).find(|field| constraint.contains(&field.column));
                let name = field.map_or("non_field_errors", |field| field.name);
                Error::Refused(json!({name: ["This field must be unique."]}))
            }
            DbError::ForeignKey => Error::Conflict("something else refers to this object, or it refers to one that is gone".to_owned()),
            other => other.into(),
        })
    }
}

async fn insert_into(tx: &Tx, table: &str, columns: Vec<(&str, Value)>) -> Result<u64, DbError> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut sql = Sql::new(format!("insert into {table} ({}) values ", names.join(", ")));
    sql.push_list(columns.into_iter().map(|(_, value)| value));
    tx.execute(sql).await
}

/// A row whose key is the next number.
async fn insert_numbered(tx: &Tx, table: &str, key: &str, columns: Vec<(&str, Value)>) -> Result<i64, DbError> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut sql = Sql::new(format!("insert into {table} ({}) values ", names.join(", ")));
    sql.push_list(columns.into_iter().map(|(_, value)| value)).push(format!(" returning {key}"));
    tx.scalar(sql).await
}

async fn update(tx: &Tx, table: &str, key: &str, id: Value, columns: Vec<(&str, Value)>) -> Result<u64, DbError> {
    if columns.is_empty() {
        return Ok(0);
    }
    let mut sql = Sql::new(format!("update {table} set "));
    for (at, (name, value)) in columns.into_iter().enumerate() {
        sql.push(if at == 0 { "" } else { ", " }).push(name).push(" = ").push_bind(value);
    }
    sql.push(format!(" where {key} = ")).push_bind(id);
    tx.execute(sql).await
}

/// A validated value as its column has it.
pub(crate) fn to_sql(field: &Field, value: &Json) -> Result<Value> {
    let wrong = || Error::Internal(format!("the value of field {} is not of its kind", field.name));
    Ok(match &field.kind {
        Kind::Integer => Value::Int(if value.is_null() { None } else { Some(value.as_i64().ok_or_else(wrong)?) }),
        Kind::Float => Value::Float(if value.is_null() { None } else { Some(value.as_f64().ok_or_else(wrong)?) }),
        Kind::Boolean => Value::Bool(if value.is_null() { None } else { Some(value.as_bool().ok_or_else(wrong)?) }),
        Kind::Time => match value.as_str() {
            None => Value::Time(None),
            Some(text) => Value::Time(Some(super::query::moment(text).ok_or_else(wrong)? as Timestamp)),
        },
        Kind::Uuid => Value::Uuid(value.as_str().map(|text| text.parse()).transpose().map_err(|_| wrong())?),
        Kind::Href(_) => Value::Uuid(value.as_str().map(|text| text.parse::<Prn>().map(|prn| prn.id)).transpose().map_err(|_| wrong())?),
        Kind::Json | Kind::Dictionary | Kind::Labels | Kind::List(_) | Kind::Object(..) => {
            Value::Json(if value.is_null() { None } else { Some(value.clone()) })
        }
        _ => Value::Text(if value.is_null() { None } else { Some(value.as_str().ok_or_else(wrong)?.to_owned()) }),
    })
}

/// Sets or unsets a label; the labels as they were.
///
/// # Errors
/// [`Error::NotFound`] if the object is gone.
pub(crate) async fn set_label(
    db: &Db,
    resource: &Resource,
    id: Uuid,
    now: Timestamp,
    key: &str,
    value: Option<Json>,
) -> Result<Option<Json>> {
    let tx = db.begin().await?;
    use crate::db::Executor;
    let table = resource.table;
    let find = Sql::new(format!("select pulp_labels from {table} where pulp_id = $1{}", tx.dialect().for_update())).bind(id);
    let row = tx.rows(find).await?;
    let row = row.first().ok_or_else(|| Error::not_found(format!("object {id}")))?;
    let mut labels = row.at::<sqlx::types::Json<serde_json::Map<String, Json>>>(0)?.0;
    let before = match value {
        Some(value) => labels.insert(key.to_owned(), value),
        None => labels.remove(key),
    };
    let write = Sql::new(format!("update {table} set pulp_labels = $1, pulp_last_updated = $2 where pulp_id = $3"));
    tx.execute(write.bind(Json::Object(labels)).bind(now).bind(id)).await?;
    tx.commit().await?;
    Ok(before)
}
