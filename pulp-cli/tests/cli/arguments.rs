//! What the command line takes, and what it says of what it does not take.

use serde_json::json;

use crate::server::{Answer, Server};
use crate::{command, finish, pulp};

#[test]
fn wrong_usage_has_exit_code_2() {
    let server = Server::start(|_| Answer::list(vec![]));
    for arguments in [
        &["nope"][..],
        &["task", "list", "--state=cannotwork"],
        &["task", "list", "--limit", "0"],
        &["task", "show", "--uuid", "../users/1"],
        &["task", "purge", "--finished-before", "NOT A DATE"],
        &["task", "purge", "--state", "running"],
        &["artifact", "upload", "--file", "x", "--chunk-size", "1KKB"],
        &["file", "repository", "show"],
        &["file", "repository", "show", "--name", "a", "--href", "/b/"],
        &["file", "repository", "content", "remove", "--repository", "a"],
        &["file", "content", "show", "--sha256", "a"],
        &["file", "remote", "create", "--name", "a", "--url", "b", "--policy", "never"],
        &["file", "repository", "create", "--name", "a", "--labels", "[1]"],
        &["orphan", "cleanup", "--content-hrefs", "{}"],
    ] {
        let run = pulp(&server, arguments);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{arguments:?}: {run:?}");
        assert!(run.err.starts_with("error: "), "{run:?}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn states_are_taken_in_any_case() {
    let server = Server::start(|_| Answer::list(vec![]));
    pulp(&server, &["task", "list", "--state=COmPLetED"]).ok();
    assert_eq!(server.seen()[0].parameter("state"), Some("completed"));
}

#[test]
fn an_empty_text_takes_a_value_away() {
    let server = Server::start(|request| match request.method.as_str() {
        "GET" => Answer::list(vec![json!({ "pulp_href": "/pulp/api/v3/remotes/file/file/1/" })]),
        _ => Answer::ok(json!({})),
    });
    let arguments = [
        "file",
        "remote",
        "update",
        "--remote",
        "r",
        "--proxy-url",
        "",
        "--max-retries",
        "",
        "--total-timeout",
        "1.5",
        "--header",
        "",
        "--tls-validation",
        "no",
    ];
    pulp(&server, &arguments).ok();
    assert_eq!(
        server.seen()[1].json(),
        json!({ "proxy_url": null, "max_retries": null, "total_timeout": 1.5, "headers": [], "tls_validation": false })
    );
}

#[test]
fn certificates_come_as_text_and_as_files() {
    let server = Server::start(|_| Answer::Json(201, json!({})));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "-----BEGIN KEY-----").unwrap();
    let key = format!("@{}", file.path().display());
    let arguments =
        ["file", "remote", "create", "--name", "a", "--url", "b", "--client-cert", "-----BEGIN CERTIFICATE-----", "--client-key", &key];
    pulp(&server, &arguments).ok();
    let body = server.seen()[0].json();
    assert_eq!(body["client_cert"], "-----BEGIN CERTIFICATE-----");
    assert_eq!(body["client_key"], "-----BEGIN KEY-----");
}

#[test]
fn a_reference_names_type_and_name() {
    let server = Server::start(|request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/pulp/api/v3/remotes/file/git/") if request.parameter("name") == Some("a%3Ab") => {
            Answer::list(vec![json!({ "pulp_href": "/pulp/api/v3/remotes/file/git/1/" })])
        }
        ("POST", _) => Answer::Json(201, json!({})),
        _ => Answer::list(vec![]),
    });
    let create = |remote| pulp(&server, &["file", "repository", "create", "--name", "r", "--remote", remote]);
    create("file:git:a:b").ok();
    assert_eq!(server.seen().pop().unwrap().json()["remote"], "/pulp/api/v3/remotes/file/git/1/");
    assert!(create("a:b").failed().err.contains("file a remote with name 'b'"));
    create("prn:file.filegitremote:01a2").ok();
    assert_eq!(server.seen().pop().unwrap().json()["remote"], "/pulp/api/v3/remotes/file/git/01a2/");
    assert!(create("prn:file.filerepository:01a2").failed().err.contains("not a remote"));
    assert!(create("/pulp/api/v3/users/1/").failed().err.contains("not a remote"));
}

#[test]
fn tables_and_silence() {
    let server = Server::start(|_| Answer::list(vec![json!({ "name": "one", "pulp_href": "/x/" })]));
    let table = pulp(&server, &["--format", "table", "file", "remote", "list"]).ok();
    assert!(table.out.contains("NAME") && table.out.contains("one"), "{table:?}");
    assert_eq!(pulp(&server, &["--format", "none", "file", "remote", "list"]).ok().out, "");
}

#[test]
fn completions_know_the_commands() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let run = finish(command(home.path()).args(["completions", shell])).ok();
        assert!(run.out.contains("task-group") && run.out.contains("repository"), "{shell}");
    }
}
