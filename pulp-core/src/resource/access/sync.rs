//! Brings what the database knows of models, permissions, locked roles and policies in line with what is registered: at every start,
//! and writing only what has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value as Json;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::policy::LockedRole;
use super::{Catalogue, app_of, defaults};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{Db, DbError, Executor, ExecutorExt, Sql, Tx, Value};
use crate::ids::new_id;
use crate::plugin::Registry;

/// Processes that start at the same time do this one after the other.
const LOCK: i64 = 0x70_75_6c_70_61_63;

impl Catalogue {
    /// Reads what is registered, and writes what the database does not know of it yet.
    ///
    /// # Errors
    /// If descriptions contradict each other, or the database cannot be reached.
    pub(crate) async fn open(db: &Db, registry: &Registry, now: Timestamp) -> Result<Self> {
        let mut catalogue = Self { policies: defaults::policies(registry)?, ..Self::default() };
        let permissions = defaults::permissions(registry);
        let roles = defaults::roles(registry)?;
        let tx = db.begin().await?;
        if let Some(lock) = tx.dialect().advisory_lock() {
            tx.rows(Sql::new(lock).bind(LOCK)).await?;
        }
        catalogue.models = models(&tx, &permissions).await?;
        catalogue.permissions = codenames(&tx, &catalogue.models, &permissions).await?;
        catalogue.roles = locked_roles(&tx, &catalogue.permissions, &roles, now).await?;
        catalogue.write_policies(&tx, now).await?;
        tx.commit().await?;
        Ok(catalogue)
    }

    async fn write_policies(&self, tx: &Tx, now: Timestamp) -> Result<(), DbError> {
        type Row = (String, bool, Column<Json>, Option<Column<Json>>, Option<Column<Json>>);
        let sql = "select viewset_name, customized, statements, creation_hooks, queryset_scoping from core_accesspolicy";
        let known: HashMap<String, Row> = tx.all::<Row>(sql).await?.into_iter().map(|row| (row.0.clone(), row)).collect();
        let null = |value: &Json| Value::Json((!value.is_null()).then(|| value.clone()));
        for (name, policy) in self.policies.iter().filter(|(_, policy)| policy.listed) {
            match known.get(name) {
                None => {
                    let mut sql = Sql::new(
                        "insert into core_accesspolicy (pulp_id, pulp_created, pulp_last_updated, viewset_name, customized, statements, \
                         creation_hooks, queryset_scoping) values ",
                    );
                    sql.push_list::<Value>([
                        new_id().into(),
                        now.into(),
                        now.into(),
                        name.into(),
                        false.into(),
                        policy.statements.clone().into(),
                        null(&policy.hooks),
                        null(&policy.scoping),
                    ]);
                    tx.execute(sql).await?;
                }
                Some((_, customized, statements, hooks, scoping)) => {
                    let json = |column: &Option<Column<Json>>| column.as_ref().map_or(Json::Null, |column| column.0.clone());
                    let same = statements.0 == policy.statements && json(hooks) == policy.hooks && json(scoping) == policy.scoping;
                    if !*customized && !same {
                        let sql = Sql::new(
                            "update core_accesspolicy set statements = $1, creation_hooks = $2, queryset_scoping = $3, pulp_last_updated = $4 \
                             where viewset_name = $5 and not customized",
                        );
                        let sql = sql.bind(policy.statements.clone()).bind(null(&policy.hooks)).bind(null(&policy.scoping));
                        tx.execute(sql.bind(now).bind(name)).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

async fn models(tx: &Tx, permissions: &BTreeMap<String, Vec<String>>) -> Result<HashMap<String, i64>, DbError> {
    let read = async || -> Result<HashMap<String, i64>, DbError> {
        let rows: Vec<(String, String, i64)> = tx.all("select app_label, model, id from django_content_type").await?;
        Ok(rows.into_iter().map(|(app, model, id)| (format!("{app}.{model}"), id)).collect())
    };
    let known = read().await?;
    let missing: Vec<[Value; 2]> = permissions
        .keys()
        .filter(|model| !known.contains_key(*model))
        .filter_map(|model| model.split_once('.'))
        .map(|(app, name)| [app.into(), name.into()])
        .collect();
    if missing.is_empty() {
        return Ok(known);
    }
    let mut sql = Sql::new("insert into django_content_type (app_label, model) values ");
    sql.push_rows(missing);
    tx.execute(sql).await?;
    read().await
}

async fn codenames(
    tx: &Tx,
    models: &HashMap<String, i64>,
    permissions: &BTreeMap<String, Vec<String>>,
) -> Result<HashMap<String, i64>, DbError> {
    let apps: HashMap<i64, &str> = models.iter().map(|(model, id)| (*id, app_of(model))).collect();
    let read = async || -> Result<HashMap<(i64, String), i64>, DbError> {
        let rows: Vec<(i64, String, i64)> = tx.all("select content_type_id, codename, id from auth_permission").await?;
        Ok(rows.into_iter().map(|(model, codename, id)| ((model, codename), id)).collect())
    };
    let mut known = read().await?;
    let wanted = permissions.iter().filter_map(|(model, codenames)| Some((*models.get(model)?, codenames)));
    let missing: Vec<[Value; 3]> = wanted
        .flat_map(|(model, codenames)| codenames.iter().map(move |codename| (model, codename)))
        .filter(|(model, codename)| !known.contains_key(&(*model, (*codename).clone())))
        .map(|(model, codename)| [format!("Can {}", codename.replace('_', " ")).into(), model.into(), codename.into()])
        .collect();
    if !missing.is_empty() {
        let mut sql = Sql::new("insert into auth_permission (name, content_type_id, codename) values ");
        sql.push_rows(missing);
        tx.execute(sql).await?;
        known = read().await?;
    }
    let named = |((model, codename), id): ((i64, String), i64)| Some((format!("{}.{codename}", apps.get(&model)?), id));
    Ok(known.into_iter().filter_map(named).collect())
}

async fn locked_roles(
    tx: &Tx,
    permissions: &HashMap<String, i64>,
    roles: &[LockedRole],
    now: Timestamp,
) -> Result<HashMap<String, Uuid>, DbError> {
    let rows: Vec<(String, Uuid, Option<String>, bool)> = tx.all("select name, pulp_id, description, locked from core_role").await?;
    let known: HashMap<&str, &(String, Uuid, Option<String>, bool)> = rows.iter().map(|row| (row.0.as_str(), row)).collect();
    let mut carried: HashMap<Uuid, BTreeSet<i64>> = HashMap::new();
    let sql = "select rp.role_id, rp.permission_id from core_role_permissions rp join core_role r on r.pulp_id = rp.role_id where r.locked";
    for (role, permission) in tx.all::<(Uuid, i64)>(sql).await? {
        carried.entry(role).or_default().insert(permission);
    }
    let mut all = HashMap::new();
    for role in roles {
        let wanted: BTreeSet<i64> = role.permissions.iter().filter_map(|name| permissions.get(name).copied()).collect();
        let id = match known.get(role.name.as_str()) {
            Some((_, id, description, true)) if description.as_deref() == role.description => *id,
            Some((_, id, ..)) => {
                let sql = Sql::new("update core_role set locked = true, description = $1, pulp_last_updated = $2 where pulp_id = $3");
                tx.execute(sql.bind(role.description).bind(now).bind(*id)).await?;
                *id
            }
            None => {
                let id = new_id();
                let sql = Sql::new(
                    "insert into core_role (pulp_id, pulp_created, pulp_last_updated, name, description, locked) \
                     values ($1, $2, $2, $3, $4, true)",
                );
                tx.execute(sql.bind(id).bind(now).bind(&role.name).bind(role.description)).await?;
                id
            }
        };
        if carried.get(&id).unwrap_or(&BTreeSet::new()) != &wanted {
            set_permissions(tx, id, wanted).await?;
        }
        all.insert(role.name.clone(), id);
    }
    Ok(all)
}

/// Gives a role these permissions, and no others.
pub(crate) async fn set_permissions(tx: &Tx, role: Uuid, permissions: BTreeSet<i64>) -> Result<(), DbError> {
    tx.execute(Sql::new("delete from core_role_permissions where role_id = $1").bind(role)).await?;
    if permissions.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("insert into core_role_permissions (role_id, permission_id) values ");
    sql.push_rows(permissions.into_iter().map(|permission| [Value::from(role), Value::from(permission)]));
    tx.execute(sql).await?;
    Ok(())
}
