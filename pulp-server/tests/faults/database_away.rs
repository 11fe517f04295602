//! PostgreSQL crashes, and comes back ten seconds later.

use std::time::{Duration, Instant};

use pulp_testkit::{Blob, Fault, Program, Upstream};
use serde_json::json;

use crate::world::paths;

const AWAY: Duration = Duration::from_secs(10);

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
