//! Users, groups, roles, policies and content guards.

use serde_json::{Value, json};

use crate::server::{Answer, ID, Request, Server};
use crate::{last_call, pulp};

const GROUP: &str = "/pulp/api/v3/groups/3/";
const USER: &str = "/pulp/api/v3/users/7/";
const ROLE: &str = "/pulp/api/v3/groups/3/roles/01a202c1-dedb-737b-8c9f-717ea89b188a/";
const GUARD: &str = "/pulp/api/v3/contentguards/core/rbac/01a202c1-dedb-737b-8c9f-717ea89b188a/";
const TASK: &str = "/pulp/api/v3/tasks/01a202c1-dedb-737b-8c9f-717ea89b188a/";

/// A server that has one of everything, and lets everything happen.
fn server() -> Server {
    Server::start(|request: &Request| {
        let listed = |href: &str| Answer::list(vec![json!({ "pulp_href": href, "name": "one" })]);
        match (request.method.as_str(), request.path.trim_start_matches("/pulp/api/v3/")) {
            ("GET", "groups/") => listed(GROUP),
            ("GET", "users/") => listed(USER),
            ("GET", "groups/3/roles/") => listed(ROLE),
            ("GET", "contentguards/core/rbac/" | "contentguards/") => listed(GUARD),
            ("GET", "access_policies/") => listed("/pulp/api/v3/access_policies/1/"),
            ("DELETE", _) => Answer::Raw(204, vec![], String::new()),
            ("POST", _) => Answer::Json(201, json!({ "pulp_href": "/made/" })),
            _ => Answer::ok(json!({ "pulp_href": request.path, "roles": [] })),
        }
    })
}

/// See [`last_call`].
fn asked(arguments: &[&str]) -> (String, Value) {
    last_call(&server(), arguments)
}

fn below(href: &str, action: &str) -> String {
    format!("{}{action}", href.replace("/pulp/api/v3/", ""))
}

#[test]
fn users() {
    let create = ["user", "create", "--username", "ann", "--password", "", "--no-staff", "--inactive", "--email", "a@b.c"];
    let wanted = json!({ "username": "ann", "password": null, "is_staff": false, "is_active": false, "email": "a@b.c" });
    assert_eq!(asked(&create), ("POST users/".to_owned(), wanted));
    assert_eq!(
        asked(&["user", "update", "--username", "ann", "--first-name", "Ann"]),
        ("PATCH users/7/".to_owned(), json!({ "first_name": "Ann" }))
    );
    assert_eq!(asked(&["user", "destroy", "--href", USER]).0, "DELETE users/7/");
    assert_eq!(
        asked(&["user", "role-assignment", "add", "--username", "ann", "--role", "core.task_viewer", "--object", ""]),
        ("POST users/7/roles/".to_owned(), json!({ "role": "core.task_viewer", "content_object": null }))
    );
}

#[test]
fn groups() {
    assert_eq!(asked(&["group", "create", "--name", "g"]), ("POST groups/".to_owned(), json!({ "name": "g" })));
    let add = ["group", "user", "add", "--group", "g", "--username", "ann"];
    assert_eq!(asked(&add), ("POST groups/3/users/".to_owned(), json!({ "username": "ann" })));
    assert_eq!(asked(&["group", "user", "remove", "--group", "g", "--username", "ann"]).0, "DELETE groups/3/users/7/");
    assert_eq!(
        asked(&["group", "role-assignment", "remove", "--group", GROUP, "--role", "core.task_viewer", "--object", ""]).0,
        format!("DELETE {}", below(ROLE, ""))
    );
    assert_eq!(asked(&["group", "role", "list", "--name", "g"]).0, "GET groups/3/list_roles/");
    assert_eq!(
        asked(&["group", "role", "add", "--href", GROUP, "--role", "core.group_viewer", "--group", "others"]),
        ("POST groups/3/add_role/".to_owned(), json!({ "role": "core.group_viewer", "users": [], "groups": ["others"] }))
    );
}

#[test]
fn a_role_on_everything_is_asked_for_by_null() {
    let server = server();
    pulp(&server, &["group", "role-assignment", "list", "--group", GROUP, "--object", ""]).ok();
    let list = server.seen().pop().unwrap();
    assert_eq!((list.path.as_str(), list.parameter("content_object")), ("/pulp/api/v3/groups/3/roles/", Some("null")));
}

#[test]
fn roles() {
    let create = ["role", "create", "--name", "r", "--permission", "core.view_task", "--permission", "core.delete_task"];
    let wanted = json!({ "name": "r", "permissions": ["core.view_task", "core.delete_task"] });
    assert_eq!(asked(&create), ("POST roles/".to_owned(), wanted));
    let update = ["role", "update", "--href", "/pulp/api/v3/roles/1/", "--no-permission"];
    assert_eq!(asked(&update), ("PATCH roles/1/".to_owned(), json!({ "permissions": [] })));
    let change = ["task", "role", "add", "--href", TASK, "--role", "core.task_viewer", "--user", "ann", "--group", "g"];
    let wanted = json!({ "role": "core.task_viewer", "users": ["ann"], "groups": ["g"] });
    assert_eq!(asked(&change), (format!("POST {}", below(TASK, "add_role/")), wanted));
    assert_ne!(pulp(&server(), &["task", "role", "add", "--href", TASK, "--role", "r"]).code, 0);
    assert_eq!(asked(&["task", "role", "my-permissions", "--href", TASK]).0, format!("GET {}", below(TASK, "my_permissions/")));
}

#[test]
fn tokens() {
    let server = Server::with_one_of_each(|_| None);
    let create = ["token", "create", "--name", "ci", "--read-only", "--permission", "core.view_task", "--expires", "2030-01-31T12:00:00Z"];
    let wanted = json!({ "name": "ci", "read_only": true, "permissions": ["core.view_task"], "expires": "2030-01-31T12:00:00.000000Z" });
    assert_eq!(last_call(&server, &create), ("POST tokens/".to_owned(), wanted));
    assert_eq!(last_call(&server, &["token", "create", "--name", "ci"]).1, json!({ "name": "ci" }));
    assert_eq!(last_call(&server, &["token", "destroy", "--name", "one"]).0, format!("DELETE tokens/{ID}/"));
    assert_eq!(last_call(&server, &["token", "show", "--href", &format!("/pulp/api/v3/tokens/{ID}/")]).0, format!("GET tokens/{ID}/"));
}

#[test]
fn the_record_of_changes() {
    let records = |from: usize, many: usize| (from..from + many).map(|at| json!({ "at": at })).collect::<Vec<_>>();
    let server = Server::start(move |request: &Request| {
        let offset = request.parameter("offset").unwrap().parse().unwrap();
        let limit: usize = request.parameter("limit").unwrap().parse().unwrap();
        Answer::ok(json!({ "count": 1_500, "next": null, "previous": null, "results": records(offset, limit.min(1_500 - offset)) }))
    });
    let exported = pulp(&server, &["audit", "export", "--username", "ann", "--created-after", "2026-01-31"]).ok().out;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, records(0, 1_500));
    let first = server.seen().remove(0);
    assert_eq!(first.path, "/pulp/api/v3/audit/");
    for (name, value) in [("username", "ann"), ("pulp_created__gte", "2026-01-31T00%3A00%3A00.000000Z"), ("ordering", "pulp_id")] {
        assert_eq!(first.parameter(name), Some(value), "{name}");
    }
    let listed = pulp(&server, &["audit", "list", "--operation-startswith", "tokens/", "--limit", "2"]).ok();
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    assert_eq!(server.seen().pop().unwrap().parameter("operation__startswith"), Some("tokens%2F"));
}

#[test]
fn the_scrub() {
    assert_eq!(asked(&["scrub", "status"]).0, "GET scrub/status/");
    assert_eq!(asked(&["scrub", "run"]), ("POST scrub/run/".to_owned(), json!({})));
    assert_eq!(asked(&["scrub", "run", "--bytes-per-second", "5"]).1, json!({ "bytes_per_second": 5 }));
    let server = Server::start(|_| Answer::list(vec![]));
    pulp(&server, &["scrub", "list", "--state", "lost", "--problem", "digest"]).ok();
    let seen = server.seen().pop().unwrap();
    assert_eq!(
        (seen.path.as_str(), seen.parameter("state"), seen.parameter("problem")),
        ("/pulp/api/v3/scrub/", Some("lost"), Some("digest"))
    );
}

#[test]
fn access_policies() {
    let update = ["access-policy", "update", "--viewset-name", "tasks", "--statements", "[]"];
    assert_eq!(asked(&update), ("PATCH access_policies/1/".to_owned(), json!({ "statements": [] })));
    assert_eq!(asked(&["access-policy", "reset", "--viewset-name", "tasks"]).0, "POST access_policies/1/reset/");
}

#[test]
fn content_guards() {
    assert_eq!(
        asked(&["content-guard", "rbac", "assign", "--name", "g", "--user", "ann"]),
        (
            format!("POST {}", below(GUARD, "add_role/")),
            json!({ "role": "core.rbaccontentguard_downloader", "users": ["ann"], "groups": [] })
        )
    );
    assert_eq!(
        asked(&["content-guard", "header", "create", "--name", "h", "--header-name", "x", "--header-value", "y", "--jq-filter", ".a"]),
        ("POST contentguards/core/header/".to_owned(), json!({ "name": "h", "header_name": "x", "header_value": "y", "jq_filter": ".a" }))
    );
    assert_eq!(
        asked(&["content-guard", "composite", "create", "--name", "c", "--guard", GUARD]),
        ("POST contentguards/core/composite/".to_owned(), json!({ "name": "c", "guards": [GUARD] }))
    );
    assert_eq!(
        asked(&["content-guard", "x509", "create", "--name", "x", "--description", "", "--ca-certificate", "PEM"]),
        ("POST contentguards/certguard/x509/".to_owned(), json!({ "name": "x", "description": null, "ca_certificate": "PEM" }))
    );
    let update =
        ["content-guard", "redirect", "update", "--href", "/pulp/api/v3/contentguards/core/content_redirect/1/", "--description", "d"];
    assert_eq!(asked(&update), ("PATCH contentguards/core/content_redirect/1/".to_owned(), json!({ "description": "d" })));
    assert_eq!(asked(&["content-guard", "list"]).0, "GET contentguards/");
    assert_eq!(
        asked(&["content-guard", "envvar-header", "create", "--name", "e", "--header-name", "x", "--env-var", "Y"]),
        ("POST contentguards/core/envvar_header/".to_owned(), json!({ "name": "e", "header_name": "x", "env_var": "Y" }))
    );
}

#[test]
fn what_a_guard_needs_is_said_when_it_is_made() {
    for arguments in [
        &["content-guard", "header", "create", "--name", "h", "--header-name", "x"][..],
        &["content-guard", "x509", "create", "--name", "x"],
    ] {
        assert_eq!(pulp(&server(), arguments).code, 2, "{arguments:?}");
    }
    let update = ["content-guard", "header", "update", "--href", "/pulp/api/v3/contentguards/core/header/1/", "--header-value", "z"];
    assert_eq!(asked(&update), ("PATCH contentguards/core/header/1/".to_owned(), json!({ "header_value": "z" })));
}

#[test]
fn domains() {
    let server = Server::with_one_of_each(|_| None);
    let storage = ["--storage-class", "STORAGES.backends.s3.S3Storage", "--storage-settings", r#"{"bucket_name": "b"}"#];
    let create = [&["domain", "create", "--name", "d", "--no-redirect", "--hide-distributions"][..], &storage].concat();
    let wanted = json!({
        "name": "d",
        "storage_class": "storages.backends.s3.S3Storage",
        "storage_settings": { "bucket_name": "b" },
        "redirect_to_object_storage": false,
        "hide_guarded_distributions": true,
    });
    assert_eq!(last_call(&server, &create), ("POST domains/".to_owned(), wanted));
    assert_eq!(
        last_call(&server, &["domain", "update", "--name", "one", "--description", ""]),
        (format!("PATCH domains/{ID}/"), json!({ "description": null }))
    );
    assert_eq!(last_call(&server, &["domain", "destroy", "--domain", "one"]).0, format!("DELETE domains/{ID}/"));
    assert_eq!(last_call(&server, &[&["domain", "migrate"][..], &storage].concat()).0, "POST domains/migrate/");
    pulp(&server, &["domain", "list", "--label-select", "a"]).ok();
    assert_eq!(server.seen().pop().unwrap().parameter("pulp_label_select"), Some("a"));
}

#[test]
fn roles_on_what_the_file_type_has() {
    let server = Server::with_one_of_each(|_| None);
    let publication = format!("/pulp/api/v3/publications/file/file/{ID}/");
    for (noun, lookup, path) in [
        (&["file", "acs"][..], ["--acs", "one"], "acs/file/file"),
        (&["file", "distribution"], ["--name", "one"], "distributions/file/file"),
        (&["file", "publication"], ["--href", &publication], "publications/file/file"),
        (&["file", "remote"], ["--remote", "one"], "remotes/file/file"),
        (&["file", "remote", "--type", "git"], ["--remote", "one"], "remotes/file/git"),
        (&["file", "repository"], ["--repository", "one"], "repositories/file/file"),
        (&["task-schedule"], ["--name", "one"], "task-schedules"),
        (&["upstream-pulp"], ["--id", "one"], "upstream-pulps"),
    ] {
        let role = |verb: &[&str]| last_call(&server, &[noun, verb, &lookup].concat());
        let below = |action| format!("{path}/{ID}/{action}/");
        assert_eq!(role(&["role", "list"]).0, format!("GET {}", below("list_roles")));
        assert_eq!(role(&["role", "my-permissions"]).0, format!("GET {}", below("my_permissions")));
        for (verb, action) in [("add", "add_role"), ("remove", "remove_role")] {
            assert_eq!(
                role(&["role", verb, "--role", "r", "--user", "ann"]),
                (format!("POST {}", below(action)), json!({ "role": "r", "users": ["ann"], "groups": [] }))
            );
        }
    }
}

#[test]
fn a_distribution_says_how_it_is_served() {
    let server = Server::with_one_of_each(|_| None);
    let update = ["file", "distribution", "update", "--name", "one"];
    let path = format!("PATCH distributions/file/file/{ID}/");
    let given = ["--time-travel", "--cache-control", "public, max-age=60", "--redirect-to-object-storage", "no"];
    assert_eq!(
        last_call(&server, &[&update[..], &given].concat()),
        (path.clone(), json!({ "time_travel": true, "cache_control": "public, max-age=60", "redirect_to_object_storage": false }))
    );
    let emptied = ["--no-time-travel", "--cache-control", "", "--redirect-to-object-storage", ""];
    assert_eq!(
        last_call(&server, &[&update[..], &emptied].concat()),
        (path, json!({ "time_travel": false, "cache_control": null, "redirect_to_object_storage": null }))
    );
}

#[test]
fn dependents_of_a_remote_are_asked_for() {
    let server = Server::with_one_of_each(|_| None);
    let href = format!("/pulp/api/v3/remotes/file/git/{ID}/");
    for (command, path) in [
        (&["file", "remote", "dependents", "--remote", "one"][..], "remotes/file/file"),
        (&["file", "remote", "--type", "git", "dependents", "--name", "one"], "remotes/file/git"),
        (&["remote", "dependents", "--remote", "file:git:one"], "remotes/file/git"),
        (&["remote", "dependents", "--remote", &href], "remotes/file/git"),
    ] {
        assert_eq!(last_call(&server, command).0, format!("GET {path}/{ID}/dependents/"), "{command:?}");
    }
    for wrong in ["one", "", "prn:shelf.shelfremote:1"] {
        assert_ne!(pulp(&server, &["remote", "dependents", "--remote", wrong]).code, 0, "{wrong}");
    }
}
