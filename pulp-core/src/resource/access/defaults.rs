//! The policies of all that is registered, as they are before anybody changes them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::policy::{AccessPolicy, LockedRole, Scope};
use super::{Statement, derive};
use crate::plugin::Registry;
use crate::resource::Resource;
use crate::{Error, Result};

/// A policy as its description says.
#[derive(Debug, Clone)]
pub(crate) struct Default {
    /// As they are shown.
    pub(crate) statements: Json,
    /// As they are read.
    pub(crate) parsed: Vec<Statement>,
    pub(crate) hooks: Json,
    pub(crate) scoping: Json,
    pub(crate) scope: Scope,
    pub(crate) listed: bool,
}

/// By the name of the policy: the path of the list that it is about.
pub(super) fn policies(registry: &Registry) -> Result<BTreeMap<String, Default>> {
    let mut all = BTreeMap::new();
    for resource in registry.resources() {
        let Some(policy) = resource.own_policy() else { continue };
        let statements = resource.statements(registry, &policy);
        all.insert(resource.path.to_owned(), default(resource.path, statements, resource.creation_hooks(&policy), &policy)?);
        if resource.shows_versions() {
            let (name, policy) = (format!("{}/versions", resource.path), resource.versions_policy(registry));
            all.insert(name.clone(), default(&name, derive::statements(&policy.rules), Json::Null, &policy)?);
        }
    }
    for (name, policy) in registry.policies() {
        let hooks = if policy.creator.is_some() { json!([]) } else { Json::Null };
        all.insert((*name).to_owned(), default(name, derive::statements(&policy.rules), hooks, policy)?);
    }
    Ok(all)
}

fn default(name: &str, statements: Json, hooks: Json, policy: &AccessPolicy) -> Result<Default> {
    let parsed = Statement::read_all(name, &statements)?;
    let scoping = if policy.scope == Scope::Everything { Json::Null } else { json!({"function": "scope_queryset"}) };
    Ok(Default { statements, parsed, hooks, scoping, scope: policy.scope, listed: policy.listed })
}

/// The roles that are there from the beginning.
pub(super) fn roles(registry: &Registry) -> Result<Vec<LockedRole>> {
    let mut all: Vec<LockedRole> = Vec::new();
    for role in registry.resources().iter().flat_map(|resource| resource.locked_roles()) {
        if all.iter().any(|known| known.name == role.name) {
            return Err(Error::Internal(format!("two roles are called `{}`", role.name)));
        }
        all.push(role);
    }
    Ok(all)
}

/// All permissions, by model.
pub(super) fn permissions(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // A list over all types has no model of its own, but for its permissions.
    for resource in registry.resources() {
        let known = all.entry(resource.model.clone()).or_default();
        known.extend(Resource::codenames(resource));
        known.sort_unstable();
        known.dedup();
    }
    all
}
