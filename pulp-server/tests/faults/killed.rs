//! `kill -9` of the whole server, at any moment of a sync.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pulp_testkit::{Blob, Client, Fault, Upstream, both_databases};
use serde_json::json;

use crate::world::{Server, artifacts, fetched, missing, paths};

/// How often the server is killed, and how many files each sync has to fetch.
const ROUNDS: u32 = 10;
const FILES: u32 = 30;

/// How long after the start the task may seem to run: more would be a wait for its lease that is no matter of seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// From 0 to 1, spread evenly and always the same: the golden ratio's multiples.
fn spread(round: u32) -> f64 {
    (f64::from(round) * 0.618_033_988_749_895).fract()
}

async fn numbers(client: &Client, versions: &str) -> Vec<i64> {
    client.list(versions).await.iter().map(|version| version["number"].as_i64().unwrap()).collect()
}

both_databases! {
    async fn a_killed_sync_fails_leaves_nothing_and_is_taken_up_again(server: Server) {
        // Each file takes a moment, so that moments are spread over all of them.
        let upstream = Upstream::start().await.manifest().fault("PULP_MANIFEST", Fault::SlowBytes(2_000_000));
        let mut process = server.start().await;
        let world = process.client().file_repo("isos").remote(&upstream).remote_with("download_concurrency", 3).await;
        let (repository, versions) = (world.href(), format!("{}versions/", world.href()));
        let mut all: Vec<(String, Blob)> = Vec::new();
        let mut took = Duration::from_millis(300);
        let mut killed_midway = 0;
        for round in 0..ROUNDS {
            for index in 0..FILES {
                let blob = Blob::seeded(u64::from(round * FILES + index), 20_000);
                all.push((format!("{round}/{index}.iso"), blob.clone()));
                upstream.put(&format!("{round}/{index}.iso"), blob);
            }
            upstream.write_manifest();
            let before = numbers(&process.client(), &versions).await;
            let task = process.client().post(&format!("{repository}sync/"), json!({})).await.task();
            tokio::time::sleep(took.mul_f64(1.1 * spread(round))).await;
            process.kill().await;

            process = server.start().await;
            let client = process.client();
            let started = Instant::now();
            let ended = client.ended(&task).await;
            assert!(started.elapsed() < PATIENCE, "{ended:#}");
            let after = numbers(&client, &versions).await;
            assert_eq!(server.unfinished(), [] as [std::path::PathBuf; 0], "round {round}");
            let stored = artifacts(&client).await;
            let files = server.stored();
            for (file, size) in stored.values() {
                assert_eq!(files.get(file), Some(size), "round {round}: what is recorded is there, and whole");
            }
            let whole: BTreeSet<String> = all.iter().map(|(path, _)| path.clone()).collect();
            if ended["state"] == "failed" {
                assert_eq!(ended["error"]["description"], "Worker has gone missing.", "{ended:#}");
                let next = format!("{versions}{}/", before.len());
                if after == before {
                    killed_midway += 1;
                    assert_eq!(client.try_get(&next).await.status, 404, "round {round}: a version in the making is nobody's business");
                } else {
                    // Killed in the moment between the commit of the version and that of the task's end.
                    assert_eq!(paths(&client, &next).await, whole, "round {round}: what can be seen is complete");
                }
            } else {
                // Killed before its begin: it began anew. Killed after its end: it had ended.
                assert_eq!(ended["state"], "completed", "{ended:#}");
            }
            assert!(after.len() <= before.len() + 1, "round {round}: {after:?}");

            upstream.forget();
            let began = Instant::now();
            client.wait(client.post(&format!("{repository}sync/"), json!({})).await).await;
            let missing = missing(&all, &stored);
            assert_eq!(fetched(&upstream), missing, "round {round}: only what is missing is fetched");
            if missing.len() as u32 == FILES {
                took = began.elapsed();
            }
            let latest = client.get(&repository).await["latest_version_href"].as_str().unwrap().to_owned();
            assert_eq!(paths(&client, &latest).await, whole, "round {round}");
            assert_eq!(server.stored().len(), all.len(), "no file is there that nobody knows");
        }
        // By chance it may be few.
        assert!(killed_midway > 0, "of {ROUNDS} syncs none was killed midway");
        assert!(process.is_alive());
    }

    async fn a_large_file_is_gone_on_with_after_a_kill(server: Server) {
        let (large, here) = (Blob::seeded(1, 12 << 20), 8 << 20);
        let upstream = Upstream::start().await.file("large.iso", large.clone()).manifest();
        let mut process = server.start().await;
        let lazy = process.client().file_repo("lazy").remote(&upstream).policy("on_demand").sync().publish().distribute().await;
        for way in ["lazy", "sync"] {
            upstream.forget();
            upstream.plan("large.iso", Fault::HoldAt(here).once());
            let client = process.client();
            let asked = if way == "lazy" {
                let path = lazy.path("large.iso");
                tokio::spawn(async move { drop(client.try_get(&path).await) })
            } else {
                upstream.put("large.iso", Blob::seeded(2, 12 << 20));
                upstream.write_manifest();
                let sync = format!("{}sync/", client.file_repo("isos").remote(&upstream).await.href());
                tokio::spawn(async move { drop(client.post(&sync, json!({})).await) })
            };
            let begun = Instant::now();
            while upstream.bytes_sent("large.iso") < here {
                assert!(begun.elapsed() < PATIENCE, "{way}: {} bytes", upstream.bytes_sent("large.iso"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // What was sent last is on its way.
            tokio::time::sleep(Duration::from_millis(500)).await;
            process.kill().await;
            asked.abort();
            process = server.start().await;
            let client = process.client();
            if way == "lazy" {
                assert_eq!(client.try_get(&lazy.path("large.iso")).await.body, large.to_bytes());
            } else {
                let repository = client.list("repositories/file/file/?name=isos").await[0]["pulp_href"].as_str().unwrap().to_owned();
                client.wait(client.post(&format!("{repository}sync/"), json!({})).await).await;
            }
            let ranges: Vec<String> = upstream.requests().iter().filter_map(|request| request.range().map(str::to_owned)).collect();
            let [range] = ranges.as_slice() else { panic!("{way}: {ranges:?}") };
            let offset: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            assert!(offset > here / 2, "{way}: {range}");
        }
    }
}
