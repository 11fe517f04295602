//! Showing and listing.

use serde_json::{Value, json};

use crate::pulp;
use crate::server::{Answer, Request, Server};

/// A collection of numbered entries that is served in pages.
fn numbers(count: usize) -> impl Fn(&Request) -> Answer {
    move |request| {
        let number = |name| request.parameter(name).unwrap().parse::<usize>().unwrap();
        let (offset, limit) = (number("offset"), number("limit"));
        let entries: Vec<Value> = (offset..count.min(offset + limit)).map(|n| json!({ "number": n })).collect();
        let next = (offset + limit < count).then_some("there is more");
        Answer::ok(json!({ "count": count, "next": next, "results": entries }))
    }
}

#[test]
fn status_is_asked_without_the_password() {
    let server = Server::start(|_| Answer::ok(json!({ "versions": [] })));
    let run = pulp(&server, &["status"]).ok();
    assert_eq!(run.out, "{\"versions\": []}\n");
    assert_eq!(run.err, "");
    let seen = server.seen();
    assert_eq!(seen[0].line(), "GET /pulp/api/v3/status/");
    assert_eq!(seen[0].header("authorization"), None);
}

#[test]
fn status_is_retried_while_the_server_is_away() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Answer::Hangup,
        1 => Answer::Raw(502, vec![], "<html>".to_owned()),
        _ => Answer::ok(json!({})),
    });
    pulp(&server, &["status", "--retries", "2", "--retry-delay", "0"]).ok();
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn long_lists_come_in_pages() {
    let server = Server::start(numbers(1000));
    let run = pulp(&server, &["artifact", "list", "--limit", "450", "--offset", "10"]).ok();
    let entries = run.json();
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len(), 450);
    assert_eq!(entries[0]["number"], 10);
    assert_eq!(entries[449]["number"], 459);
    assert!(run.err.contains("Not all 1000 entries"), "{run:?}");
    let pages: Vec<String> = server.seen().into_iter().map(|request| request.query).collect();
    assert_eq!(pages, ["offset=10&limit=200", "offset=210&limit=200", "offset=410&limit=50"]);
}

/// Numbered units, read by key from behind one of them, or by offset; `knows` whether the server has pages by key.
fn units(count: usize, knows: bool) -> impl Fn(&Request) -> Answer {
    move |request| {
        let after = request.parameter("after");
        if after.is_some() && !knows {
            return Answer::Json(400, json!({ "errors": ["Invalid Filter: 'after'"] }));
        }
        let limit: usize = request.parameter("limit").unwrap().parse().unwrap();
        let number = |href: &str| href.trim_start_matches("%2Funit%2F").parse::<usize>().unwrap();
        let from = after.map_or_else(|| request.parameter("offset").unwrap().parse().unwrap(), |href| number(href) + 1);
        let entries: Vec<Value> = (from..count.min(from + limit)).map(|n| json!({ "pulp_href": format!("/unit/{n}") })).collect();
        let next = (from + limit < count).then_some("there is more");
        Answer::ok(json!({ "count": count, "next": next, "results": entries }))
    }
}

#[test]
fn long_lists_of_content_are_read_by_key_where_the_server_can() {
    let queries = |server: &Server| server.seen().into_iter().map(|request| request.query).collect::<Vec<_>>();
    let list = |server: &Server, more: &[&str]| {
        let run = pulp(server, &[&["file", "content", "list", "--limit", "1000"], more].concat()).ok();
        let entries = run.json();
        let entries: Vec<&str> = entries.as_array().unwrap().iter().map(|unit| unit["pulp_href"].as_str().unwrap()).collect();
        assert_eq!(entries.len(), 450);
        assert!(entries.iter().enumerate().all(|(at, href)| *href == format!("/unit/{at}")));
    };
    let server = Server::start(units(450, true));
    list(&server, &[]);
    assert_eq!(
        queries(&server),
        ["offset=0&limit=200", "after=%2Funit%2F199&count=450&limit=200", "after=%2Funit%2F399&count=450&limit=200"]
    );
    let server = Server::start(units(450, false));
    list(&server, &[]);
    let seen = queries(&server);
    assert_eq!(seen, ["offset=0&limit=200", "after=%2Funit%2F199&count=450&limit=200", "offset=200&limit=200", "offset=400&limit=200"]);
    let server = Server::start(units(450, true));
    list(&server, &["--ordering", "pk"]);
    assert!(queries(&server).iter().all(|query| !query.contains("after")));
}

#[test]
fn a_whole_list_is_shown_without_a_note() {
    let server = Server::start(numbers(3));
    let run = pulp(&server, &["artifact", "list"]).ok();
    assert_eq!(run.json().as_array().unwrap().len(), 3);
    assert_eq!(run.err, "");
}

#[test]
fn filters_become_parameters() {
    let server = Server::start(|_| Answer::list(vec![]));
    let arguments = [
        "file",
        "repository",
        "list",
        "--name-in",
        "a",
        "--name-in",
        "b",
        "--ordering",
        "-name",
        "--field",
        "name",
        "--exclude-field",
        "remote",
        "--name-startswith",
        "x",
    ];
    pulp(&server, &arguments).ok();
    let request = &server.seen()[0];
    assert_eq!(request.path, "/pulp/api/v3/repositories/file/file/");
    assert_eq!(request.parameter("name__in"), Some("a%2Cb"));
    assert_eq!(request.parameter("ordering"), Some("-name"));
    assert_eq!(request.parameter("fields"), Some("name"));
    assert_eq!(request.parameter("exclude_fields"), Some("remote"));
    assert_eq!(request.parameter("name__startswith"), Some("x"));
}

#[test]
fn a_resource_is_found_by_name_href_and_prn() {
    const ID: &str = "01a202c1-dedb-737b-8c9f-717ea89b188a";
    let server = Server::start(|request| {
        let repository = json!({ "pulp_href": format!("/pulp/api/v3/repositories/file/file/{ID}/"), "name": "foo" });
        match request.path.as_str() {
            "/pulp/api/v3/repositories/file/file/" if request.parameter("name") == Some("foo") => Answer::list(vec![repository]),
            "/pulp/api/v3/repositories/file/file/" => Answer::list(vec![]),
            path if path.contains(ID) => Answer::ok(repository),
            _ => Answer::not_found(),
        }
    });
    let href = format!("/pulp/api/v3/repositories/file/file/{ID}/");
    let prn = format!("prn:file.filerepository:{ID}");
    for arguments in
        [["--name", "foo"], ["--repository", "foo"], ["--repository", &href], ["--href", &href], ["--repository", &prn], ["--href", &prn]]
    {
        let run = pulp(&server, &[&["file", "repository", "show"], &arguments[..]].concat()).ok();
        assert_eq!(run.json()["name"], "foo");
    }
    for (arguments, hint) in [
        (["--name", "bar"], "could not find file repository with name 'bar'"),
        (["--repository", "/pulp/api/v3/remotes/file/file/1/"], "not a valid HREF value for a file repository"),
        (["--repository", "prn:file.fileremote:01"], "not a file repository"),
        (["--repository", "prn:not:a:prn"], "not a valid PRN"),
    ] {
        let run = pulp(&server, &[&["file", "repository", "show"], &arguments[..]].concat()).failed();
        assert!(run.err.contains(hint), "{run:?}");
    }
}

#[test]
fn the_default_domain_is_found_on_a_server_with_domains() {
    let server = Server::start(|request| match request.path.as_str() {
        "/pulp/api/v3/status/" => Answer::ok(json!({ "domain_enabled": true })),
        "/pulp/default/api/v3/tasks/" => Answer::list(vec![json!({ "name": "t" })]),
        _ => Answer::Raw(404, vec![], "<html>".to_owned()),
    });
    let run = pulp(&server, &["task", "list"]).ok();
    assert_eq!(run.json()[0]["name"], "t");
}

#[test]
fn a_label_is_shown_as_text() {
    let server = Server::start(|_| Answer::list(vec![json!({ "pulp_href": "/pulp/api/v3/x/", "pulp_labels": { "a": "b c" } })]));
    let show = |key| pulp(&server, &["file", "remote", "label", "show", "--remote", "r", "--key", key]);
    assert_eq!(show("a").ok().out, "b c\n");
    assert!(show("z").failed().err.contains("label with key 'z'"));
}

#[test]
fn scripts_ask_for_plugins() {
    let server = Server::start(|_| Answer::ok(json!({ "versions": [{ "component": "file", "version": "3.123.1" }] })));
    let ask = |name, specifier| pulp(&server, &["debug", "has-plugin", "--name", name, "--specifier", specifier]);
    assert_eq!(ask("file", ">=1.10.0").ok().out, "true\n");
    for run in [ask("file", ">=4"), ask("rpm", ">=1")] {
        assert_eq!((run.code, run.out.as_str()), (1, "false\n"));
    }
}
