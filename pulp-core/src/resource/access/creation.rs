//! What happens when an object is made: whoever makes it gets roles on it.

use serde_json::Value as Json;
use uuid::Uuid;

use super::statement::texts;
use super::{Catalogue, Overrides};
use crate::db::{DbError, Executor, ExecutorExt, Sql, Tx, Value};
use crate::ids::new_id;
use crate::{Pulp, Result};

/// Takes the steps that the policy of this name has for a new object, in the transaction that makes it. `creator` is who makes it.
///
/// # Errors
/// If the database refuses.
pub(crate) async fn give_to_creator(pulp: &Pulp, tx: &Tx, creator: Option<i64>, policy: &str, (model, id): (&str, Uuid)) -> Result<()> {
    let Some(creator) = creator else { return Ok(()) };
    let access = pulp.access();
    let (Some(model), true) = (access.model(model), access.has(policy)) else { return Ok(()) };
    let overrides = Overrides::load(tx).await?;
    let Some(effective) = overrides.policy(access, policy)? else { return Ok(()) };
    let given = Given { pulp, tx, access, model, id };
    for hook in effective.hooks.as_array().into_iter().flatten() {
        given.step(creator, hook).await?;
    }
    Ok(())
}

/// Gives a user a locked role on an object.
///
/// # Errors
/// If the database refuses.
pub(crate) async fn give_role(pulp: &Pulp, tx: &Tx, user: i64, role: &str, (model, id): (&str, Uuid)) -> Result<()> {
    let access = pulp.access();
    match (access.model(model), access.locked_role(role)) {
        (Some(model), Some(role)) => Given { pulp, tx, access, model, id }.insert("core_userrole", "user_id", &[user], &[role]).await,
        _ => Ok(()),
    }
}

struct Given<'a> {
    pulp: &'a Pulp,
    tx: &'a Tx,
    access: &'a Catalogue,
    model: i64,
    id: Uuid,
}

impl Given<'_> {
    async fn step(&self, creator: i64, hook: &Json) -> Result<()> {
        let parameters = &hook["parameters"];
        let named = |name: &str| texts(&parameters[name]).unwrap_or_default();
        let roles = self.roles(&named("roles")).await?;
        match hook["function"].as_str() {
            Some("add_roles_for_object_creator") => self.insert("core_userrole", "user_id", &[creator], &roles).await,
            Some("add_roles_for_users") => {
                let users = self.keys("auth_user", "username", &named("users")).await?;
                self.insert("core_userrole", "user_id", &users, &roles).await
            }
            Some("add_roles_for_groups") => {
                let groups = self.keys("auth_group", "name", &named("groups")).await?;
                self.insert("core_grouprole", "group_id", &groups, &roles).await
            }
            other => {
                tracing::warn!(function = other, "a creation hook of an access policy is not known, and passed over");
                Ok(())
            }
        }
    }

    async fn roles(&self, names: &[String]) -> Result<Vec<Uuid>, DbError> {
        let mut known: Vec<Uuid> = Vec::new();
        let mut other: Vec<&String> = Vec::new();
        for name in names {
            match self.access.locked_role(name) {
                Some(id) => known.push(id),
                None => other.push(name),
            }
        }
        if !other.is_empty() {
            let mut sql = Sql::new("select pulp_id from core_role where name in ");
            sql.push_list(other);
            known.extend(self.tx.column::<Uuid>(sql).await?);
        }
        Ok(known)
    }

    async fn keys(&self, table: &str, column: &str, names: &[String]) -> Result<Vec<i64>, DbError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(format!("select id from {table} where {column} in "));
        sql.push_list(names);
        self.tx.column(sql).await
    }

    async fn insert(&self, table: &str, column: &str, holders: &[i64], roles: &[Uuid]) -> Result<()> {
        let now = self.pulp.now();
        let pairs = holders.iter().flat_map(|holder| roles.iter().map(move |role| (*holder, *role)));
        let rows: Vec<[Value; 7]> = pairs
            .map(|(holder, role)| [new_id().into(), now.into(), now.into(), self.id.into(), self.model.into(), role.into(), holder.into()])
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new(format!(
            "insert into {table} (pulp_id, pulp_created, pulp_last_updated, object_id, content_type_id, role_id, {column}) values "
        ));
        sql.push_rows(rows).push(" on conflict do nothing");
        self.tx.execute(sql).await?;
        Ok(())
    }
}

/// Takes away what was given on an object that goes.
///
/// # Errors
/// If the database refuses.
pub(crate) async fn forget<E: Executor + ?Sized>(executor: &E, id: Uuid) -> Result<(), DbError> {
    for table in ["core_userrole", "core_grouprole"] {
        executor.execute(Sql::new(format!("delete from {table} where object_id = $1")).bind(id)).await?;
    }
    Ok(())
}
