//! Columns that are encrypted, and encrypting them again with another key.

use serde_json::Value as Json;
use sqlx::types::Json as JsonColumn;
use uuid::Uuid;

use crate::db::{Db, Executor as _, ExecutorExt, Sql, Value};
use crate::plugin::Registry;
use crate::{Error, Pulp, Result};

/// Rows that are read at once, and written in one transaction.
const BATCH: i64 = 500;

/// A column with tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    table: &'static str,
    key: &'static str,
    name: &'static str,
    /// Whether the token is a text in JSON.
    json: bool,
}

/// Those that no field of a resource is.
const OF_NO_FIELD: [Column; 3] = [
    Column { table: "core_contentredirectcontentguard", key: "contentguard_ptr_id", name: "shared_secret", json: false },
    Column { table: "core_domain", key: "pulp_id", name: "storage_settings", json: true },
    Column { table: "core_task", key: "pulp_id", name: "args", json: true },
];

/// What became of the tokens of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// That are encrypted anew.
    pub changed: u64,
    /// That had been encrypted with the first key before.
    pub current: u64,
    /// That none of the keys decrypts: table, column and key of the row.
    pub unreadable: Vec<String>,
}

/// Encrypts all that is not encrypted with the first key anew, with that one. May be broken off and begun again at any time, and others may
/// go on to write meanwhile.
///
/// # Errors
/// If the database cannot be reached, or the machine gives no random bytes.
pub async fn rotate(pulp: &Pulp) -> Result<Rotation> {
    let mut done = Rotation::default();
    for column in columns(pulp.registry()) {
        column.rotate(pulp, &mut done).await?;
    }
    Ok(done)
}

/// All columns with tokens.
fn columns(registry: &Registry) -> Vec<Column> {
    let mut all: Vec<Column> = OF_NO_FIELD.to_vec();
    for resource in registry.resources() {
        for (table, key, name) in resource.sealed_columns() {
            all.push(Column { table, key, name, json: false });
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

impl Column {
    async fn rotate(self, pulp: &Pulp, done: &mut Rotation) -> Result<()> {
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
                let Ok(fresh) = pulp.keys().rotate(&token) else {
                    done.unreadable.push(format!("{}.{} of {id}", self.table, self.name));
                    continue;
                };
                // Only if nobody else has changed it since.
                let mut sql = Sql::new(format!("update {} set {} = ", self.table, self.name));
                sql.push_bind(self.value(fresh)).push(format!(" where {} = ", self.key)).push_bind(id);
                sql.push(format!(" and {} = ", self.name)).push_bind(self.value(token));
                done.changed += tx.run(sql).await?;
            }
            tx.commit().await.map_err(Error::from)?;
        }
    }

    /// The next rows by their keys, and the tokens that they have; a column of JSON may have something else, which is not encrypted.
    async fn rows(self, db: &Db, after: Uuid) -> Result<Vec<(Uuid, Option<String>)>> {
        let mut sql = Sql::new(format!("select {}, {} from {} where {} > ", self.key, self.name, self.table, self.key));
        sql.push_bind(after).push(format!(" order by {} limit ", self.key)).push_bind(BATCH);
        if !self.json {
            return Ok(db.all(sql).await?);
        }
        let rows: Vec<(Uuid, Option<JsonColumn<Json>>)> = db.all(sql).await?;
        let token = |json: JsonColumn<Json>| json.0.as_str().map(str::to_owned);
        Ok(rows.into_iter().map(|(id, json)| (id, json.and_then(token))).collect())
    }

    fn value(self, token: String) -> Value {
        if self.json { Json::String(token).into() } else { token.into() }
    }
}
