//! The one place that lists every route.

use std::sync::Arc;

use http::Method;

use super::endpoints::{
    artifacts, assignments, audit, disk_usage, groups, importers, login, object_roles, orphans, repair, root, scrub, status, tasks, upkeep,
    uploads, versions,
};
use super::openapi::{self, Documents};
use super::router::{Access, Acts, Guarded, Route, Router};
use super::{crud, nested};
use crate::model::role::Holder;
use crate::plugin::Registry;
use crate::resource::{Action, Change, Create, On, Parent, Purpose, Resource};

/// The routes of core and of all that is registered.
pub(super) fn all(registry: &Registry) -> (Router, Arc<Documents>) {
    let mut router = Router::default();
    let open = || Route::new(Access::Anyone);
    let admin = || Route::new(Access::Superuser);
    let of = |path: &str, acts: Acts| match registry.resource_at(path) {
        Some(resource) => guarded(resource, acts),
        None => Route::new(Access::Superuser),
    };

    router.add("", open().get(root::index));
    router.add("status/", open().get(status::status));
    router.add("livez/", open().get(status::alive).any_type());
    router.add(
        "login/",
        by_policy("login", None, None, Acts::Object)
            .get(login::read)
            .post(login::open)
            .on(Method::PATCH, login::update)
            .on(Method::DELETE, login::close),
    );
    router.add("orphans/", admin().on(Method::DELETE, orphans::delete));
    router.add("orphans/cleanup/", admin().post(orphans::cleanup));
    router.add("importers/core/pulp/import-check/", admin().post(importers::check));
    router.add("repositories/reclaim_space/", admin().post(upkeep::reclaim));
    router.add("datarepair/7272/", admin().post(upkeep::recount));
    router.add("disk_usage/", admin().get(disk_usage::read));
    router.add("repair/", admin().post(repair::all));
    router.add("scrub/status/", admin().get(scrub::status));
    router.add("scrub/run/", admin().post(scrub::run));
    router.add("tasks/purge/", of("tasks", Acts::Named("purge")).post(tasks::purge));
    router
        .add("tasks/{id}/", of("tasks", Acts::Object).get(tasks::read).on(Method::PATCH, tasks::cancel).on(Method::DELETE, tasks::delete));
    router.add("tasks/{id}/events/", of("tasks", Acts::Object).get(tasks::events).any_type());
    router.add("task-groups/{id}/", of("task-groups", Acts::Object).get(tasks::read_group).on(Method::PATCH, tasks::cancel_group));
    router.add(
        "uploads/{id}/",
        of("uploads", Acts::Object).get(uploads::read).on(Method::PUT, uploads::chunk).on(Method::DELETE, uploads::delete),
    );
    router.add("uploads/{id}/commit/", of("uploads", Acts::Named("commit")).post(uploads::commit));

    router.add("audit/", of("audit", Acts::Collection).get(audit::list));

    for resource in registry.resources() {
        match resource.parent {
            None => add_resource(&mut router, resource),
            Some(parent) => add_nested(registry, &mut router, resource, parent),
        }
    }
    for resource in registry.resources().iter().filter(|resource| resource.shows_versions()) {
        let path = format!("{}/{{id}}/versions/", resource.path);
        let [list, read, delete, mend, compare] = std::array::from_fn(|_| Arc::clone(resource));
        let policy = format!("{}/versions", resource.path);
        let of_version = |acts| by_policy(&policy, None, Some(Arc::clone(resource)), acts);
        router.add(path.as_str(), of_version(Acts::Collection).get(move |request| versions::list(request, Arc::clone(&list))));
        router.add(
            format!("{path}{{number}}/"),
            of_version(Acts::Object)
                .get(move |request| versions::read(request, Arc::clone(&read)))
                .on(Method::DELETE, move |request| versions::delete(request, Arc::clone(&delete))),
        );
        if resource.can_be_scanned(registry) {
            let scan = Arc::clone(resource);
            let route = of_version(Acts::Named("scan")).post(move |request| versions::scan(request, Arc::clone(&scan)));
            router.add(format!("{path}{{number}}/scan/"), route);
        }
        router.add(
            format!("{path}{{number}}/diff/"),
            of_version(Acts::Object).get(move |request| versions::difference::read(request, Arc::clone(&compare))),
        );
        router.add(
            format!("{path}{{number}}/repair/"),
            of_version(Acts::Named("repair")).post(move |request| versions::repair(request, Arc::clone(&mend))),
        );
    }
    for (path, holder) in [("users", Holder::User), ("groups", Holder::Group)] {
        if let Some(holders) = registry.resource_at(path) {
            add_assignments(&mut router, holders, holder);
        }
    }
    if let Some(of) = registry.resource_at("groups") {
        let route = |acts| by_policy("groups/users", None, Some(Arc::clone(of)), acts);
        let (list, add, remove) = (Arc::clone(of), Arc::clone(of), Arc::clone(of));
        let members = route(Acts::Collection)
            .get(move |request| groups::list(request, Arc::clone(&list)))
            .post(move |request| groups::add(request, Arc::clone(&add)));
        router.add("groups/{id}/users/", members);
        let member = route(Acts::Object).on(Method::DELETE, move |request| groups::remove(request, Arc::clone(&remove)));
        router.add("groups/{id}/users/{user}/", member);
    }
    let documents = Arc::new(Documents::of(&router));
    let (json, yaml) = (Arc::clone(&documents), Arc::clone(&documents));
    router.add("docs/", open().get(openapi::page).any_type());
    router.add("docs/{asset}", open().get(openapi::asset).any_type());
    router.add("docs/api.json", open().get(move |request| openapi::json(request, Arc::clone(&json))).any_type());
    router.add("docs/api.yaml", open().get(move |request| openapi::yaml(request, Arc::clone(&yaml))).any_type());
    (router, documents)
}

/// Roles of users and groups are for administrators to give.
fn add_assignments(router: &mut Router, holders: &Arc<Resource>, holder: Holder) {
    let admin = || Route::new(Access::Superuser);
    let shared = || Arc::clone(holders);
    let (list, create, read, remove) = (shared(), shared(), shared(), shared());
    let path = format!("{}/{{id}}/roles/", holders.path);
    let all = admin()
        .get(move |request| assignments::list(request, Arc::clone(&list), holder))
        .post(move |request| assignments::create(request, Arc::clone(&create), holder));
    router.add(path.as_str(), all);
    let one = admin()
        .get(move |request| assignments::read(request, Arc::clone(&read), holder))
        .on(Method::DELETE, move |request| assignments::remove(request, Arc::clone(&remove), holder));
    router.add(format!("{path}{{role}}/"), one);
}

/// A route that the policy of a resource decides about.
fn guarded(resource: &Arc<Resource>, acts: Acts) -> Route {
    by_policy(resource.path, Some(Arc::clone(resource)), None, acts)
}

fn by_policy(policy: &str, resource: Option<Arc<Resource>>, parent: Option<Arc<Resource>>, acts: Acts) -> Route {
    Route::new(Access::Policy(Arc::new(Guarded { policy: policy.to_owned(), resource, parent, acts })))
}

/// What a resource can do whose objects lie below others’.
fn add_nested(registry: &Registry, router: &mut Router, resource: &Arc<Resource>, parent: Parent) {
    let policy = format!("{}/{}", parent.path, parent.segment);
    let route = |acts| by_policy(&policy, None, registry.resource_at(parent.path).cloned(), acts);
    let shared = || Arc::clone(resource);
    let path = format!("{}/{{id}}/{}/", parent.path, parent.segment);
    let (list, create, read, delete) = (shared(), shared(), shared(), shared());
    let mut collection = route(Acts::Collection);
    if resource.list {
        collection = collection.get(move |request| nested::list(request, Arc::clone(&list)));
    }
    if !matches!(resource.create, Create::No) {
        collection = collection.post(move |request| nested::create(request, Arc::clone(&create)));
    }
    router.add(path.as_str(), collection);
    let mut object = route(Acts::Object);
    if resource.read {
        object = object.get(move |request| nested::read(request, Arc::clone(&read)));
    }
    if resource.delete != Change::No {
        object = object.on(Method::DELETE, move |request| nested::delete(request, Arc::clone(&delete)));
    }
    router.add(format!("{path}{{key}}/"), object);
}

/// What every resource can do, as its description says.
fn add_resource(router: &mut Router, resource: &Arc<Resource>) {
    let route = |acts| guarded(resource, acts);
    let path = resource.path;
    let shared = || Arc::clone(resource);

    let mut collection = route(Acts::Collection);
    if resource.list {
        let resource = shared();
        collection = match path {
            "artifacts" => collection.get(move |request| artifacts::list(request, Arc::clone(&resource))),
            _ => collection.get(move |request| crud::list(request, Arc::clone(&resource))),
        };
    }
    if !matches!(resource.create, Create::No) {
        let resource = shared();
        collection = collection.post(move |request| crud::create(request, Arc::clone(&resource)));
    }
    router.add(format!("{path}/"), collection);

    let mut object = route(Acts::Object);
    if path == "artifacts" {
        object = object.on(Method::DELETE, artifacts::delete);
    }
    if resource.read {
        let resource = shared();
        object = object.get(move |request| crud::read(request, Arc::clone(&resource)));
    }
    if resource.update != Change::No {
        for (method, purpose) in [(Method::PUT, Purpose::Replace), (Method::PATCH, Purpose::Change)] {
            let resource = shared();
            object = object.on(method, move |request| crud::update(request, Arc::clone(&resource), purpose));
        }
    }
    if resource.delete != Change::No {
        let resource = shared();
        object = object.on(Method::DELETE, move |request| crud::delete(request, Arc::clone(&resource)));
    }
    router.add(format!("{path}/{{id}}/"), object);

    if resource.labels.is_some() {
        let (set, unset) = (shared(), shared());
        router.add(
            format!("{path}/{{id}}/set_label/"),
            route(Acts::Named("set_label")).post(move |request| crud::label(request, Arc::clone(&set))),
        );
        router.add(
            format!("{path}/{{id}}/unset_label/"),
            route(Acts::Named("unset_label")).post(move |request| crud::unlabel(request, Arc::clone(&unset))),
        );
    }
    if resource.roles {
        let (list, mine, add, remove) = (shared(), shared(), shared(), shared());
        let role = |name| (format!("{path}/{{id}}/{name}/"), route(Acts::Named(name)));
        let (at, route) = role("list_roles");
        router.add(at, route.get(move |request| object_roles::list(request, Arc::clone(&list))));
        let (at, route) = role("my_permissions");
        router.add(at, route.get(move |request| object_roles::mine(request, Arc::clone(&mine))));
        let (at, route) = role("add_role");
        router.add(at, route.post(move |request| object_roles::add(request, Arc::clone(&add))));
        let (at, route) = role("remove_role");
        router.add(at, route.post(move |request| object_roles::remove(request, Arc::clone(&remove))));
    }
    let mut done: Vec<(On, &str)> = Vec::new();
    for action in &resource.actions {
        if done.contains(&(action.on, action.name)) {
            continue;
        }
        done.push((action.on, action.name));
        let same: Vec<&Action> = resource.actions.iter().filter(|other| other.on == action.on && other.name == action.name).collect();
        let mut of_name = route(Acts::Named(action.name));
        for action in same {
            let (resource, action) = (shared(), action.clone());
            of_name = of_name.on(action.method.clone(), move |request| crud::act(request, Arc::clone(&resource), action.clone()));
        }
        let path = match action.on {
            On::Object => format!("{path}/{{id}}/{}/", action.name),
            On::Collection => format!("{path}/{}/", action.name),
        };
        router.add(path, of_name);
    }
}
