//! Files on their way to the server.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::pulp;
use crate::server::{Answer, Request, Server};

const TASK: &str = "/pulp/api/v3/tasks/01a202c2-1619-796b-a9f3-16ff7c2d748a/";
const UPLOAD: &str = "/pulp/api/v3/uploads/01a202c2-1619-796b-a9f3-16ff7c2d748b/";
const COMMIT: &str = "/pulp/api/v3/uploads/01a202c2-1619-796b-a9f3-16ff7c2d748b/commit/";
const ARTIFACTS: &str = "/pulp/api/v3/artifacts/";
const ARTIFACT: &str = "/pulp/api/v3/artifacts/01a202c2-1619-796b-a9f3-16ff7c2d748c/";
const CONTENT: &str = "/pulp/api/v3/content/file/files/";
const UNIT: &str = "/pulp/api/v3/content/file/files/01a202c2-1619-796b-a9f3-16ff7c2d748d/";

/// A server that takes uploads; `known` tells whether it has the artifact already, `put` what it says to chunks.
fn taking(known: bool, put: Answer) -> Server {
    Server::start(move |request: &Request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", ARTIFACTS) if known => Answer::list(vec![json!({ "pulp_href": ARTIFACT })]),
        ("GET", ARTIFACTS) => Answer::list(vec![]),
        ("GET", ARTIFACT) => Answer::ok(json!({ "pulp_href": ARTIFACT })),
        ("POST", ARTIFACTS) => Answer::Json(201, json!({ "pulp_href": ARTIFACT })),
        ("POST", "/pulp/api/v3/uploads/") => Answer::Json(201, json!({ "pulp_href": UPLOAD })),
        ("PUT", UPLOAD) => put.clone(),
        ("DELETE", UPLOAD) => Answer::Raw(204, vec![], String::new()),
        ("POST", COMMIT | CONTENT) => Answer::task(TASK),
        ("GET", TASK) => Answer::ok(json!({ "state": "completed", "created_resources": [ARTIFACT, UNIT] })),
        ("GET", UNIT) => Answer::ok(json!({ "pulp_href": UNIT })),
        _ => Answer::not_found(),
    })
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 7 % 251) as u8).collect()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_large_file_goes_in_chunks_and_is_committed_with_its_digest() {
    let whole = bytes(2500);
    let file = file(&whole);
    let server = taking(false, Answer::ok(json!({})));
    let run = pulp(&server, &["artifact", "upload", "--file", text(file.path()), "--chunk-size", "1KB"]).ok();
    assert_eq!(run.json()["pulp_href"], ARTIFACT);

    let seen = server.seen();
    let created = seen.iter().find(|request| request.line() == "POST /pulp/api/v3/uploads/").unwrap();
    assert_eq!(created.json(), json!({ "size": 2500 }));
    let chunks: Vec<&Request> = seen.iter().filter(|request| request.method == "PUT").collect();
    let ranges: Vec<_> = chunks.iter().map(|request| request.header("content-range").unwrap()).collect();
    assert_eq!(ranges, ["bytes 0-999/2500", "bytes 1000-1999/2500", "bytes 2000-2499/2500"]);
    assert_eq!(chunks.iter().flat_map(|request| request.file()).collect::<Vec<u8>>(), whole);
    let commit = seen.iter().find(|request| request.path == COMMIT).unwrap();
    assert_eq!(commit.json(), json!({ "sha256": digest(&whole) }));
}

#[test]
fn a_small_file_goes_at_once() {
    let whole = bytes(1000);
    let file = file(&whole);
    let server = taking(false, Answer::ok(json!({})));
    pulp(&server, &["artifact", "upload", "--file", text(file.path()), "--chunk-size", "1KB"]).ok();
    assert_eq!(server.lines(), [format!("GET {ARTIFACTS}"), format!("POST {ARTIFACTS}")]);
    assert_eq!(server.seen()[0].parameter("sha256"), Some(digest(&whole).as_str()));
    assert_eq!(server.seen()[1].file(), whole);
}

#[test]
fn a_known_file_is_not_sent_again() {
    let file = file(&bytes(10));
    let server = taking(true, Answer::ok(json!({})));
    let run = pulp(&server, &["artifact", "upload", "--file", text(file.path())]).ok();
    assert_eq!(run.json()["pulp_href"], ARTIFACT);
    assert_eq!(server.lines(), [format!("GET {ARTIFACTS}")]);
}

#[test]
fn an_upload_that_fails_midway_is_taken_back() {
    let file = file(&bytes(2500));
    let server = taking(false, Answer::Json(400, json!({ "file": ["Too much."] })));
    let run = pulp(&server, &["artifact", "upload", "--file", text(file.path()), "--chunk-size", "1KB"]).failed();
    assert!(run.err.contains("Error: file: Too much."), "{run:?}");
    assert!(server.lines().contains(&format!("DELETE {UPLOAD}")), "{:?}", server.lines());
    assert!(!server.lines().contains(&format!("POST {COMMIT}")));
}

#[test]
fn content_is_made_of_a_small_file_in_one_call() {
    let whole = bytes(10);
    let file = file(&whole);
    let server = taking(false, Answer::ok(json!({})));
    let run = pulp(&server, &["file", "content", "upload", "--file", text(file.path()), "--relative-path", "a/b"]).ok();
    assert_eq!(run.json()["pulp_href"], UNIT);
    let seen = server.seen();
    let post = seen.iter().find(|request| request.line() == format!("POST {CONTENT}")).unwrap();
    assert_eq!(post.file(), whole);
    let body = String::from_utf8_lossy(&post.body);
    assert!(body.contains("name=\"relative_path\"\r\n\r\na/b\r\n"), "{body}");
}

#[test]
fn content_is_made_of_a_large_file_by_way_of_an_artifact() {
    let file = file(&bytes(2500));
    let server = taking(false, Answer::ok(json!({})));
    let path = text(file.path());
    let run = pulp(&server, &["--chunk-size", "1KB", "file", "content", "upload", "--file", path, "--relative-path", "a"]).ok();
    assert_eq!(run.json()["pulp_href"], UNIT);
    let post = server.seen().into_iter().find(|request| request.line() == format!("POST {CONTENT}")).unwrap();
    assert_eq!(post.json(), json!({ "relative_path": "a", "artifact": ARTIFACT }));
}

#[test]
fn a_directory_becomes_one_version() {
    const REPOSITORY: &str = "/pulp/api/v3/repositories/file/file/01a202c2-1619-796b-a9f3-16ff7c2d7480/";
    // Which content unit was made of which digest.
    let units = |digest: &str| format!("{CONTENT}{}/", &digest[..12]);
    let server = Server::start(move |request: &Request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", ARTIFACTS) => Answer::list(vec![]),
        ("GET", path) if path.contains("repositories") => Answer::list(vec![json!({ "pulp_href": REPOSITORY })]),
        ("POST", CONTENT) => Answer::Json(201, json!({ "pulp_href": units(&digest(&request.file())) })),
        ("POST", _) => Answer::task(TASK),
        _ => Answer::ok(json!({ "state": "completed" })),
    });
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    let files = HashMap::from([("one", "1"), ("two", "2"), ("sub/three", "3")]);
    for (name, content) in &files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let path = text(directory.path());
    let run = pulp(&server, &["file", "content", "upload", "--directory", path, "--relative-path", "x", "--repository", "r"]).ok();

    let order = ["one", "sub/three", "two"];
    let hrefs: Vec<Value> = order.iter().map(|name| units(&digest(files[name].as_bytes())).into()).collect();
    let shown: Vec<Value> = run.json().as_array().unwrap().iter().map(|unit| unit["pulp_href"].clone()).collect();
    assert_eq!(shown, hrefs);
    let seen = server.seen();
    let modify: Vec<&Request> = seen.iter().filter(|request| request.path.ends_with("/modify/")).collect();
    assert_eq!(modify.len(), 1);
    assert_eq!(modify[0].json(), json!({ "add_content_units": hrefs }));
    let sent: Vec<String> = seen
        .iter()
        .filter(|request| request.line() == format!("POST {CONTENT}"))
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    for name in order {
        assert!(sent.iter().any(|body| body.contains(&format!("\r\n\r\nx/{name}\r\n"))), "{sent:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let server = Server::start(|_| Answer::list(vec![]));
    let run = pulp(&server, &["artifact", "upload", "--file", "/no/such/file"]).failed();
    assert!(run.err.contains("cannot read '/no/such/file'"), "{run:?}");
    assert!(server.seen().is_empty());
}

#[test]
fn a_call_by_its_operation_id_takes_a_file() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/pulp/api/v3/docs/api.json" => Answer::ok(json!({ "paths": { ARTIFACTS: { "post": { "operationId": "artifacts_create" } } } })),
        _ => Answer::Json(201, json!({ "pulp_href": ARTIFACT })),
    });
    let file = file(b"some");
    let call = ["debug", "openapi", "call", "--id", "artifacts_create", "--body", r#"{"size": 4}"#, "--upload", text(file.path())];
    assert_eq!(pulp(&server, &call).ok().json()["pulp_href"], ARTIFACT);
    let sent = server.seen().pop().unwrap();
    assert_eq!((sent.line(), sent.file()), (format!("POST {ARTIFACTS}"), b"some".to_vec()));
    assert!(String::from_utf8_lossy(&sent.body).contains("name=\"size\"\r\n\r\n4\r\n"));
}
