//! Encrypting what is encrypted again, with another key.

use serde_json::Value as Json;
use sqlx::types::Json as JsonColumn;
use uuid::Uuid;

use crate::crypto::FernetError;
use crate::db::{Db, ExecutorExt, Sql, Value};
use crate::plugin::Registry;
use crate::resource::{Kind, Place};
use crate::{Error, Pulp, Result};

/// Rows that are read at once, and written in one transaction.
const BATCH: i64 = 500;

/// A column with tokens.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    table: &'static str,
    key: &'static str,
    name: String,
    /// Whether the token is a text in JSON.
    json: bool,
}

/// Those that no field of a resource is: table, key, column, and whether it is JSON.
const OF_NO_FIELD: [(&str, &str, &str, bool); 3] = [
    ("core_contentredirectcontentguard", "contentguard_ptr_id", "shared_secret", false),
    ("core_domain", "pulp_id", "storage_settings", true),
    ("core_task", "pulp_id", "args", true),
];

/// What became of the tokens of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// That are encrypted anew.
    pub changed: u64,
    /// That were encrypted with the first key before.
    pub current: u64,
    /// That none of the keys decrypts: column and key of the row.
    pub unreadable: Vec<String>,
}

impl Pulp {
    /// Encrypts all secrets in the database that are not encrypted with the first key anew, with that one. It may be broken off and begun
    /// again, and others may write meanwhile; those that do not have the first key yet go on to encrypt with their own.
    ///
    /// # Errors
    /// If the database fails, or the machine gives no random bytes.
    pub async fn rotate_secrets(&self) -> Result<Rotation> {
        let mut done = Rotation::default();
        for column in columns(self.registry()) {
            column.rotate(self, &mut done).await?;
        }
        Ok(done)
    }
}

/// All columns with tokens.
fn columns(registry: &Registry) -> Vec<Column> {
    let column = |(table, key, name, json): (_, _, &str, _)| Column { table, key, name: name.to_owned(), json };
    let mut all: Vec<Column> = OF_NO_FIELD.map(column).into();
    for resource in registry.resources() {
        for field in resource.fields.iter().filter(|field| matches!(field.kind, Kind::Secret)) {
            let (table, key) = match (field.place, resource.detail) {
                (Place::Base, _) => (resource.table, resource.key),
                (Place::Detail, Some(detail)) => detail,
                _ => continue,
            };
            all.push(Column { table, key, name: field.column.clone(), json: false });
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

impl Column {
    async fn rotate(&self, pulp: &Pulp, done: &mut Rotation) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let rows = self.rows(pulp.db(), after).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = *last;
            let tx = pulp.db().begin().await?;
            for (id, token) in rows {
                let Some(token) = token.filter(|token| !token.is_empty()) else { continue };
                if pulp.keys().is_current(&token) {
                    done.current += 1;
                    continue;
                }
                let fresh = match pulp.keys().rotate(&token) {
                    Ok(fresh) => fresh,
                    Err(FernetError::Invalid) => {
                        done.unreadable.push(format!("{}.{} of {id}", self.table, self.name));
                        continue;
                    }
                    Err(error) => return Err(Error::Internal(error.to_string())),
                };
                // Only if nobody else has changed it since.
                let mut sql = Sql::new(format!("update {} set {} = ", self.table, self.name));
                sql.push_bind(self.value(fresh)).push(format!(" where {} = ", self.key)).push_bind(id);
                sql.push(format!(" and {} = ", self.name)).push_bind(self.value(token));
                done.changed += tx.execute(sql).await?;
            }
            tx.commit().await?;
        }
    }

    /// The next rows by their keys, and the tokens that they have; a column of JSON may have something else, which is not encrypted.
    async fn rows(&self, db: &Db, after: Uuid) -> Result<Vec<(Uuid, Option<String>)>> {
        let mut sql = Sql::new(format!("select {}, {} from {} where {} > ", self.key, self.name, self.table, self.key));
        sql.push_bind(after).push(format!(" order by {} limit ", self.key)).push_bind(BATCH);
        if !self.json {
            return Ok(db.all(sql).await?);
        }
        let rows: Vec<(Uuid, Option<JsonColumn<Json>>)> = db.all(sql).await?;
        let token = |json: JsonColumn<Json>| json.0.as_str().map(str::to_owned);
        Ok(rows.into_iter().map(|(id, json)| (id, json.and_then(token))).collect())
    }

    fn value(&self, token: String) -> Value {
        if self.json { Json::String(token).into() } else { token.into() }
    }
}
