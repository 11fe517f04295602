//! Components of core that are no resources.

use serde_json::{Value as Json, json};

use crate::plugin::Registry;
use crate::resource::{Field, Kind, Target};

/// Final states: those of tasks that can be purged.
const FINAL: &[&str] = &["skipped", "completed", "failed", "canceled"];

/// Adds them.
pub(in crate::api) fn register(registry: &mut Registry) {
    tasks(registry);
    uploads(registry);
    status(registry);
    login(registry);
    labels(registry);
    housekeeping(registry);
    let counts = |name| Field::new(name, Kind::Dictionary).required().keyword("additionalProperties", json!({"type": "object"}));
    registry.component("ContentSummary", [counts("added"), counts("removed"), counts("present")]);
}

fn tasks(registry: &mut Registry) {
    let uri = |name, help| Field::text(name).required().keyword("format", json!("uri")).help(help);
    registry.component("AsyncOperation", [uri("task", "The href of the task.")]);
    registry.component("WebhookSent", [uri("delivery", "The href of what is sent.")]);
    registry.component("TaskGroupOperation", [uri("task_group", "The href of the task group.")]);
    registry.component("TaskCancel", [Field::text("state").required().help("`canceled`: nothing else can be asked for.")]);
    registry.component(
        "Purge",
        [
            Field::time("finished_before").help("Tasks that ended before this moment; thirty days ago if unset."),
            Field::list("states", Kind::Choice("StatesEnum", FINAL)).default(json!(["completed"])).help("Tasks in one of these states."),
        ],
    );
    let text = |name, help| Field::text(name).read_only().help(help);
    let number = |name, help| Field::integer(name).read_only().help(help);
    let report = || {
        [
            text("message", "What is done."),
            text("code", "What is done, for programs."),
            number("total", "How much there is to do."),
            number("done", "How much of it is done."),
            text("suffix", "What is counted.").nullable(),
        ]
    };
    registry.component("GroupProgressReport", report());
    registry.component("ProgressReport", report().into_iter().chain([text("state", "How it goes.")]));
    let time = |name| Field::time(name).read_only();
    registry.component(
        "MinimalTask",
        [
            Field::new("pulp_href", Kind::OwnHref).read_only(),
            Field::new("prn", Kind::OwnPrn).read_only().help("The Pulp Resource Name (PRN)."),
            time("pulp_created"),
            time("pulp_last_updated"),
            Field::text("name").required().help("What kind of task it is."),
            text("state", "How it goes."),
            time("unblocked_at"),
            time("started_at"),
            time("finished_at"),
            Field::href("worker", Target::WORKER).nullable().read_only().help("Who runs it."),
            Field::text("pulp_api_version").default("v3").help("The version of the API through which it was made."),
        ],
    );
}

fn uploads(registry: &mut Registry) {
    registry.component(
        "UploadChunk",
        [
            Field::file("file").required().help("The bytes of the chunk."),
            Field::text("sha256").nullable().write_only().help("Their digest: it is checked when given."),
            Field::integer("offset").read_only().help("Where the chunk begins."),
            Field::integer("size").read_only().help("How long it is."),
        ],
    );
    registry.component("UploadCommit", [Field::text("sha256").required().help("The digest that the whole must have.")]);
    let chunk = Kind::Object(
        "UploadChunk",
        vec![
            Field::integer("offset").read_only().help("Where the chunk begins."),
            Field::integer("size").read_only().help("How long it is."),
        ],
    );
    registry.component(
        "UploadDetail",
        [
            Field::new("pulp_href", Kind::OwnHref).read_only(),
            Field::new("prn", Kind::OwnPrn).read_only().help("The Pulp Resource Name (PRN)."),
            Field::time("pulp_created").read_only().help("When the object was made."),
            Field::time("pulp_last_updated").read_only().help("When the object was last changed."),
            Field::integer("size").required().help("Bytes of the whole file."),
            Field::time("completed").read_only().help("When it was finished."),
            Field::list("chunks", chunk).read_only().help("What has come so far."),
        ],
    );
}

fn status(registry: &mut Registry) {
    let text = |name, help| Field::text(name).required().help(help);
    let truth = |name, help| Field::boolean(name).required().help(help);
    let bytes = |name| Field::integer(name).required().nullable().at_least(0).help("Bytes.");
    let versions = vec![
        text("component", "What it is."),
        text("version", "Whose wire protocol it speaks."),
        text("package", "The Python distribution that brings it to a Pulp."),
        text("module", "The Python module likewise."),
        truth("domain_compatible", "Whether its objects can live in a domain other than the default one."),
    ];
    let app = || {
        Kind::Object(
            "AppStatus",
            vec![
                Field::text("name").read_only().help("Process and host."),
                Field::time("last_heartbeat").read_only().help("The last sign of life."),
                Field::new("versions", Kind::Labels).read_only().help("Versions of its components."),
            ],
        )
    };
    let apps = |name, help| Field::list(name, app()).required().help(help);
    let connected = || vec![truth("connected", "Whether it can be reached.")];
    registry.component(
        "Status",
        [
            Field::list("versions", Kind::Object("Version", versions)).required().help("The components of this Pulp."),
            apps("online_workers", "Processes that run tasks."),
            apps("online_api_apps", "Processes that serve the API."),
            apps("online_content_apps", "Processes that serve content."),
            Field::new("database_connection", Kind::Object("DatabaseConnection", connected())).required().help("The database."),
            Field::new("redis_connection", Kind::Object("RedisConnection", connected())).help("Never connected: nothing needs it."),
            Field::new("storage", Kind::Object("Storage", vec![bytes("total"), bytes("used"), bytes("free")])).help("The file system."),
            Field::new(
                "content_settings",
                Kind::Object(
                    "ContentSettings",
                    vec![
                        Field::text("content_origin").nullable().help("Scheme and host under which content is served."),
                        text("content_path_prefix", "What the paths of content begin with."),
                    ],
                ),
            )
            .required()
            .help("Where content is served."),
            truth("domain_enabled", "Whether there are domains."),
        ],
    );
}

fn login(registry: &mut Registry) {
    registry.component(
        "Login",
        [
            Field::new("pulp_href", Kind::OwnHref).read_only(),
            Field::new("prn", Kind::OwnPrn).read_only().help("The Pulp Resource Name (PRN)."),
            Field::text("username").read_only().help("The name to log in with."),
        ],
    );
    registry.component(
        "UserGroup",
        [
            Field::new("pulp_href", Kind::OwnHref).read_only(),
            Field::new("prn", Kind::OwnPrn).read_only().help("The Pulp Resource Name (PRN)."),
            Field::text("name").required().max_length(150).help("The group’s name."),
        ],
    );
    registry.component(
        "LoginUpdate",
        [
            Field::text("username").max_length(150).help("The name to log in with."),
            Field::text("old_password").write_only().help("The password so far."),
            Field::text("new_password").write_only().help("The password from now on."),
            Field::text("first_name").blank().max_length(150).help("For people."),
            Field::text("last_name").blank().max_length(150).help("For people."),
            Field::text("email").blank().keyword("format", json!("email")).help("For people."),
        ],
    );
}

fn labels(registry: &mut Registry) {
    let key = || Field::text("key").required().help("The label’s key.");
    registry.component("SetLabel", [key(), Field::text("value").required().nullable().blank().help("The label’s value.")]);
    registry.component("UnsetLabel", [key(), Field::text("value").read_only().help("The value that it had.")]);
}

fn housekeeping(registry: &mut Registry) {
    registry.component(
        "Repair",
        [Field::boolean("verify_checksums").default(true).help("Whether digests are checked, and not only that the files are there.")],
    );
    registry.component(
        "OrphansCleanup",
        [
            Field::list("content_hrefs", Kind::Json).help("Units to look at; all if unset."),
            Field::integer("orphan_protection_time")
                .nullable()
                .at_least(0)
                .at_most(u32::MAX)
                .help("Minutes for which nobody may have touched what is removed."),
        ],
    );
    let words = |name: &'static str, help| Field::list(name, Kind::Text).default(Json::Array(Vec::new())).help(help);
    registry.component(
        "NestedRole",
        [
            words("users", "Names of users."),
            words("groups", "Names of groups."),
            Field::text("role").required().help("The name of the role."),
        ],
    );
    let nested = || {
        Kind::Object(
            "NestedRole",
            vec![
                words("users", "Names of users."),
                words("groups", "Names of groups."),
                Field::text("role").required().help("The name of the role."),
            ],
        )
    };
    registry.component("ObjectRoles", [Field::list("roles", nested()).required().help("The roles that are given on the object.")]);
    registry.component("MyPermissions", [Field::list("permissions", Kind::Text).required().help("What you may do with the object.")]);
}
