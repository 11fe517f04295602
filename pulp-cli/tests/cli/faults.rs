//! What goes wrong between the command and the server, and what must never be told.

use std::sync::Arc;

use serde_json::json;

use crate::server::{Answer, Server};
use crate::{command, finish, pulp};

#[test]
fn a_refusal_names_the_fields() {
    let server = Server::start(|_| Answer::Json(400, json!({ "name": ["This field must be unique."], "url": ["Bad."] })));
    let run = pulp(&server, &["file", "remote", "create", "--name", "a", "--url", "b"]).failed();
    assert_eq!(run.err, "Error: name: This field must be unique.\nurl: Bad.\n");
}

#[test]
fn wrong_credentials_and_missing_rights() {
    let answering = |status| Server::start(move |_| Answer::Json(status, json!({ "detail": "No." })));
    let run = pulp(&answering(401), &["task", "list"]).failed();
    assert!(run.err.contains("Authentication failed for tasks_list: No.") && run.err.contains("--username"), "{run:?}");
    let run = pulp(&answering(403), &["task", "list"]).failed();
    assert_eq!(run.err, "Error: Operation tasks_list not authorized. No.\n");
}

#[test]
fn nobody_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = tempfile::tempdir().unwrap();
    let url = format!("http://admin:s3cret-word@127.0.0.1:{port}/");
    let run = finish(command(home.path()).args(["--base-url", &url, "task", "list"])).failed();
    assert!(run.err.contains(&format!("cannot talk to http://127.0.0.1:{port}/")), "{run:?}");
    assert!(!run.err.contains("s3cret-word"), "{run:?}");
}

#[test]
fn answers_that_are_none() {
    for (answer, hint) in [
        (Answer::Raw(200, vec![], "<html>".to_owned()), "not JSON"),
        (Answer::Raw(404, vec![], "<html>".to_owned()), "--api-root"),
        (Answer::Raw(500, vec![], "<h1>Oops".to_owned()), "500"),
        (Answer::Raw(500, vec![], "database away".to_owned()), "database away"),
        (Answer::Json(200, json!({ "results": "x" })), "no list"),
        (Answer::Json(200, json!([])), "no list"),
        (Answer::Cut, "cannot talk to"),
        (Answer::Hangup, "cannot talk to"),
    ] {
        let told = answer.clone();
        let server = Server::start(move |request| match request.path.as_str() {
            "/pulp/api/v3/status/" => Answer::ok(json!({ "domain_enabled": false })),
            _ => told.clone(),
        });
        let run = pulp(&server, &["task", "list"]).failed();
        assert!(run.err.contains(hint), "{answer:?}: {run:?}");
        assert!(!run.err.contains("<h"), "{run:?}");
    }
}

#[test]
fn hrefs_of_the_server_do_not_lead_away() {
    let other = Server::start(|_| Answer::ok(json!({ "state": "completed" })));
    for href in [
        format!("{}/pulp/api/v3/tasks/1/", other.url()),
        other.url().replace("http:", "") + "/pulp/api/v3/tasks/1/",
        "/etc/passwd".to_owned(),
    ] {
        let server = Server::start({
            let href = href.clone();
            move |_| Answer::task(&href)
        });
        let run = pulp(&server, &["orphan", "cleanup"]).failed();
        assert!(run.err.contains("not an href of this server"), "{run:?}");
    }
    assert!(other.seen().is_empty());
}

#[test]
fn a_redirect_to_another_server_does_not_get_the_password() {
    let other = Arc::new(Server::start(|_| Answer::list(vec![])));
    let server = Server::start({
        let other = Arc::clone(&other);
        move |_| {
            // Another name is another server, though the address is the same.
            let target = other.url().replace("127.0.0.1", "localhost");
            Answer::Raw(302, vec![format!("Location: {target}/pulp/api/v3/tasks/")], String::new())
        }
    });
    pulp(&server, &["task", "list"]);
    assert!(server.seen()[0].header("authorization").is_some());
    assert!(other.seen().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn the_most_talkative_level_tells_no_secret() {
    let server = Server::start(|_| {
        Answer::Raw(
            201,
            vec!["Set-Cookie: sessionid=s3cret-cookie".to_owned()],
            json!({ "password": "s3cret-remote", "url": "http://u:s3cret-url@x/" }).to_string(),
        )
    });
    let run = pulp(
        &server,
        &[
            "-vvv",
            "--header",
            "X-Api-Token: s3cret-token",
            "file",
            "remote",
            "create",
            "--name",
            "a",
            "--url",
            "http://u:s3cret-url@x/",
            "--password",
            "s3cret-remote",
            "--client-key",
            "s3cret-key",
            "--header",
            "Authorization: s3cret-header",
        ],
    )
    .ok();
    assert!(run.err.contains("\"name\":\"a\"") && run.err.contains("X-Api-Token: [hidden]"), "{run:?}");
    assert!(!run.err.contains("s3cret"), "{run:?}");
    // Nor in the form that it travels in.
    let authorization = server.seen()[0].header("authorization").unwrap().to_owned();
    let encoded = authorization.strip_prefix("Basic ").unwrap();
    assert!(!run.err.contains(encoded), "{run:?}");
    assert_eq!(server.seen()[0].json()["password"], "s3cret-remote");
}

#[test]
fn a_dry_run_changes_nothing() {
    let server = Server::start(|_| Answer::list(vec![json!({ "pulp_href": "/pulp/api/v3/repositories/file/file/1/" })]));
    for arguments in [
        &["--dry-run", "file", "repository", "destroy", "--name", "a"][..],
        &["--dry-run", "file", "repository", "create", "--name", "a"],
        &["--dry-run", "task", "cancel", "--all"],
        &["--dry-run", "task", "purge"],
    ] {
        let run = pulp(&server, arguments).failed();
        assert!(run.err.contains("dry run"), "{run:?}");
    }
    assert!(server.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", server.lines());
}

#[test]
fn the_correlation_id_is_sent_and_checked() {
    let echo = Server::start(|request| {
        let id = request.header("correlation-id").unwrap().to_owned();
        Answer::Raw(200, vec![format!("Correlation-ID: {id}")], "{}".to_owned())
    });
    let run = pulp(&echo, &["-vv", "--cid", "deadbeef", "status"]).ok();
    assert!(run.err.contains("Correlation-ID: deadbeef"), "{run:?}");
    let other = Server::start(|_| Answer::Raw(200, vec!["Correlation-ID: other".to_owned()], "{}".to_owned()));
    let run = pulp(&other, &["--cid", "mine", "status"]).failed();
    assert!(run.err.contains("'mine'") && run.err.contains("'other'"), "{run:?}");
}
