//! What somebody may do, by the roles that they and their groups have.

use std::collections::HashSet;

use uuid::Uuid;

use super::Catalogue;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::model::User;
use crate::resource::Fragment;

/// The most that somebody may do who asks with a token: some permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Limit(HashSet<i64>);

impl Limit {
    /// Of permissions by their names; those that are not known let nobody do anything.
    pub(crate) fn new<'n>(catalogue: &Catalogue, names: impl IntoIterator<Item = &'n String>) -> Self {
        Self(names.into_iter().filter_map(|name| catalogue.permission(name)).collect())
    }
}

/// The permissions of a user as of the beginning of a request: those on everything and on everything in a domain are known, those on
/// single objects are asked for.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    user: i64,
    superuser: bool,
    everywhere: HashSet<i64>,
    in_domain: HashSet<i64>,
    limit: Option<Limit>,
}

impl Grants {
    /// Reads what a user has everywhere, and in a domain.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn load<E: Executor + ?Sized>(executor: &E, user: &User, domain: Uuid) -> Result<Self, DbError> {
        let mut grants = Self { user: user.id, superuser: user.is_superuser, ..Self::default() };
        if user.is_superuser {
            return Ok(grants);
        }
        let sql = Sql::new(
            "select rp.permission_id, r.domain_id is null from \
             (select ur.role_id, ur.domain_id from core_userrole ur \
              where ur.user_id = $1 and ur.content_type_id is null and (ur.domain_id is null or ur.domain_id = $2) \
              union all select gr.role_id, gr.domain_id from auth_user_groups ug join core_grouprole gr on gr.group_id = ug.group_id \
              where ug.user_id = $1 and gr.content_type_id is null and (gr.domain_id is null or gr.domain_id = $2)) r \
             join core_role_permissions rp on rp.role_id = r.role_id",
        );
        for (permission, everywhere) in executor.all::<(i64, bool)>(sql.bind(user.id).bind(domain)).await? {
            let held = if everywhere { &mut grants.everywhere } else { &mut grants.in_domain };
            held.insert(permission);
        }
        Ok(grants)
    }

    /// Of a user who has nothing but roles on single objects.
    pub(crate) fn of_objects(user: i64) -> Self {
        Self { user, ..Self::default() }
    }

    /// The same, but for what a limit does not name.
    #[must_use]
    pub(crate) fn within(mut self, limit: Option<Limit>) -> Self {
        self.limit = limit;
        self
    }

    /// Whether the user may do everything.
    pub fn is_superuser(&self) -> bool {
        self.superuser && self.limit.is_none()
    }

    /// Whether the user may have a permission at all: no token keeps it back.
    pub(crate) fn lets(&self, catalogue: &Catalogue, permission: &str) -> bool {
        let Some(Limit(named)) = &self.limit else { return true };
        catalogue.permission(permission).is_some_and(|id| named.contains(&id))
    }

    /// Whether the user has a permission on everything.
    pub(crate) fn everywhere(&self, catalogue: &Catalogue, permission: &str) -> bool {
        self.held(&self.everywhere, catalogue, permission)
    }

    /// Whether the user has a permission on everything in the domain of the request, by a role that was given for that domain.
    pub(crate) fn in_domain(&self, catalogue: &Catalogue, permission: &str) -> bool {
        self.held(&self.in_domain, catalogue, permission)
    }

    fn held(&self, among: &HashSet<i64>, catalogue: &Catalogue, permission: &str) -> bool {
        self.lets(catalogue, permission) && (self.superuser || catalogue.permission(permission).is_some_and(|id| among.contains(&id)))
    }

    /// The keys of the objects of a model on which the user has a permission by a role that was given for them: a sub-select.
    pub(crate) fn objects(&self, catalogue: &Catalogue, model: &str, permission: &str) -> Option<Fragment> {
        if !self.lets(catalogue, permission) {
            return None;
        }
        let (model, permission) = (catalogue.model(model)?, catalogue.permission(permission)?);
        let roles =
            || Fragment::new("(select rp.role_id from core_role_permissions rp where rp.permission_id = ").bind(permission).text(")");
        Some(
            Fragment::new("select ur.object_id from core_userrole ur where ur.user_id = ")
                .bind(self.user)
                .text(" and ur.content_type_id = ")
                .bind(model)
                .text(" and ur.role_id in ")
                .then(roles())
                .text(" union all select gr.object_id from auth_user_groups ug join core_grouprole gr on gr.group_id = ug.group_id where ug.user_id = ")
                .bind(self.user)
                .text(" and gr.content_type_id = ")
                .bind(model)
                .text(" and gr.role_id in ")
                .then(roles()),
        )
    }

    /// Whether the user has a permission on one object by a role that was given for it.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub(crate) async fn on_object<E: Executor + ?Sized>(
        &self,
        executor: &E,
        catalogue: &Catalogue,
        (model, id): (&str, Uuid),
        permission: &str,
    ) -> Result<bool, DbError> {
        if self.superuser {
            return Ok(self.lets(catalogue, permission));
        }
        let Some(objects) = self.objects(catalogue, model, permission) else { return Ok(false) };
        let mut sql = Sql::new("select 1 from (");
        objects.write(&mut sql);
        sql.push(") held where held.object_id = ").push_bind(id).push(" limit 1");
        Ok(!executor.rows(sql).await?.is_empty())
    }
}
