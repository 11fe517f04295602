//! The operations of a resource, as its description says.

use http::Method;

use super::operation::{Location, Operation};
use super::{names, parameters};
use crate::api::endpoints::versions::difference;
use crate::plugin::Registry;
use crate::resource::{Action, Change, Create, Field, Kind, On, Resource, Returns};

/// All operations of a resource.
pub(super) fn operations(registry: &Registry, resource: &Resource) -> Vec<Operation> {
    let noun = names::noun(resource.schema);
    let (one, many) = (names::one(&noun), names::plural(&noun));
    let shown = format!("{}Response", resource.schema);
    let form = resource.multipart_only || has_file(&resource.fields);
    let at = |method, location, verb: &str| Operation::new(method, location, &resource.operation, verb);
    let owner = resource.parent.and_then(|parent| Some((registry.resource_at(parent.path)?, parent)));
    let collection = || match owner {
        Some((owner, parent)) => Location::nested(owner, parent),
        None => Location::collection(resource),
    };
    let object = || match owner {
        Some((owner, parent)) => Location::nested_object(resource, owner, parent),
        None => Location::object(resource),
    };
    let body = resource.create_body.as_ref().map_or(resource.schema, |body| body.schema);
    let mut all = Vec::new();

    if resource.list {
        all.push(
            at(Method::GET, collection(), "list")
                .says(format!("List {many}"), resource.help)
                .query(parameters::list(registry, resource))
                .gives(200, format!("Paginated{shown}List")),
        );
    }
    if !matches!(resource.create, Create::No) {
        let create = at(Method::POST, collection(), "create").says(format!("Create {one}"), resource.help).body(body, form);
        all.push(match &resource.create {
            Create::Task => create.gives_task(),
            Create::By(returns, _) => answer(create, *returns, &shown),
            _ => create.gives(201, shown.as_str()),
        });
    }
    if resource.read {
        let read = at(Method::GET, object(), "read");
        all.push(read.says(format!("Show {one}"), resource.help).gives(200, shown.as_str()));
    }
    if resource.update != Change::No {
        for (method, verb, does, body) in [
            (Method::PUT, "update", "Replace", resource.schema.to_owned()),
            (Method::PATCH, "partial_update", "Change", format!("Patched{}", resource.schema)),
        ] {
            let update = at(method, Location::object(resource), verb)
                .says(
                    format!("{does} {one}"),
                    if resource.update == Change::Task { "A task does it if something is in its way." } else { "" },
                )
                .body(body, form)
                .gives(200, shown.as_str());
            all.push(if resource.update == Change::Task { update.gives_task() } else { update });
        }
    }
    if resource.delete != Change::No {
        let delete = at(Method::DELETE, object(), "delete").says(format!("Delete {one}"), "");
        all.push(if resource.delete == Change::Task { delete.gives_task() } else { delete.gives_nothing(204) });
    }
    if let Some(status) = resource.labels {
        for (verb, summary, body) in [("set_label", "Set a label", "SetLabel"), ("unset_label", "Remove a label", "UnsetLabel")] {
            let location = Location::object(resource).below(&format!("{verb}/"));
            all.push(at(Method::POST, location, verb).says(summary, "").body(body, false).gives(status, format!("{body}Response")));
        }
    }
    if resource.roles {
        all.extend(roles(resource));
    }
    all.extend(resource.actions.iter().map(|action| of_action(resource, action, &shown)));
    if resource.shows_versions() {
        all.extend(versions(registry, resource));
    }
    all
}

fn has_file(fields: &[Field]) -> bool {
    fields.iter().any(|field| matches!(field.kind, Kind::File))
}

fn answer(operation: Operation, returns: Returns, shown: &str) -> Operation {
    match returns {
        Returns::Task => operation.gives_task(),
        Returns::TaskGroup => operation.gives(202, "TaskGroupOperationResponse"),
        Returns::Component(status, name) => operation.gives(status, format!("{name}Response")),
        Returns::Object(status) => operation.gives(status, shown),
        Returns::Nothing(status) => operation.gives_nothing(status),
    }
}

fn of_action(resource: &Resource, action: &Action, shown: &str) -> Operation {
    let location = match action.on {
        On::Object => Location::object(resource),
        On::Collection => Location::collection(resource),
    };
    let summary = format!("{} {}", capital(&action.name.replace('_', " ")), names::noun(resource.schema));
    let operation = Operation::new(action.method.clone(), location.below(&format!("{}/", action.name)), &resource.operation, action.name)
        .beside(resource.path)
        .says(summary, action.help);
    let operation = match &action.body {
        Some(body) => operation.body(body.schema, action.multipart_only || has_file(&body.fields)),
        None => operation,
    };
    answer(operation, action.returns, shown)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Who may do what with an object.
fn roles(resource: &Resource) -> [Operation; 4] {
    let at = |method, verb: &str, summary: &str| {
        let location = Location::object(resource).below(&format!("{verb}/"));
        Operation::new(method, location, &resource.operation, verb).beside(resource.path).says(summary, "")
    };
    [
        at(Method::POST, "add_role", "Give a role").body(resource.role_body, false).gives(201, "NestedRoleResponse"),
        at(Method::GET, "list_roles", "List roles").gives(200, "ObjectRolesResponse"),
        at(Method::GET, "my_permissions", "List my permissions").gives(200, "MyPermissionsResponse"),
        at(Method::POST, "remove_role", "Take a role away").body(resource.role_body, false).gives(201, "NestedRoleResponse"),
    ]
}

/// The versions of a type of repository.
fn versions(registry: &Registry, repository: &Resource) -> Vec<Operation> {
    let Some(versions) = registry.resource_at("repository_versions") else { return Vec::new() };
    let prefix = format!("{}_versions", repository.operation);
    let at =
        |method, location, verb: &str| Operation::new(method, location, &prefix, verb).beside(&format!("{}/versions", repository.path));
    let scan = repository.can_be_scanned(registry).then(|| {
        at(Method::POST, Location::version(repository).below("scan/"), "scan")
            .says("Scan a repository version", "Looks up known vulnerabilities of its packages.")
            .gives_task()
    });
    let mut all = vec![
        at(Method::GET, Location::versions(repository), "list")
            .says("List repository versions", versions.help)
            .query(parameters::list(registry, versions))
            .gives(200, "PaginatedRepositoryVersionResponseList"),
        at(Method::GET, Location::version(repository), "read")
            .says("Show a repository version", versions.help)
            .gives(200, "RepositoryVersionResponse"),
        at(Method::DELETE, Location::version(repository), "delete")
            .says("Delete a repository version", "Its units stay in the versions before and after it.")
            .gives_task(),
        at(Method::GET, Location::version(repository).below("diff/"), "diff")
            .says("Compare a repository version with another", "What it has that the other has not, and the other way round.")
            .query(parameters::difference())
            .gives(200, format!("{}Response", difference::SCHEMA)),
        at(Method::POST, Location::version(repository).below("repair/"), "repair")
            .says("Repair a repository version", "Looks for files that are lost or damaged, and fetches them again.")
            .body("Repair", false)
            .gives_task(),
    ];
    all.extend(scan);
    all
}
