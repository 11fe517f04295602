//! PostgreSQL crashes, and comes back ten seconds later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use pulp_testkit::{Blob, Client, Fault, Program, Upstream};
use serde_json::json;

use crate::world::paths;

const AWAY: Duration = Duration::from_secs(10);
/// After so long without its database, or with it back, everything is as it should be.
const SOON: Duration = Duration::from_secs(2);
/// Clients that ask all the time.
const LOAD: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_is_used_again_and_nothing_is_lost() {
    let Some(program) = Program::on_postgres_alone(env!("CARGO_BIN_EXE_pulp-server")).await else { return };
    let program = program.setting("worker_ttl", 2);
    let postgres = program.database().server().unwrap();
    let mut process = program.start().await;
    let client = process.client();
    let upstream = Upstream::start().await.generate(10, 1_000, 1).manifest();
    let world = client.file_repo("isos").remote(&upstream).sync().publish().distribute().await;
    let served = client.try_get(&world.path("data/00001.bin")).await;
    assert_eq!(served.status, 200);
    // A task that runs when the database goes, and two that wait for it.
    upstream.put("held.iso", Blob::seeded(2, 100_000));
    upstream.write_manifest();
    upstream.plan("held.iso", Fault::HoldAt(1_000));
    let sync = format!("{}sync/", world.href());
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(client.post(&sync, json!({})).await.task());
    }
    upstream.wait_bytes("held.iso", 1_000).await;

    postgres.stop().await;
    let gone = Instant::now();
    assert_eq!(client.get("status/").await["database_connection"], json!({"connected": false}));
    assert!(gone.elapsed() < Duration::from_secs(5), "who looks after the server is told soon");
    let refused = client.try_get("repositories/file/file/").await;
    assert_eq!(refused.with(503), json!({"detail": "The database cannot be reached at the moment; try again."}));
    assert!(refused.headers.contains_key("retry-after"));
    let again = client.try_get(&world.path("data/00001.bin")).await;
    assert_eq!((again.status, again.body), (served.status, served.body.clone()), "what was served before still is");
    let unknown = client.try_get(&world.path("data/00002.bin")).await;
    assert_eq!((unknown.status.as_u16(), unknown.text().as_str()), (503, "503: the database cannot be reached at the moment; try again"));
    // Its upstream goes on: what it has fetched cannot be noted.
    upstream.release();
    tokio::time::sleep(AWAY.saturating_sub(gone.elapsed())).await;
    postgres.start_again().await;

    // More requests than connections that had died.
    for _ in 0..20 {
        assert_eq!(client.try_get("repositories/file/file/").await.status, 200, "{}", process.log());
    }
    assert_eq!(client.try_get(&world.path("data/00002.bin")).await.status, 200);
    assert_eq!(client.get("status/").await["database_connection"], json!({"connected": true}));
    // Its signs of life, which stopped with the database, go on.
    let seen = async {
        while client.get("status/").await["online_workers"] == json!([]) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("the worker is online again");
    let mut ended = Vec::new();
    for task in &tasks {
        ended.push(client.ended(task).await);
    }
    // A crash may take back that it was claimed, which was not waited for: it began anew then.
    if ended[0]["state"] != "completed" {
        assert_eq!(ended[0]["state"], "failed", "{:#}", ended[0]);
        assert_eq!(ended[0]["error"]["description"], "The database cannot be reached at the moment; try again.", "{:#}", ended[0]);
    }
    assert_eq!((&ended[1]["state"], &ended[2]["state"]), (&json!("completed"), &json!("completed")), "{ended:#?}");
    let latest = client.get(&world.href()).await["latest_version_href"].as_str().unwrap().to_owned();
    assert_eq!(paths(&client, &latest).await.len(), 11);
    assert!(process.is_alive());

    // It can be stopped without its database, too.
    postgres.stop().await;
    assert!(process.terminate(Duration::from_secs(30)).await.success());
}

/// Asks for these files in turn, until it is told to stop; how many were not as they should be.
async fn ask(client: Client, files: Vec<(String, Blob)>, word: String, asked: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut wrong = Vec::new();
    let contents: Vec<_> = files.iter().map(|(_, blob)| blob.to_bytes()).collect();
    while !stop.load(Ordering::Relaxed) {
        for ((path, _), content) in files.iter().zip(&contents) {
            let answer = client.send(client.request(Method::GET, path).header("x-word", &word)).await;
            if answer.status != 200 || answer.body != content {
                wrong.push(format!("{} for {path}: {}", answer.status, answer.text()));
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_request_for_what_was_resolved_fails_and_all_is_well_within_two_seconds() {
    let Some(program) = Program::on_postgres_alone(env!("CARGO_BIN_EXE_pulp-server")).await else { return };
    let program = program.setting("access_log", false);
    let postgres = program.database().server().unwrap();
    let mut process = program.start().await;
    let client = process.client();
    let all: Vec<(String, Blob)> =
        [1_000, 70_000, 1_000_000].into_iter().enumerate().map(|(at, size)| (format!("{at}.iso"), Blob::seeded(at as u64, size))).collect();
    let upstream = all.iter().fold(Upstream::start().await, |upstream, (path, blob)| upstream.file(path, blob.clone()));
    let upstream = upstream.file("later.iso", "later").manifest();
    let open = client.file_repo("open").remote(&upstream).sync().publish().distribute().await;
    let guard = json!({"name": "word", "header_name": "x-word", "header_value": "let me in"});
    let guard = client.create("contentguards/core/header/", guard).await;
    let fields = json!({"name": "guarded", "base_path": "guarded", "repository": open.href(), "content_guard": guard["pulp_href"]});
    client.create("distributions/file/file/", fields).await;
    let guarded = |path: &str| open.path(path).replace("/open/", "/guarded/");
    let files: Vec<(String, Blob)> =
        all.iter().flat_map(|(path, blob)| [(open.path(path), blob.clone()), (guarded(path), blob.clone())]).collect();
    let word = BASE64.encode("let me in");
    let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let load: Vec<_> = (0..LOAD)
        .map(|_| tokio::spawn(ask(process.client(), files.clone(), word.clone(), Arc::clone(&asked), Arc::clone(&stop))))
        .collect();
    while asked.load(Ordering::Relaxed) < files.len() * LOAD {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    postgres.stop().await;
    let (gone, before) = (Instant::now(), asked.load(Ordering::Relaxed));
    let refused = client.send(client.request(Method::GET, &guarded("0.iso")).header("x-word", BASE64.encode("let me out"))).await;
    assert_eq!(refused.status, 403, "a guard is asked all the same");
    assert_eq!(client.try_get(&open.path("later.iso")).await.status, 503, "what was never asked for cannot be found");
    tokio::time::sleep(AWAY.saturating_sub(gone.elapsed())).await;
    let meanwhile = asked.load(Ordering::Relaxed) - before;
    postgres.start_again().await;

    let back = Instant::now();
    while client.try_get(&open.path("later.iso")).await.status != 200 {
        assert!(back.elapsed() < SOON, "{}", process.log());
    }
    client.post("repositories/file/file/", json!({"name": "written"})).await.with(201);
    let right = back.elapsed();
    assert!(right < SOON, "{right:?}");
    stop.store(true, Ordering::Relaxed);
    for load in load {
        assert_eq!(load.await.unwrap(), [] as [String; 0]);
    }
    println!("{meanwhile} requests while the database was away, none failed; all was well {right:?} after it was back");
    assert!(meanwhile > 1_000, "{meanwhile} requests are no load");
    assert!(process.is_alive());
}
