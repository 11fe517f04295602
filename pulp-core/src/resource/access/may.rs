//! Whether somebody may do something with one object: for code that is asked outside of a request to the API.

use uuid::Uuid;

use super::Grants;
use crate::db::{ExecutorExt, Sql};
use crate::model::User;
use crate::{Pulp, Result};

/// Whether a user has a permission on an object: by a role on everything, on everything in its domain, or on itself.
///
/// # Errors
/// If the database cannot be reached.
pub(crate) async fn may(pulp: &Pulp, user: &User, permission: &str, domain: Uuid, (model, id): (&str, Uuid)) -> Result<bool> {
    let (db, access) = (pulp.db(), pulp.access());
    let grants = Grants::load(db, user, domain).await?;
    Ok(grants.everywhere(access, permission)
        || grants.in_domain(access, permission)
        || grants.on_object(db, access, (model, id), permission).await?)
}

/// Names of users or groups that have a permission on an object by a role on itself, with the object's key, in the order of names.
///
/// # Errors
/// If the database cannot be reached.
pub(crate) async fn entitled(
    pulp: &Pulp,
    holder: crate::model::role::Holder,
    permission: &str,
    model: &str,
    objects: &[Uuid],
) -> Result<Vec<(Uuid, i64, String)>> {
    let access = pulp.access();
    let (Some(permission), Some(model)) = (access.permission(permission), access.model(model)) else { return Ok(Vec::new()) };
    let (table, name) = holder.names();
    let mut sql = Sql::new(format!(
        "select distinct g.object_id, h.id, h.{name} from {} g join core_role_permissions rp on rp.role_id = g.role_id \
         join {table} h on h.id = g.{} where rp.permission_id = $1 and g.content_type_id = $2 and g.object_id in ",
        holder.table(),
        holder.column()
    ))
    .bind(permission)
    .bind(model);
    sql.push_list(objects).push(format!(" order by h.{name}"));
    Ok(pulp.db().all(sql).await?)
}
