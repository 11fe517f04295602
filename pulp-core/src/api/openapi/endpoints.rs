//! The operations of core that no resource’s description tells of, or not all of.

use http::Method;

use super::operation::{Location, Operation};
use super::parameters;
use crate::api::endpoints::{assignments, disk_usage, scrub};
use crate::model::role::Holder;
use crate::plugin::Registry;

/// All of them, whether a route answers or not.
pub(super) fn all(registry: &Registry) -> Vec<Operation> {
    let mut all = vec![
        fixed(Method::GET, "status/", "status", "read")
            .whole_id("status_read")
            .open()
            .says("Show how this Pulp does", "Its components, who is online, database, storage, settings of content.")
            .gives(200, "StatusResponse"),
        fixed(Method::GET, "livez/", "livez", "read")
            .whole_id("livez_read")
            .open()
            .says("Show that the API answers", "Asks nothing but this process.")
            .gives_nothing(200),
        fixed(Method::GET, "login/", "login", "read").whole_id("login_read").says("Show who is logged in", "").gives(200, "LoginResponse"),
        fixed(Method::POST, "login/", "login", "create")
            .whole_id("login")
            .says("Open a session", "The answer sets a cookie.")
            .gives(201, "LoginResponse"),
        fixed(Method::PATCH, "login/", "login", "update")
            .whole_id("login_update")
            .says("Change one’s own name or password", "")
            .body("PatchedLoginUpdate", false)
            .gives(200, "LoginUpdateResponse"),
        fixed(Method::DELETE, "login/", "login", "delete").whole_id("logout").says("End the session", "").gives_nothing(204),
        fixed(Method::DELETE, "orphans/", "orphans", "delete")
            .says("Delete orphans", "Units that no repository has, and artifacts that no unit has.")
            .gives_task(),
        fixed(Method::POST, "orphans/cleanup/", "orphans_cleanup", "cleanup")
            .says("Clean up orphans", "Removes units that no repository has, and artifacts that no unit has.")
            .body("OrphansCleanup", false)
            .gives_task(),
        fixed(Method::POST, "repair/", "repair", "post")
            .says("Repair the storage", "Looks for files that are lost or damaged, and fetches them again.")
            .body("Repair", false)
            .gives_task(),
        fixed(Method::POST, "repositories/reclaim_space/", "repositories_reclaim_space", "reclaim")
            .says("Reclaim space", "Removes files that can be fetched again from the storage.")
            .body("ReclaimSpace", false)
            .gives_task(),
        fixed(Method::POST, "importers/core/pulp/import-check/", "pulp_import_check", "post")
            .whole_id("pulp_import_check_post")
            .says("Check what could be imported", "Looks whether files are there and can be read.")
            .body("PulpImportCheck", false)
            .gives(200, "PulpImportCheckResponse"),
        fixed(Method::GET, "disk_usage/", "disk_usage", "read")
            .says("Show which repositories hold which bytes", "And what would become free.")
            .query(parameters::pages())
            .gives(200, format!("{}Response", disk_usage::SCHEMA)),
        fixed(Method::GET, "scrub/status/", "scrub_status", "read")
            .beside("scrub")
            .says(
                "Show how far the scrub has come",
                "Of the pass over the stored files of all domains that is under way, or of the last one.",
            )
            .gives(200, format!("{}Response", scrub::STATUS)),
        fixed(Method::POST, "scrub/run/", "scrub_run", "post")
            .beside("scrub")
            .says(
                "Look at all stored files now",
                "A task reads them; what is wrong is set aside, and fetched again where there is a source.",
            )
            .body(scrub::RUN, false)
            .gives_task(),
        fixed(Method::POST, "datarepair/7272/", "datarepair_7272", "post")
            .says(
                "Recount the units of versions",
                "Compares what versions say about how many units they have with what they have, and mends it.",
            )
            .body("DataRepair7272", false)
            .gives_task(),
    ];
    let delete = on(registry, "artifacts", Method::DELETE, "", "delete");
    all.extend(delete.map(|operation| operation.says("Delete an artifact", "No unit may have it.").gives_nothing(204)));
    all.extend(tasks(registry));
    all.extend(uploads(registry));
    all.extend(access(registry));
    all
}

fn fixed(method: Method, path: &str, prefix: &str, verb: &str) -> Operation {
    Operation::new(method, Location::fixed(path), prefix, verb)
}

/// An operation on an object of a resource of core.
fn on(registry: &Registry, path: &str, method: Method, rest: &str, verb: &str) -> Option<Operation> {
    let resource = registry.resource_at(path)?;
    Some(Operation::new(method, Location::object(resource).below(rest), &resource.operation, verb).beside(path))
}

fn tasks(registry: &Registry) -> Vec<Operation> {
    let cancel = |operation: Operation, shown: &str| operation.body("PatchedTaskCancel", false).gives(200, shown).gives(409, shown);
    let purge = fixed(Method::POST, "tasks/purge/", "tasks", "purge")
        .beside("tasks")
        .says("Delete tasks that have ended", "A task deletes those that ended before a moment.")
        .body("Purge", false)
        .gives_task();
    [
        Some(purge),
        on(registry, "tasks", Method::PATCH, "", "cancel")
            .map(|operation| cancel(operation.says("Cancel a task", "409 if it has ended already."), "TaskResponse")),
        on(registry, "tasks", Method::DELETE, "", "delete")
            .map(|operation| operation.says("Delete a task", "It must have ended.").gives_nothing(204)),
        on(registry, "tasks", Method::GET, "events/", "events").map(|operation| {
            let what = "Server-sent events: `state`, `progress`, and when it has ended `end` with the task. `Last-Event-ID` goes on.";
            operation.says("Follow a task", what).gives_text(200, "text/event-stream").gives_nothing(204)
        }),
        on(registry, "task-groups", Method::PATCH, "", "cancel")
            .map(|operation| cancel(operation.says("Cancel a task group", "Cancels all of its tasks."), "TaskGroupResponse")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Who is in a group, and the roles of users and groups.
fn access(registry: &Registry) -> Vec<Operation> {
    let mut all = Vec::new();
    if let Some(groups) = registry.resource_at("groups") {
        let many = || Location::of_each(groups, "group_pk", "users");
        let one = Location::one_of_each(groups, "group_pk", "users", "groups_user", ("id", "user", "integer"));
        let at = |method, location, verb: &str| Operation::new(method, location, "groups_users", verb).beside("groups/users");
        all.push(
            at(Method::GET, many(), "list")
                .says("List the users of a group", "")
                .query(parameters::pages())
                .gives(200, "PaginatedGroupUserResponseList"),
        );
        all.push(
            at(Method::POST, many(), "create").says("Add a user to a group", "").body("GroupUser", false).gives(201, "GroupUserResponse"),
        );
        all.push(at(Method::DELETE, one, "delete").says("Take a user out of a group", "").gives_nothing(204));
    }
    for (path, key, holder, href) in
        [("users", "user_pk", Holder::User, "auth_users_user_role"), ("groups", "group_pk", Holder::Group, "groups_group_role")]
    {
        let Some(holders) = registry.resource_at(path) else { continue };
        let assignments = assignments::resource(holder);
        let shown = format!("{}Response", assignments.schema);
        let prefix = format!("{path}_roles");
        let many = || Location::of_each(holders, key, "roles");
        let one = || Location::one_of_each(holders, key, "roles", href, ("pulp_id", "role", "string"));
        let at = |method, location, verb: &str| Operation::new(method, location, &prefix, verb).beside(&format!("{path}/roles"));
        all.push(
            at(Method::GET, many(), "list")
                .says("List roles", "")
                .query(parameters::list(registry, &assignments))
                .gives(200, format!("Paginated{shown}List")),
        );
        all.push(at(Method::POST, many(), "create").says("Give a role", "").body(assignments.schema, false).gives(201, shown.as_str()));
        all.push(at(Method::GET, one(), "read").says("Show a role", "").gives(200, shown.as_str()));
        all.push(at(Method::DELETE, one(), "delete").says("Take a role away", "").gives_nothing(204));
    }
    all
}

fn uploads(registry: &Registry) -> Vec<Operation> {
    [
        on(registry, "uploads", Method::GET, "", "read")
            .map(|operation| operation.says("Show an upload", "With what has come so far.").gives(200, "UploadDetailResponse")),
        on(registry, "uploads", Method::PUT, "", "update").map(|operation| {
            operation
                .says("Send a chunk", "The header `Content-Range` says which bytes it has.")
                .query(vec![parameters::range()])
                .body("UploadChunk", true)
                .gives(200, "UploadResponse")
        }),
        on(registry, "uploads", Method::POST, "commit/", "commit").map(|operation| {
            operation
                .says("Finish an upload", "A task makes an artifact of the chunks, and the upload is gone.")
                .body("UploadCommit", false)
                .gives_task()
        }),
        on(registry, "uploads", Method::DELETE, "", "delete").map(|operation| operation.says("Drop an upload", "").gives_nothing(204)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
