//! Roles, and where they are given.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::ids::new_id;

/// To whom a role is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A user.
    User,
    /// A group.
    Group,
}

impl Holder {
    /// The table of what is given.
    pub const fn table(self) -> &'static str {
        match self {
            Self::User => "core_userrole",
            Self::Group => "core_grouprole",
        }
    }

    /// Its column that points to who has the role.
    pub const fn column(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Group => "group_id",
        }
    }

    /// The table of holders, and the column of their names.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::User => ("auth_user", "username"),
            Self::Group => ("auth_group", "name"),
        }
    }
}

/// On what a role is given: on everything, on all in a domain, or on one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Everywhere,
    /// All in a domain.
    Domain(Uuid),
    /// One object: the key of its model, and its own.
    Object(i64, Uuid),
}

impl Extent {
    fn parts(self) -> (Option<Uuid>, Option<i64>, Option<Uuid>) {
        match self {
            Self::Everywhere => (None, None, None),
            Self::Domain(domain) => (Some(domain), None, None),
            Self::Object(model, object) => (None, Some(model), Some(object)),
        }
    }
}

/// A role with what it lets do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Key.
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Permissions, sorted by name, each with the key of its model.
    pub permissions: BTreeMap<String, i64>,
}

impl Role {
    /// The role of this name.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn by_name<E: Executor + ?Sized>(executor: &E, name: &str) -> Result<Option<Self>, DbError> {
        if name.contains('\0') {
            return Ok(None);
        }
        let id: Option<(Uuid,)> = executor.optional(Sql::new("select pulp_id from core_role where name = $1").bind(name)).await?;
        let Some((id,)) = id else { return Ok(None) };
        Ok(Self::by_ids(executor, &[id]).await?.remove(&id))
    }

    /// Roles by their keys.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn by_ids<E: Executor + ?Sized>(executor: &E, ids: &[Uuid]) -> Result<HashMap<Uuid, Self>, DbError> {
        let mut sql = Sql::new("select pulp_id, name, description from core_role where pulp_id in ");
        sql.push_list(ids);
        let rows: Vec<(Uuid, String, Option<String>)> = executor.all(sql).await?;
        let mut roles: HashMap<Uuid, Self> =
            rows.into_iter().map(|(id, name, description)| (id, Self { id, name, description, permissions: BTreeMap::new() })).collect();
        let mut sql = Sql::new(
            "select rp.role_id, c.app_label, p.codename, p.content_type_id from core_role_permissions rp \
             join auth_permission p on p.id = rp.permission_id join django_content_type c on c.id = p.content_type_id where rp.role_id in ",
        );
        sql.push_list(ids);
        for (role, app, codename, model) in executor.all::<(Uuid, String, String, i64)>(sql).await? {
            if let Some(role) = roles.get_mut(&role) {
                role.permissions.insert(format!("{app}.{codename}"), model);
            }
        }
        Ok(roles)
    }

    /// Whether it lets do anything with objects of a model.
    pub fn concerns(&self, model: i64) -> bool {
        self.permissions.values().any(|known| *known == model)
    }
}

/// Gives a role; whether it was not given yet.
///
/// # Errors
/// If the database refuses.
pub async fn give<E: Executor + ?Sized>(
    executor: &E,
    (holder, who): (Holder, i64),
    role: Uuid,
    extent: Extent,
    now: Timestamp,
) -> Result<Option<Uuid>, DbError> {
    let (domain, model, object) = extent.parts();
    let id = new_id();
    let sql = Sql::new(format!(
        "insert into {} (pulp_id, pulp_created, pulp_last_updated, role_id, {}, domain_id, content_type_id, object_id) \
         values ($1, $2, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        holder.table(),
        holder.column()
    ));
    let made = executor.execute(sql.bind(id).bind(now).bind(role).bind(who).bind(domain).bind(model).bind(object)).await?;
    Ok((made > 0).then_some(id))
}

/// Takes a role on an object away; whether it was given.
///
/// # Errors
/// If the database refuses.
pub async fn take<E: Executor + ?Sized>(
    executor: &E,
    (holder, who): (Holder, i64),
    role: Uuid,
    (model, object): (i64, Uuid),
) -> Result<bool, DbError> {
    let sql = Sql::new(format!(
        "delete from {} where role_id = $1 and {} = $2 and content_type_id = $3 and object_id = $4",
        holder.table(),
        holder.column()
    ));
    Ok(executor.execute(sql.bind(role).bind(who).bind(model).bind(object)).await? > 0)
}

/// Who has which role on an object: role, holder’s kind and name.
///
/// # Errors
/// If the database cannot be reached.
pub async fn on_object<E: Executor + ?Sized>(executor: &E, (model, object): (i64, Uuid)) -> Result<Vec<(String, Holder, String)>, DbError> {
    let mut all = Vec::new();
    for holder in [Holder::User, Holder::Group] {
        let (table, name) = holder.names();
        let sql = Sql::new(format!(
            "select r.name, h.{name} from {} g join core_role r on r.pulp_id = g.role_id join {table} h on h.id = g.{} \
             where g.content_type_id = $1 and g.object_id = $2 order by r.name, h.{name}",
            holder.table(),
            holder.column()
        ));
        let rows: Vec<(String, String)> = executor.all(sql.bind(model).bind(object)).await?;
        all.extend(rows.into_iter().map(|(role, who)| (role, holder, who)));
    }
    Ok(all)
}

/// The permissions of a model that a user has on one object by roles given for it.
///
/// # Errors
/// If the database cannot be reached.
pub async fn permissions_on<E: Executor + ?Sized>(executor: &E, user: i64, (model, object): (i64, Uuid)) -> Result<Vec<String>, DbError> {
    let sql = Sql::new(
        "select distinct c.app_label, p.codename from \
         (select ur.role_id from core_userrole ur where ur.user_id = $1 and ur.content_type_id = $2 and ur.object_id = $3 \
          union all select gr.role_id from auth_user_groups ug join core_grouprole gr on gr.group_id = ug.group_id \
          where ug.user_id = $1 and gr.content_type_id = $2 and gr.object_id = $3) r \
         join core_role_permissions rp on rp.role_id = r.role_id join auth_permission p on p.id = rp.permission_id \
         join django_content_type c on c.id = p.content_type_id where p.content_type_id = $2 order by p.codename",
    );
    let rows: Vec<(String, String)> = executor.all(sql.bind(user).bind(model).bind(object)).await?;
    Ok(rows.into_iter().map(|(app, codename)| format!("{app}.{codename}")).collect())
}

/// The keys of users or groups by their names.
///
/// # Errors
/// If the database cannot be reached.
pub async fn holders<E: Executor + ?Sized>(executor: &E, holder: Holder, names: &[&str]) -> Result<HashMap<String, i64>, DbError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let (table, column) = holder.names();
    let mut sql = Sql::new(format!("select {column}, id from {table} where {column} in "));
    sql.push_list(names.iter().copied().filter(|name| !name.contains('\0')));
    Ok(executor.all::<(String, i64)>(sql).await?.into_iter().collect())
}
