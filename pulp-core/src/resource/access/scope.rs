//! What a list shows to somebody who is no administrator: part of its SQL.

use super::{Catalogue, Grants, Overrides, Scope, permission};
use crate::Result;
use crate::db::Dialect;
use crate::resource::{Context, Fragment, Noun, Resource};

/// The condition on `b` that the asker may see a row of a resource.
///
/// # Errors
/// If a policy cannot be read.
pub(crate) fn visible(cx: &Context, resource: &Resource) -> Result<Fragment> {
    let Some(user) = cx.user() else { return Ok(Fragment::always()) };
    if user.is_superuser {
        return Ok(Fragment::always());
    }
    let (Some(grants), Some(overrides)) = (cx.grants(), cx.overrides()) else { return Ok(Fragment::never()) };
    Asker { cx, grants, overrides, catalogue: cx.pulp().access() }.of(resource)
}

struct Asker<'a> {
    cx: &'a Context,
    grants: &'a Grants,
    overrides: &'a Overrides,
    catalogue: &'a Catalogue,
}

impl Asker<'_> {
    fn of(&self, resource: &Resource) -> Result<Fragment> {
        // What belongs to another thing is reached through it, and that was checked.
        if resource.nested {
            return Ok(Fragment::always());
        }
        let Some(scope) = self.overrides.scope(self.catalogue, resource.path)? else { return Ok(Fragment::never()) };
        Ok(match scope {
            Scope::Everything => Fragment::always(),
            Scope::Own(column) => self.own(column),
            Scope::Viewed if resource.typed() && resource.pulp_type.is_none() => self.by_type(resource)?,
            Scope::Viewed => self.held(resource, "b"),
            Scope::InViewedRepositories if resource.pulp_type.is_none() => self.by_type(resource)?,
            Scope::InViewedRepositories => self.in_repositories()?,
            Scope::VersionsOfViewedRepositories => match self.repositories("v")? {
                None => Fragment::always(),
                Some(which) => Fragment::new("b.repository_id in (select v.pulp_id from core_repository v where ").then(which).text(")"),
            },
            Scope::OfViewedTasks => {
                let tasks = self.cx.pulp().registry().resource_at("tasks");
                let held = tasks.map_or_else(Fragment::never, |tasks| self.held(tasks, "t"));
                Fragment::new("exists (select 1 from core_task t where t.task_group_id = b.pulp_id and (").then(held).text("))")
            }
        })
    }

    fn own(&self, column: &'static str) -> Fragment {
        self.cx.user().map_or_else(Fragment::never, |user| Fragment::new(format!("b.{column} = ")).bind(user.id))
    }

    /// The condition that the asker may view a row, of a resource with one model.
    fn held(&self, resource: &Resource, alias: &str) -> Fragment {
        let view = permission(&resource.model, "view");
        if self.grants.everywhere(self.catalogue, &view) || (resource.in_domain && self.grants.in_domain(self.catalogue, &view)) {
            return Fragment::always();
        }
        let Some(objects) = self.grants.objects(self.catalogue, &resource.model, &view) else { return Fragment::never() };
        let dialect: Dialect = crate::db::Executor::dialect(self.cx.pulp().db());
        let key = format!("{alias}.{}", resource.key);
        let key = if resource.integer_key { dialect.uuid_of_number(&key) } else { key };
        Fragment::new(format!("{key} in (")).then(objects).text(")")
    }

    /// The condition on a list over all types: each type has its own.
    fn by_type(&self, all: &Resource) -> Result<Fragment> {
        Ok(match self.types(all.noun, "b")? {
            Some(which) if all.noun == Noun::Content => {
                // Which unit is in which repository is looked at once, not per type.
                which.and(self.in_repositories()?)
            }
            Some(which) => which,
            None if all.noun == Noun::Content => self.in_repositories()?,
            None => Fragment::always(),
        })
    }

    /// Which rows of a base table may be seen, by their type; `None` for all.
    fn types(&self, noun: Noun, alias: &str) -> Result<Option<Fragment>> {
        let mut which: Option<Fragment> = None;
        let mut everything = true;
        for resource in self.cx.pulp().registry().resources().iter().filter(|resource| resource.noun == noun) {
            let Some(pulp_type) = resource.pulp_type else { continue };
            let held = match self.overrides.scope(self.catalogue, resource.path)? {
                None => Fragment::never(),
                Some(Scope::Viewed) => self.held(resource, alias),
                Some(_) => Fragment::always(),
            };
            everything = everything && held == Fragment::always();
            if held == Fragment::never() {
                continue;
            }
            let mut one = Fragment::new(format!("{alias}.pulp_type = ")).bind(pulp_type);
            if held != Fragment::always() {
                one = one.and(held);
            }
            which = Some(match which {
                None => one,
                Some(before) => before.or(one),
            });
        }
        Ok(if everything { None } else { Some(which.unwrap_or_else(Fragment::never)) })
    }

    /// Which repositories the asker may view; `None` for all.
    fn repositories(&self, alias: &str) -> Result<Option<Fragment>> {
        self.types(Noun::Repository, alias)
    }

    /// Units that are, or were, in a repository that the asker may view.
    fn in_repositories(&self) -> Result<Fragment> {
        let member = Fragment::new("exists (select 1 from core_repositorycontent sc where sc.content_id = b.pulp_id");
        Ok(match self.repositories("v")? {
            None => member.text(")"),
            Some(which) => member
                .text(" and sc.repository_id in (select v.pulp_id from core_repository v where v.pulp_domain_id = ")
                .bind(self.cx.domain().pulp_id)
                .text(" and (")
                .then(which)
                .text(")))"),
        })
    }
}
