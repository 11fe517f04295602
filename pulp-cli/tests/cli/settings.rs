//! Settings files and the commands that make them.

use serde_json::json;

use crate::server::{Answer, Server};
use crate::{command, finish};

/// A server that asks for the password.
fn guarded() -> Server {
    Server::start(|request| match request.header("authorization") {
        // admin:secret
        Some("Basic YWRtaW46c2VjcmV0") => Answer::list(vec![]),
        _ => Answer::Json(401, json!({ "detail": "No." })),
    })
}

#[test]
fn the_users_file_is_read_and_the_variables_over_it() {
    let server = guarded();
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join(".config/pulp");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("cli.toml"), "[cli]\nbase_url = \"http://127.0.0.1:9\"\nusername = \"admin\"\n").unwrap();
    let more = home.path().join("more.toml");
    std::fs::write(&more, format!("[cli]\nbase_url = \"{}\"\npassword = \"secret\"\n", server.url())).unwrap();
    finish(command(home.path()).env("PULP_CLI_CONFIG", &more).args(["task", "list"])).ok();

    let profile = home.path().join("profile.toml");
    std::fs::write(&profile, format!("[cli-x]\nbase_url = \"{}\"\n", server.url())).unwrap();
    let with = |more: &[&str]| finish(command(home.path()).args(["--config", profile.to_str().unwrap()]).args(more).args(["task", "list"]));
    assert!(with(&["--profile", "x"]).failed().err.contains("Authentication failed"));
    with(&["--profile", "x", "--username", "admin", "--password", "secret"]).ok();
    assert!(with(&["--profile", "y"]).failed().err.contains("[cli-y]"));
}

#[test]
fn a_wrong_file_is_told_before_any_call() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("bad.toml");
    std::fs::write(&file, "[cli]\nbase_uri = \"x\"\n").unwrap();
    let path = file.to_str().unwrap();
    let run = finish(command(home.path()).args(["--config", path, "status"])).failed();
    assert!(run.err.contains("base_uri") && run.err.contains(path), "{run:?}");
    let run = finish(command(home.path()).args(["config", "validate", "--location", path])).failed();
    assert!(run.err.contains("base_uri"), "{run:?}");
    let missing = finish(command(home.path()).args(["--config", "/no/such.toml", "status"])).failed();
    assert!(missing.err.contains("/no/such.toml"), "{missing:?}");
}

#[test]
fn a_file_is_made_checked_and_used() {
    let server = guarded();
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| finish(command(home.path()).args(arguments));
    let create = ["config", "create", "--base-url", &server.url(), "--username", "admin", "--password", "secret"];
    let made = run(&create).ok();
    assert!(made.out.contains(".config/pulp/cli.toml") && !made.out.contains("secret"), "{made:?}");
    run(&["config", "validate", "--strict"]).ok();
    run(&["task", "list"]).ok();
    assert!(run(&create).failed().err.contains("--overwrite"));
    run(&[&create[..], &["--overwrite"]].concat()).ok();
}

#[test]
fn the_editor_is_run_and_the_file_checked() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("cli.toml");
    let edit =
        |editor: &str| finish(command(home.path()).env("EDITOR", editor).args(["config", "edit", "--location", file.to_str().unwrap()]));
    assert!(edit("/bin/true").failed().err.contains("config create"));
    std::fs::write(&file, "[cli]\n").unwrap();
    edit("/bin/true").ok();
    assert!(edit("/bin/false").failed().err.contains("editor"));
    std::fs::write(&file, "[cli]\nnope = 1\n").unwrap();
    assert!(edit("/bin/true").failed().err.contains("nope"));
}
