//! The typed client, against a server that answers as it is told.

use std::sync::Mutex;

use http::{Request, Response};
use pulp_core::body::Body;
use pulp_testkit::{Client, Server, created};
use serde_json::{Value, json};

/// A server that has one task, which ends at the third look, and says how it was asked.
async fn server(state: &'static str) -> (Server, Client) {
    let looks = Mutex::new(0);
    let server = Server::start(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        let (status, body) = match path.trim_start_matches("/pulp/api/v3/") {
            "tasks/1/" => {
                let mut looks = looks.lock().unwrap();
                *looks += 1;
                let state = if *looks < 3 { "running" } else { state };
                let made = json!(["/pulp/api/v3/things/1/", "/pulp/api/v3/things/1/versions/2/"]);
                (200, json!({"state": state, "looks": *looks, "created_resources": made, "error": {"description": "it broke"}}))
            }
            "things/1/" => (200, json!({"name": "thing"})),
            "start/" => (202, json!({"task": "/pulp/api/v3/tasks/1/"})),
            "list/" => (200, json!({"next": null, "results": [1, 2]})),
            "long-list/" => (200, json!({"next": "more", "results": [1]})),
            "echo/" => (200, Value::Null),
            _ => (404, json!({"detail": "no"})),
        };
        async move {
            let head = format!("{} {:?}", request.method(), request.headers());
            let sent = request.into_body().read(1 << 20).await.unwrap();
            let body = if path.ends_with("echo/") { json!({"head": head, "body": String::from_utf8_lossy(&sent)}) } else { body };
            Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
        }
    })
    .await;
    let client = server.client().basic_auth("me", "s3cret");
    (server, client)
}

#[tokio::test]
async fn waits_until_a_task_has_ended() {
    let (_server, client) = server("completed").await;
    let task = client.wait(client.post("start/", json!({})).await).await;
    assert_eq!(task["looks"], 3);
    assert_eq!(created(&task, "versions"), "/pulp/api/v3/things/1/versions/2/");
    assert_eq!(client.create("start/", json!({})).await["name"], "thing");
    assert_eq!(client.list("list/").await, [1, 2]);
}

#[tokio::test]
#[should_panic(expected = "it broke")]
async fn a_failed_task_is_no_success() {
    let (_server, client) = server("failed").await;
    client.wait(client.post("start/", json!({})).await).await;
}

#[tokio::test]
async fn a_failed_task_says_why() {
    let (_server, client) = server("failed").await;
    assert_eq!(client.failure(client.post("start/", json!({})).await).await, "it broke");
}

#[tokio::test]
#[should_panic(expected = "made nothing of publications")]
async fn nothing_of_a_kind_is_nothing() {
    let (_server, client) = server("completed").await;
    created(&client.ended("tasks/1/").await, "publications");
}

#[tokio::test]
#[should_panic(expected = "404")]
async fn what_is_not_there_is_no_success() {
    let (_server, client) = server("completed").await;
    client.get("nothing/").await;
}

#[tokio::test]
#[should_panic(expected = "more than one page")]
async fn a_page_is_no_list() {
    let (_server, client) = server("completed").await;
    client.list("long-list/").await;
}

#[tokio::test]
async fn requests_are_signed_and_whole() {
    let (_server, client) = server("completed").await;
    let said = client.patch("/pulp/api/v3/echo/", json!({"a": 1})).await.with(200);
    let head = said["head"].as_str().unwrap();
    assert!(head.starts_with("PATCH ") && head.contains("Basic bWU6czNjcmV0") && head.contains("application/json"), "{head}");
    assert_eq!(said["body"], r#"{"a":1}"#);

    let said = client.put_chunk("echo/", 3, 6, b"def").await.ok();
    let (head, body) = (said["head"].as_str().unwrap(), said["body"].as_str().unwrap());
    assert!(head.contains("bytes 3-5/6") && head.contains("multipart/form-data; boundary="), "{head}");
    assert!(body.contains("name=\"file\"") && body.contains("\r\n\r\ndef\r\n--"), "{body}");
    assert!(!format!("{client:?}").contains("s3cret"));
}
