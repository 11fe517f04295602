//! Users, groups, roles, policies and content guards.

use serde_json::{Value, json};

use crate::pulp;
use crate::server::{Answer, Request, Server};

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

/// What the last call of a command asked: the line, and the body if there was one.
fn asked(arguments: &[&str]) -> (String, Value) {
    let server = server();
    pulp(&server, arguments).ok();
    let last = server.seen().pop().unwrap();
    let body = if last.body.is_empty() { Value::Null } else { last.json() };
    (last.line().replace("/pulp/api/v3/", ""), body)
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
}
