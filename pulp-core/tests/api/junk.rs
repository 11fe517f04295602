//! What nobody should send: whatever it is, it is the client's mistake, never the server's.

use std::collections::BTreeMap;

use http::Method;
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use crate::world::{DISTRIBUTIONS, World};

/// In place of a key.
const IDS: [&str; 4] = ["%00", "%ff", "99999999999999999999", "01a214f6-8ab9-76e3-b70b-a79602f7a55e"];

/// In place of the value of a parameter.
const WORDS: [&str; 5] = ["%00", "-1", "99999999999999999999", "(((", "a%2Cb%2C%2C%F0%9F%93%A6"];

/// In place of the value of a field.
fn junk() -> Vec<Json> {
    let long = "x".repeat(5_000);
    vec![
        Json::Null,
        json!(true),
        json!(5),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!("a\u{0}b"),
        json!("📦 e\u{301}"),
        json!(long),
        json!([]),
        json!([null, 5, "", []]),
        json!({}),
        json!({"a": {"b": []}, "\u{0}": "\u{0}"}),
    ]
}

/// Notes an answer that says that the server failed.
async fn send(world: &World, failed: &mut Vec<String>, method: Method, path: &str, body: Option<Json>) {
    let shown = body.as_ref().map(ToString::to_string).unwrap_or_default();
    let answer = world.call(method.clone(), path, body).await;
    if answer.status >= 500 {
        failed.push(format!("{method} {path} {shown:.200}: {} {}", answer.status, String::from_utf8_lossy(&answer.bytes)));
    }
}

#[track_caller]
fn none(failed: &[String]) {
    assert!(failed.is_empty(), "{} requests made the server fail:\n{}", failed.len(), failed.join("\n"));
}

/// The href of one object of each kind, by the name that the document gives it in a path.
async fn objects(world: &World) -> BTreeMap<String, String> {
    let mut objects = BTreeMap::new();
    for (name, path, body) in [
        ("{shelf_shelf_repository_href}", "repositories/shelf/shelf/", json!({"name": "a"})),
        ("{file_file_repository_href}", "repositories/file/file/", json!({"name": "b"})),
        ("{shelf_shelf_remote_href}", "remotes/shelf/shelf/", json!({"name": "a", "url": "http://a.example/"})),
        ("{file_file_remote_href}", "remotes/file/file/", json!({"name": "b", "url": "http://a.example/"})),
        ("{upload_href}", "uploads/", json!({"size": 10})),
    ] {
        let made = world.post(path, body).await.with(201);
        objects.insert(name.to_owned(), made["pulp_href"].as_str().unwrap().to_owned());
    }
    let made = world.made(&world.post(DISTRIBUTIONS, json!({"name": "a", "base_path": "a"})).await).await;
    objects.insert("{shelf_shelf_distribution_href}".to_owned(), made["pulp_href"].as_str().unwrap().to_owned());
    let task = world.get("tasks/?limit=1").await.with(200)["results"][0]["pulp_href"].clone();
    objects.insert("{task_href}".to_owned(), task.as_str().unwrap().to_owned());
    objects
}

/// The path of an operation, if there are objects for what is left open in it.
fn filled(path: &str, objects: &BTreeMap<String, String>) -> Option<String> {
    // We go on to be who we are.
    if path.ends_with("/login/") {
        return None;
    }
    let path = objects.iter().fold(path.to_owned(), |path, (name, href)| path.replace(name, href));
    (!path.contains('{')).then_some(path)
}

both_databases! {
    async fn no_path_makes_the_server_fail(world: World) {
        let mut failed = Vec::new();
        for path in world.api.paths() {
            for id in IDS {
                let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
                let filled = parts.collect::<Vec<_>>().join("/");
                for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::TRACE] {
                    send(&world, &mut failed, method, &filled, None).await;
                }
                for method in [Method::POST, Method::PUT, Method::PATCH] {
                    for body in [None, Some(json!([[]])), Some(json!({"\u{0}": {}}))] {
                        send(&world, &mut failed, method.clone(), &filled, body).await;
                    }
                }
                if filled == path {
                    break;
                }
            }
        }
        none(&failed);
    }

    async fn no_field_makes_the_server_fail(world: World) {
        let document = world.api.openapi(None, false, false).unwrap();
        let objects = objects(&world).await;
        let mut failed = Vec::new();
        let mut number = 0;
        for (path, operations) in document["paths"].as_object().unwrap() {
            let Some(path) = filled(path, &objects) else { continue };
            // A PUT is checked as a POST is.
            for (method, operation) in operations.as_object().unwrap().iter().filter(|(method, _)| *method != "put") {
                let Some(schema) = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str() else { continue };
                let schema = &document["components"]["schemas"][schema.rsplit('/').next().unwrap()];
                let fields = schema["properties"].as_object().unwrap();
                for field in fields.keys() {
                    for value in junk() {
                        number += 1;
                        // What else must be there, and may be there once only.
                        let mut body = json!({});
                        for needed in ["name", "base_path", "url", "relative_path"].into_iter().filter(|name| fields.contains_key(*name)) {
                            body[needed] = if needed == "url" { json!("http://a.example/") } else { json!(format!("n{number}")) };
                        }
                        body[field] = value;
                        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
                        send(&world, &mut failed, method, &path, Some(body)).await;
                    }
                }
            }
        }
        assert!(number > 1_000, "only {number} requests were made");
        none(&failed);
    }

    async fn no_parameter_makes_the_server_fail(world: World) {
        let document = world.api.openapi(None, false, false).unwrap();
        let objects = objects(&world).await;
        let mut failed = Vec::new();
        let mut number = 0;
        for (path, operations) in document["paths"].as_object().unwrap() {
            let Some(path) = filled(path, &objects) else { continue };
            for parameter in operations["get"]["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "query") {
                let name = parameter["name"].as_str().unwrap();
                for word in WORDS {
                    number += 1;
                    send(&world, &mut failed, Method::GET, &format!("{path}?{name}={word}"), None).await;
                }
            }
        }
        assert!(number > 1_000, "only {number} requests were made");
        none(&failed);
    }
}
