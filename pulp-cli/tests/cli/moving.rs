//! Exporters, importers and upstreams.

use serde_json::json;

use crate::server::{Answer, ID, Server};
use crate::{last_call, pulp};

const TASK: &str = "/pulp/api/v3/tasks/01a202c2-1619-796b-a9f3-16ff7c2d748a/";
const GROUP: &str = "/pulp/api/v3/task-groups/01a202c2-1619-796b-a9f3-16ff7c2d748a/";

fn server() -> Server {
    Server::with_one_of_each(|_| None)
}

fn exporter(kind: &str) -> String {
    format!("exporters/core/{kind}/{ID}/")
}

fn repository() -> String {
    format!("/pulp/api/v3/repositories/file/file/{ID}/")
}

#[test]
fn exporters() {
    let create = ["exporter", "pulp", "create", "--name", "e", "--path", "/out", "--repository", "file:file:one"];
    assert_eq!(
        last_call(&server(), &create),
        ("POST exporters/core/pulp/".to_owned(), json!({ "name": "e", "path": "/out", "repositories": [repository()] }))
    );
    assert_eq!(pulp(&server(), &["exporter", "pulp", "create", "--name", "e"]).code, 2);
    let run = pulp(&server(), &["exporter", "pulp", "create", "--name", "e", "--path", "/out", "--repository", "one"]).failed();
    assert!(run.err.contains("the type of the repository must be said"), "{run:?}");
    assert_eq!(
        last_call(&server(), &["exporter", "pulp", "update", "--name", "one", "--repository", ""]),
        (format!("PATCH {}", exporter("pulp")), json!({ "repositories": [] }))
    );
    assert_eq!(last_call(&server(), &["exporter", "pulp", "destroy", "--exporter", "one"]).0, format!("DELETE {}", exporter("pulp")));
    assert_eq!(
        last_call(&server(), &["exporter", "filesystem", "create", "--name", "e", "--path", "/out", "--method", "hardlink"]),
        ("POST exporters/core/filesystem/".to_owned(), json!({ "name": "e", "path": "/out", "method": "hardlink" }))
    );
}

#[test]
fn an_export_has_versions() {
    let run = ["export", "pulp", "run", "--exporter", "one", "--full", "False", "--chunk-size", "5KB"];
    let versions = ["--versions", "file:file:one", "3", "--start-versions", &repository(), "1"];
    let wanted = json!({
        "full": false,
        "chunk_size": "5KB",
        "versions": [format!("{}versions/3/", repository())],
        "start_versions": [format!("{}versions/1/", repository())],
    });
    assert_eq!(last_call(&server(), &[&run[..], &versions].concat()), (format!("POST {}exports/", exporter("pulp")), wanted));
    assert_eq!(last_call(&server(), &["export", "pulp", "list", "--exporter", "one"]).0, format!("GET {}exports/", exporter("pulp")));
    assert_eq!(
        last_call(&server(), &["export", "filesystem", "run", "--exporter", "one", "--publication", "/p/"]),
        (format!("POST {}exports/", exporter("filesystem")), json!({ "publication": "/p/" }))
    );
    assert_eq!(pulp(&server(), &["export", "filesystem", "run", "--exporter", "one"]).code, 2);
}

#[test]
fn an_export_is_shown_when_it_is_done() {
    let export = format!("/pulp/api/v3/{}exports/{ID}/", exporter("pulp"));
    let made = export.clone();
    let server = Server::start(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", _) => Answer::task(TASK),
        (_, TASK) => Answer::ok(json!({ "state": "completed", "created_resources": [made] })),
        (_, path) if path == made => Answer::ok(json!({ "pulp_href": made })),
        _ => Answer::list(vec![json!({ "pulp_href": format!("/pulp/api/v3/{}", exporter("pulp")) })]),
    });
    assert_eq!(pulp(&server, &["export", "pulp", "run", "--exporter", "e"]).ok().json()["pulp_href"], export.as_str());
}

#[test]
fn the_record_of_an_export_is_not_mistaken_for_its_exporter() {
    let server = server();
    let own = format!("/pulp/api/v3/{}", exporter("pulp"));
    let run = pulp(&server, &["export", "pulp", "destroy", "--href", &own]).failed();
    assert!(run.err.contains("not a valid HREF value for a Pulp export"), "{run:?}");
    assert!(server.seen().is_empty());
    let export = format!("{own}exports/{ID}/");
    assert_eq!(
        last_call(&server, &["export", "pulp", "destroy", "--href", &export]).0,
        format!("DELETE {}exports/{ID}/", exporter("pulp"))
    );
}

#[test]
fn importers_map_repositories() {
    let maps = ["--repo-map", "src1", "core:import:dest1", "--repo-map", "src2", "dest2"];
    let mapping = json!({ "src1": "core:import:dest1", "src2": "dest2" });
    assert_eq!(
        last_call(&server(), &[&["importer", "pulp", "create", "--name", "i"][..], &maps].concat()),
        ("POST importers/core/pulp/".to_owned(), json!({ "name": "i", "repo_mapping": mapping }))
    );
    let server = server();
    let run = pulp(&server, &[&["importer", "pulp", "update", "--name", "one"][..], &maps].concat()).ok();
    assert_eq!(run.json()["name"], "one");
    let patch = server.seen().into_iter().find(|request| request.method == "PATCH").unwrap();
    assert_eq!(patch.path, format!("/pulp/api/v3/importers/core/pulp/{ID}/"));
    assert_eq!(patch.json(), json!({ "repo_mapping": mapping }));
    assert_eq!(last_call(&server, &["importer", "pulp", "create", "--name", "i"]).1, json!({ "name": "i" }));
}

#[test]
fn an_import_is_a_group_of_tasks() {
    let server = Server::start(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", _) => Answer::Json(202, json!({ "task_group": GROUP })),
        (_, GROUP) => Answer::ok(json!({ "pulp_href": GROUP, "all_tasks_dispatched": true, "completed": 3 })),
        _ => Answer::list(vec![json!({ "pulp_href": format!("/pulp/api/v3/importers/core/pulp/{ID}/") })]),
    });
    let run = pulp(&server, &["import", "pulp", "run", "--importer", "i", "--toc", "/in/toc.json", "--create-repositories"]).ok();
    assert_eq!(run.json()["pulp_href"], GROUP);
    let sent = server.seen().into_iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(sent.path, format!("/pulp/api/v3/importers/core/pulp/{ID}/imports/"));
    assert_eq!(sent.json(), json!({ "toc": "/in/toc.json", "create_repositories": true }));
}

#[test]
fn an_archive_is_checked_before_it_is_imported() {
    let check = ["import", "pulp", "check", "--path", "/in/a.tar", "--repo-map", "a", "b"];
    assert_eq!(
        last_call(&server(), &check),
        ("POST importers/core/pulp/import-check/".to_owned(), json!({ "path": "/in/a.tar", "repo_mapping": r#"{"a":"b"}"# }))
    );
    assert_eq!(pulp(&server(), &["import", "pulp", "run", "--importer", "one"]).code, 2);
}

#[test]
fn upstreams() {
    let create = ["upstream-pulp", "create", "--name", "u", "--base-url", "http://head", "--api-root", "/pulp/"];
    let options = ["--no-tls-validation", "--username", "ann", "--policy", "nodelete", "--q-select", "name=\"a\"", "--remote-policy"];
    let wanted = json!({
        "name": "u",
        "base_url": "http://head",
        "api_root": "/pulp/",
        "tls_validation": false,
        "username": "ann",
        "policy": "nodelete",
        "q_select": "name=\"a\"",
        "remote_policy": "on_demand",
    });
    assert_eq!(last_call(&server(), &[&create[..], &options, &["on_demand"]].concat()), ("POST upstream-pulps/".to_owned(), wanted));
    assert_eq!(pulp(&server(), &["upstream-pulp", "create", "--name", "u"]).code, 2);
    let upstream = format!("upstream-pulps/{ID}/");
    assert_eq!(
        last_call(&server(), &["upstream-pulp", "update", "--id", "one", "--q-select", "", "--policy", "labeled"]),
        (format!("PATCH {upstream}"), json!({ "q_select": null, "policy": "labeled" }))
    );
    assert_eq!(
        last_call(&server(), &["upstream-pulp", "replicate", "--upstream-pulp", "one", "--q-select", "x"]),
        (format!("POST {upstream}replicate/"), json!({ "q_select": "x" }))
    );
    assert_eq!(last_call(&server(), &["upstream-pulp", "replicate", "--id", "one"]).1, json!({}));
}
