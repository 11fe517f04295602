//! Alternate content sources.

use serde_json::json;

use crate::server::{Answer, ID, Server};
use crate::{last_call, pulp};

const GROUP: &str = "/pulp/api/v3/task-groups/01a202c2-1619-796b-a9f3-16ff7c2d748a/";

/// A server with an alternate content source that has the paths `a` and `b`, and a remote.
fn server() -> Server {
    Server::with_one_of_each(|action| (action == "refresh").then(|| Answer::Json(202, json!({ "task_group": GROUP }))))
}

#[test]
fn a_source_is_made_of_a_remote_and_paths() {
    let create = ["file", "acs", "create", "--name", "near", "--remote", "one", "--path", "a", "--path", "b"];
    let remote = format!("/pulp/api/v3/remotes/file/file/{ID}/");
    assert_eq!(
        last_call(&server(), &create),
        ("POST acs/file/file/".to_owned(), json!({ "name": "near", "remote": remote, "paths": ["a", "b"] }))
    );
    assert_eq!(pulp(&server(), &["file", "acs", "create", "--name", "near"]).code, 2);
    assert_eq!(last_call(&server(), &["file", "acs", "list"]).0, "GET acs/file/file/");
    assert_eq!(
        last_call(&server(), &["file", "acs", "update", "--acs", "one", "--remote", &remote]),
        (format!("PATCH acs/file/file/{ID}/"), json!({ "remote": remote }))
    );
    assert_eq!(last_call(&server(), &["file", "acs", "destroy", "--acs", "one"]).0, format!("DELETE acs/file/file/{ID}/"));
}

#[test]
fn paths_come_and_go() {
    let path = |verb, path| ["file", "acs", "path", verb, "--acs", "one", "--path", path];
    let patched = |paths| (format!("PATCH acs/file/file/{ID}/"), json!({ "paths": paths }));
    assert_eq!(last_call(&server(), &path("add", "c")), patched(vec!["a", "b", "c"]));
    assert_eq!(last_call(&server(), &path("remove", "a")), patched(vec!["b"]));
    for (verb, given, hint) in [("add", "a", "has the path 'a' already"), ("remove", "z", "has no path 'z'")] {
        let run = pulp(&server(), &path(verb, given)).failed();
        assert!(run.err.contains(hint), "{run:?}");
    }
}

#[test]
fn a_refresh_is_a_group_of_tasks() {
    let group = |failed| json!({ "all_tasks_dispatched": false, "waiting": 0, "running": 0, "completed": 2, "failed": failed });
    let refresh = ["file", "acs", "refresh", "--acs", "one"];
    for failed in [0, 1] {
        let server = Server::start(move |request| match (request.method.as_str(), request.path.as_str()) {
            ("POST", _) => Answer::Json(202, json!({ "task_group": GROUP })),
            (_, GROUP) => Answer::ok(group(failed)),
            _ => Answer::list(vec![json!({ "pulp_href": format!("/pulp/api/v3/acs/file/file/{ID}/") })]),
        });
        let run = pulp(&server, &refresh);
        assert_eq!((run.code, run.out.as_str()), (failed, ""), "{run:?}");
        assert!(run.err.contains(&format!("Started background task group {GROUP}\n")), "{run:?}");
    }
    let run = pulp(&server(), &[&["--background"], &refresh[..]].concat()).ok();
    assert_eq!(run.json(), json!({ "task_group": GROUP }));
}
