//! Calls that start tasks, and waiting for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::pulp;
use crate::server::{Answer, Request, Server};

const REPOSITORY: &str = "/pulp/api/v3/repositories/file/file/01a202c1-dedb-737b-8c9f-717ea89b188a/";
const TASK: &str = "/pulp/api/v3/tasks/01a202c2-1619-796b-a9f3-16ff7c2d748a/";

/// A server with a repository that has a remote; each look at the task gives the next of the answers, and the last ever after.
fn with_task(looks: Vec<Answer>) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |request: &Request| {
        let repository = json!({ "pulp_href": REPOSITORY, "name": "foo", "remote": "/pulp/api/v3/remotes/file/file/1/" });
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", TASK) => {
                let look = next.fetch_add(1, Ordering::SeqCst);
                looks.get(look).or(looks.last()).unwrap().clone()
            }
            ("GET", "/pulp/api/v3/repositories/file/file/") => Answer::list(vec![repository]),
            ("GET", REPOSITORY) => Answer::ok(repository),
            _ => Answer::task(TASK),
        }
    })
}

fn state(state: &str) -> Answer {
    Answer::ok(json!({ "pulp_href": TASK, "state": state, "error": null, "created_resources": [REPOSITORY] }))
}

const SYNC: [&str; 5] = ["file", "repository", "sync", "--name", "foo"];

#[test]
fn a_task_is_waited_for_and_prints_nothing() {
    let server = with_task(vec![state("waiting"), state("running"), state("completed")]);
    let run = pulp(&server, &SYNC).ok();
    assert_eq!(run.out, "");
    // Scripts look for the href of the task, which must be there once.
    assert_eq!(run.err.matches(TASK).count(), 1, "{run:?}");
    assert!(run.err.contains("Done."), "{run:?}");
    let looks = server.lines().iter().filter(|line| line.ends_with(TASK)).count();
    assert_eq!(looks, 3);
}

#[test]
fn what_a_task_made_is_shown() {
    let server = with_task(vec![state("completed")]);
    let run = pulp(&server, &["file", "repository", "create", "--name", "foo"]).ok();
    assert_eq!(run.json()["pulp_href"], REPOSITORY);
}

#[test]
fn a_failed_task_is_an_error_with_the_servers_words() {
    let failed = json!({ "state": "failed", "error": { "description": "no such host", "traceback": "File x" } });
    let server = with_task(vec![Answer::ok(failed)]);
    let run = pulp(&server, &SYNC).failed();
    assert!(run.err.contains(&format!("Error: task {TASK} failed: no such host")), "{run:?}");
    assert!(!run.err.contains("Done.") && !run.err.contains("File x"), "{run:?}");
}

#[test]
fn a_canceled_task_is_an_error() {
    let run = pulp(&with_task(vec![state("canceled")]), &SYNC).failed();
    assert!(run.err.contains("canceled"), "{run:?}");
}

#[test]
fn in_the_background_the_task_is_printed_and_not_looked_at() {
    let server = with_task(vec![]);
    let run = pulp(&server, &[&["--background"], &SYNC[..]].concat()).ok();
    assert_eq!(run.json(), json!({ "task": TASK }));
    assert_eq!(run.err.matches(TASK).count(), 1, "{run:?}");
    assert!(!server.lines().contains(&format!("GET {TASK}")));
}

#[test]
fn a_wait_survives_a_proxy_that_hiccups() {
    let server =
        with_task(vec![state("running"), Answer::Raw(502, vec![], "<html>".to_owned()), Answer::Hangup, Answer::Cut, state("completed")]);
    pulp(&server, &SYNC).ok();
}

#[test]
fn a_wait_ends_when_the_server_stays_away() {
    let run = pulp(&with_task(vec![Answer::Raw(503, vec![], String::new())]), &SYNC).failed();
    assert!(run.err.contains("503"), "{run:?}");
}

#[test]
fn a_time_limit_ends_the_wait_and_not_the_task() {
    let server = with_task(vec![state("running")]);
    let run = pulp(&server, &[&["--timeout", "1"], &SYNC[..]].concat()).ok();
    assert!(run.err.contains("timed out"), "{run:?}");
    assert!(server.lines().iter().all(|line| !line.starts_with("PATCH")));
}

#[test]
fn a_sync_without_a_remote_is_refused_before_the_call() {
    let server = Server::start(|_| Answer::list(vec![json!({ "pulp_href": REPOSITORY, "name": "foo", "remote": null })]));
    let run = pulp(&server, &SYNC).failed();
    assert!(run.err.contains("'foo' has no remote") && run.err.contains("--remote"), "{run:?}");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_task_is_canceled_and_watched_until_it_is() {
    let server = with_task(vec![state("running"), state("canceling"), state("canceled")]);
    let run = pulp(&server, &["task", "cancel", "--href", TASK]).ok();
    assert_eq!(run.json()["state"], "canceled");
    let patch = server.seen().into_iter().find(|request| request.method == "PATCH").unwrap();
    assert_eq!(patch.json(), json!({ "state": "canceled" }));
}

/// The answers to those who ask for the events of the task, one after the other, and the last ever after.
fn with_events(streams: Vec<Answer>, looks: Vec<Answer>) -> Server {
    let (next, look) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let nth = |all: &[Answer], counter: &AtomicUsize| {
        let at = counter.fetch_add(1, Ordering::SeqCst);
        all.get(at).or(all.last()).unwrap().clone()
    };
    Server::start(move |request: &Request| match request.path.as_str() {
        TASK => nth(&looks, &look),
        path if path == format!("{TASK}events/") => nth(&streams, &next),
        _ => Answer::list(vec![json!({ "pulp_href": TASK })]),
    })
}

fn stream(text: &str) -> Answer {
    Answer::Raw(200, vec!["Content-Type: text/event-stream; charset=utf-8".to_owned()], text.to_owned())
}

const PROGRESS: &str = "event: state\ndata: {\"state\":\"running\"}\n\nid: 5\nevent: progress\ndata: {\"code\":\"a\",\"message\":\"Counting\",\"state\":\"running\",\"total\":3,\"done\":1}\n\n";

#[test]
fn what_happens_to_a_task_is_shown_line_by_line() {
    let end =
        format!("{PROGRESS}id: 9-end\nevent: end\ndata: {{\"pulp_href\":\"{TASK}\",\"state\":\"completed\",\"progress_reports\":[]}}\n\n");
    // The first connection breaks; the second goes on after what was heard.
    let server = with_events(vec![stream(PROGRESS), stream(&end)], vec![state("running")]);
    let run = pulp(&server, &["task", "tail", "--href", TASK]).ok();
    assert_eq!(run.json()["state"], "completed");
    assert_eq!(run.err, "The task is running.\nCounting: 1/3\nThe task is completed.\nDone.\n");
    let asked: Vec<_> = server.seen().into_iter().filter(|request| request.path.ends_with("/events/")).collect();
    assert_eq!(asked.iter().map(|request| request.header("last-event-id")).collect::<Vec<_>>(), [None, Some("5")]);
    let failed = "event: end\ndata: {\"state\":\"failed\",\"error\":{\"description\":\"no such host\"}}\n\n";
    let run = pulp(&with_events(vec![stream(failed)], vec![state("running")]), &["task", "tail", "--href", TASK]).failed();
    assert!(run.err.contains("failed: no such host"), "{run:?}");
}

#[test]
fn a_sync_that_recurs() {
    let server = Server::start(|request: &Request| match request.path.trim_start_matches("/pulp/api/v3/") {
        "repositories/file/file/" => Answer::list(vec![json!({ "pulp_href": REPOSITORY, "name": "foo" })]),
        "remotes/file/file/" => Answer::list(vec![json!({ "pulp_href": "/pulp/api/v3/remotes/file/file/1/", "name": "r" })]),
        "task-schedules/" if request.method == "GET" => {
            Answer::list(vec![json!({ "pulp_href": "/pulp/api/v3/task-schedules/1/", "options": { "mirror": true, "remote": "/r/" } })])
        }
        _ => Answer::Json(201, json!({ "pulp_href": "/made/" })),
    });
    let create = ["task-schedule", "create", "--name", "s", "--repository", "file:file:foo", "--interval", "1 00:00:00", "--jitter", "60"];
    let create = [&create[..], &["--remote", "file:file:r", "--mirror"]].concat();
    assert_eq!(
        crate::last_call(&server, &create),
        (
            "POST task-schedules/".to_owned(),
            json!({
                "name": "s", "repository": REPOSITORY, "dispatch_interval": "1 00:00:00", "jitter": 60,
                "options": { "remote": "/pulp/api/v3/remotes/file/file/1/", "mirror": true },
            })
        )
    );
    // What is not said of the options stays.
    let update = ["task-schedule", "update", "--name", "s", "--remote", "", "--no-optimize", "--cron", "0 3 * * *", "--disabled"];
    assert_eq!(
        crate::last_call(&server, &update),
        (
            "PATCH task-schedules/1/".to_owned(),
            json!({ "cron": "0 3 * * *", "options": { "mirror": true, "optimize": false }, "enabled": false })
        )
    );
    assert_eq!(
        crate::last_call(&server, &["task-schedule", "update", "--name", "s", "--enabled"]),
        ("PATCH task-schedules/1/".to_owned(), json!({ "enabled": true }))
    );
    assert_eq!(crate::last_call(&server, &["task-schedule", "destroy", "--name", "s"]).0, "DELETE task-schedules/1/");
    assert_ne!(pulp(&server, &[&create[..], &["--cron", "@daily"]].concat()).code, 0);
}

#[test]
fn webhooks() {
    let server =
        Server::with_one_of_each(|action| matches!(action, "ping" | "redeliver").then(|| Answer::Json(202, json!({ "delivery": "/d/" }))));
    let create = ["webhook", "create", "--name", "w", "--url", "https://x/", "--secret", "s", "--event", "task.failed", "--disabled"];
    let create = [&create[..], &["--event", "repository_version.created", "--repository", "file:file:one", "--no-tls-validation"]].concat();
    let repository = format!("/pulp/api/v3/repositories/file/file/{}/", crate::server::ID);
    assert_eq!(
        crate::last_call(&server, &create),
        (
            "POST webhooks/".to_owned(),
            json!({
                "name": "w", "url": "https://x/", "secret": "s", "events": ["task.failed", "repository_version.created"],
                "repository": repository, "enabled": false, "tls_validation": false,
            })
        )
    );
    let below = |method: &str, action: &str| format!("{method} webhooks/{}/{action}", crate::server::ID);
    assert_eq!(
        crate::last_call(&server, &["webhook", "update", "--name", "one", "--label-select", "", "--enabled"]),
        (below("PATCH", ""), json!({ "label_select": null, "enabled": true }))
    );
    assert_eq!(crate::last_call(&server, &["webhook", "ping", "--name", "one"]).0, below("POST", "ping/"));
    assert_eq!(pulp(&server, &["webhook", "ping", "--name", "one"]).ok().json(), json!({ "delivery": "/d/" }));
    let again = ["webhook", "redeliver", "--name", "one", "--delivery", crate::server::ID];
    assert_eq!(crate::last_call(&server, &again), (below("POST", "redeliver/"), json!({ "delivery": crate::server::ID })));
    pulp(&server, &["webhook", "delivery", "list", "--name", "one", "--state", "failed"]).ok();
    let asked = server.seen().pop().unwrap();
    assert_eq!(
        (asked.line(), asked.parameter("state")),
        (format!("GET /pulp/api/v3/webhooks/{}/deliveries/", crate::server::ID), Some("failed"))
    );
}

#[test]
fn a_pulp_without_events_is_asked_again_and_again() {
    let report = |done: i64, state: &str| {
        let reports = json!([{ "code": "a", "message": "Counting", "state": "running", "total": 3, "done": done }]);
        Answer::ok(json!({ "pulp_href": TASK, "state": state, "progress_reports": reports }))
    };
    for lacking in [Answer::not_found(), Answer::Raw(404, vec![], "<html>".to_owned())] {
        let server = with_events(vec![lacking], vec![report(1, "running"), report(1, "running"), report(3, "completed")]);
        let run = pulp(&server, &["task", "tail", "--name", "a.task"]).ok();
        assert_eq!(run.json()["state"], "completed");
        assert_eq!(run.err, "The task is running.\nCounting: 1/3\nThe task is completed.\nCounting: 3/3\nDone.\n");
        let asked = server.seen().remove(0);
        assert_eq!(asked.parameter("name"), Some("a.task"));
    }
}

#[test]
fn an_ended_task_cannot_be_canceled() {
    let server = with_task(vec![state("completed")]);
    let run = pulp(&server, &["task", "cancel", "--href", TASK]).failed();
    assert!(run.err.contains("is in state completed"), "{run:?}");
    assert!(server.lines().iter().all(|line| !line.starts_with("PATCH")));
}

#[test]
fn a_group_is_waited_for_and_its_failures_counted() {
    const GROUP: &str = "/pulp/api/v3/task-groups/01a202c2-1619-796b-a9f3-16ff7c2d748a/";
    let next = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let (dispatched, running, failed) = match next.fetch_add(1, Ordering::SeqCst) {
            0 => (false, 0, 0),
            1 => (true, 1, 0),
            _ => (true, 0, 2),
        };
        Answer::ok(json!({ "all_tasks_dispatched": dispatched, "running": running, "failed": failed }))
    });
    let run = pulp(&server, &["task-group", "show", "--wait", "--href", GROUP]).failed();
    assert!(run.err.contains("2 failed"), "{run:?}");
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn naming_a_repository_takes_the_publication_away() {
    let server = Server::start(|request: &Request| {
        let distribution = json!({
            "pulp_href": "/pulp/api/v3/distributions/file/file/1/",
            "publication": "/pulp/api/v3/publications/file/file/1/",
            "repository": null,
        });
        match (request.method.as_str(), request.path.as_str()) {
            ("PATCH", _) => Answer::ok(Value::Null),
            (_, path) if path.contains("distributions") => Answer::list(vec![distribution]),
            _ => Answer::list(vec![json!({ "pulp_href": REPOSITORY })]),
        }
    });
    pulp(&server, &["file", "distribution", "update", "--name", "d", "--repository", "foo"]).ok();
    let patch = server.seen().pop().unwrap();
    assert_eq!(patch.json(), json!({ "publication": null, "repository": REPOSITORY }));
}

/// Starts a sync whose task never ends, and interrupts it once the task was looked at.
#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_task_running() {
    let (looked, was_looked_at) = std::sync::mpsc::channel();
    let server = Server::start(move |request: &Request| {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", TASK) => {
                // The test ends, and with it this channel, before the server does.
                let _ = looked.send(());
                state("running")
            }
            ("GET", _) => Answer::list(vec![json!({ "pulp_href": REPOSITORY, "name": "foo", "remote": "/x/" })]),
            _ => Answer::task(TASK),
        }
    });
    let home = tempfile::tempdir().unwrap();
    let child = crate::command(home.path())
        .args(["--base-url", &server.url()])
        .args(SYNC)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    was_looked_at.recv().unwrap();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("continues in the background"), "{told}");
    assert!(server.lines().iter().all(|line| !line.starts_with("PATCH")));
}

#[test]
fn what_a_task_recorded_is_named_and_fetched() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        TASK => Answer::ok(json!({ "pulp_href": TASK, "name": "a.task", "state": "completed" })),
        "/pulp/content/hash/file" => Answer::Raw(200, vec![], "# Seconds\tMemory in MB\n".to_owned()),
        path if path == format!("{TASK}profile_artifacts/") => {
            Answer::ok(json!({ "urls": { "memory_profile": "/pulp/content/hash/file?validate_token=secret" } }))
        }
        _ => Answer::not_found(),
    });
    let dir = tempfile::tempdir().unwrap();
    let command = ["task", "profile-artifact-urls", "--href", TASK];
    let run = pulp(&server, &command).ok();
    assert_eq!(run.json()["memory_profile"], "/pulp/content/hash/file?validate_token=secret");
    assert!(server.lines().iter().all(|line| !line.contains("/content/")));
    crate::pulp_in(dir.path(), &server, &[&command[..], &["--download"]].concat()).ok();
    let kept = dir.path().join("task_profile-a.task-01a202c2-1619-796b-a9f3-16ff7c2d748a/memory_profile");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "# Seconds\tMemory in MB\n");
    let fetched = server.seen().into_iter().find(|request| request.path.contains("/content/")).unwrap();
    assert_eq!(fetched.header("authorization"), None);
}

#[test]
fn a_file_of_a_strange_name_is_not_written() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        TASK => Answer::ok(json!({ "pulp_href": TASK, "name": "a.task", "state": "completed" })),
        _ => Answer::ok(json!({ "urls": { "../../evil": "/pulp/content/hash/file" } })),
    });
    let dir = tempfile::tempdir().unwrap();
    let run = crate::pulp_in(dir.path(), &server, &["task", "profile-artifact-urls", "--href", TASK, "--download"]).failed();
    assert!(run.err.contains("no name for a file"), "{run:?}");
}

#[test]
fn space_is_reclaimed_from_repositories() {
    let server = with_task(vec![state("completed")]);
    let asked = |arguments: &[&str]| {
        pulp(&server, &[&["repository", "reclaim"], arguments].concat()).ok();
        server.seen().iter().rfind(|request| request.line() == "POST /pulp/api/v3/repositories/reclaim_space/").unwrap().json()
    };
    assert_eq!(asked(&["--all"]), json!({ "repo_hrefs": ["*"] }));
    assert_eq!(
        asked(&["--repository", "file:file:foo", "--keep-version", REPOSITORY, "3", "--keep-version", "file:file:foo", "4"]),
        json!({ "repo_hrefs": [REPOSITORY], "repo_versions_keeplist": [format!("{REPOSITORY}versions/3/"), format!("{REPOSITORY}versions/4/")] })
    );
    for wrong in
        [&["--repository", "foo"][..], &[], &["--all", "--keep-version", REPOSITORY, "x"], &["--all", "--keep-version", REPOSITORY]]
    {
        assert_ne!(pulp(&server, &[&["repository", "reclaim"], wrong].concat()).code, 0, "{wrong:?}");
    }
}
