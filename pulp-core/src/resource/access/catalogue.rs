//! What of access is the same for every request: policies as described, and the keys of permissions, models and roles.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;
use uuid::Uuid;

use super::defaults::Default as Described;
use super::{Scope, Statement};
use crate::db::{DbError, Executor, ExecutorExt};
use crate::{Error, Result};

/// Read once, when a [`Pulp`](crate::Pulp) is built.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub(super) policies: BTreeMap<String, Described>,
    /// By name: `file.view_filerepository`.
    pub(super) permissions: HashMap<String, i64>,
    /// By model: `file.filerepository`.
    pub(super) models: HashMap<String, i64>,
    /// Locked roles, by name.
    pub(super) roles: HashMap<String, Uuid>,
}

impl Catalogue {
    /// The key of a permission, if there is one of this name.
    pub(crate) fn permission(&self, name: &str) -> Option<i64> {
        self.permissions.get(name).copied()
    }

    /// The key under which roles on objects of a model are stored.
    pub(crate) fn model(&self, name: &str) -> Option<i64> {
        self.models.get(name).copied()
    }

    /// The model of such a key.
    pub(crate) fn model_of(&self, key: i64) -> Option<&str> {
        self.models.iter().find(|(_, known)| **known == key).map(|(name, _)| name.as_str())
    }

    pub(super) fn locked_role(&self, name: &str) -> Option<Uuid> {
        self.roles.get(name).copied()
    }

    /// The policies, as they are before anybody changes them.
    pub(crate) fn described(&self, name: &str) -> Option<&Described> {
        self.policies.get(name)
    }

    /// Whether there is a policy of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.policies.contains_key(name)
    }
}

/// A policy as it counts now.
#[derive(Debug)]
pub(crate) struct Effective<'a> {
    pub(crate) statements: Cow<'a, [Statement]>,
    pub(crate) hooks: &'a Json,
}

/// What administrators have changed, as of the beginning of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides(HashMap<String, Changed>);

#[derive(Debug, Clone)]
struct Changed {
    statements: Json,
    hooks: Json,
    scoping: Json,
}

impl Overrides {
    /// Reads them: few rows, mostly none.
    pub(crate) async fn load<E: Executor + ?Sized>(executor: &E) -> Result<Self, DbError> {
        type Row = (String, sqlx::types::Json<Json>, Option<sqlx::types::Json<Json>>, Option<sqlx::types::Json<Json>>);
        let sql = "select viewset_name, statements, creation_hooks, queryset_scoping from core_accesspolicy where customized";
        let rows: Vec<Row> = executor.all(sql).await?;
        let json = |column: Option<sqlx::types::Json<Json>>| column.map_or(Json::Null, |column| column.0);
        let changed = |(name, statements, hooks, scoping): Row| {
            (name, Changed { statements: statements.0, hooks: json(hooks), scoping: json(scoping) })
        };
        Ok(Self(rows.into_iter().map(changed).collect()))
    }

    /// A policy as it counts now; nothing where there is none, which means: for administrators alone.
    ///
    /// # Errors
    /// [`Error::Internal`] if an administrator has made it so that it cannot be read.
    pub(crate) fn policy<'a>(&'a self, catalogue: &'a Catalogue, name: &str) -> Result<Option<Effective<'a>>> {
        let Some(described) = catalogue.described(name) else { return Ok(None) };
        let Some(changed) = self.0.get(name) else {
            let statements = Cow::Borrowed(described.parsed.as_slice());
            return Ok(Some(Effective { statements, hooks: &described.hooks }));
        };
        let statements = Cow::Owned(Statement::read_all(name, &changed.statements)?);
        // A list that cannot be narrowed as the administrator wants is not shown.
        changed_scope(described, &changed.scoping)?;
        Ok(Some(Effective { statements, hooks: &changed.hooks }))
    }

    /// Which rows a list shows, as it counts now.
    ///
    /// # Errors
    /// As [`policy`](Self::policy).
    pub(crate) fn scope(&self, catalogue: &Catalogue, name: &str) -> Result<Option<Scope>> {
        let Some(described) = catalogue.described(name) else { return Ok(None) };
        match self.0.get(name) {
            None => Ok(Some(described.scope)),
            Some(changed) => changed_scope(described, &changed.scoping).map(Some),
        }
    }
}

/// An administrator can say that a list shows all.
fn changed_scope(described: &Described, scoping: &Json) -> Result<Scope> {
    match (scoping, scoping["function"].as_str()) {
        (Json::Null, _) => Ok(described.scope),
        (Json::Object(nothing), _) if nothing.is_empty() => Ok(Scope::Everything),
        (_, Some("scope_queryset")) => Ok(described.scope),
        (_, Some(other)) => Err(Error::Internal(format!("Queryset scoping method {other} is not present on this view set."))),
        (_, None) => Err(Error::Internal("an access policy's queryset_scoping names no function".to_owned())),
    }
}
