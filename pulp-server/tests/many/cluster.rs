//! Two API processes, two that serve content and three workers behind one address, on PostgreSQL and S3.

use std::collections::BTreeSet;

use pulp_testkit::cluster::Sizes;
use pulp_testkit::{Blob, Cluster, Engine, Upstream, database};
use serde_json::json;

#[test]
fn many_processes_are_one_pulp() {
    database::run(Engine::Postgres, |cluster: Whole| work(cluster.0));
}

struct Whole(Cluster);

#[async_trait::async_trait]
impl pulp_testkit::Prepare for Whole {
    async fn prepare(_: Engine) -> Option<Self> {
        Some(Self(Cluster::start(env!("CARGO_BIN_EXE_pulp-server"), Sizes::default(), 0).await?))
    }
}

async fn work(cluster: Cluster) {
    let client = cluster.client();
    let status = client.get("status/").await;
    let online = |role: &str| status[role].as_array().map_or(0, Vec::len);
    assert_eq!((online("online_api_apps"), online("online_content_apps"), online("online_workers")), (2, 2, 3), "{status:#}");

    let files: Vec<(String, Blob)> = (0..40).map(|number| (format!("{number}.iso"), Blob::seeded(number, 20_000))).collect();
    let upstream = Upstream::start().await;
    for (path, blob) in &files {
        upstream.put(path, blob.clone());
    }
    upstream.write_manifest();
    let world = client.file_repo("isos").remote(&upstream).sync().publish().distribute().await;
    let base = client.list("distributions/file/file/").await[0]["base_url"].as_str().unwrap().to_owned();
    assert!(base.starts_with(&cluster.url()), "{base}");
    let anybody = reqwest::Client::builder().no_proxy().build().unwrap();
    // Twice: by one process that serves content, and by the other.
    for (path, blob) in files.iter().chain(&files) {
        // It is led on to the bucket, by an address that is signed.
        let body = anybody.get(client.url(&world.path(path))).send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        assert!(body == blob.to_bytes(), "{path}");
    }
    let stored = walk(&cluster.bucket().bucket_dir());
    assert_eq!(stored.iter().filter(|name| name.contains("artifact/")).count(), files.len() + 1, "the files and the manifest: {stored:?}");

    // What one process changes, the others tell at once.
    for round in 0..10 {
        let name = format!("renamed-{round}");
        client.wait(client.patch(&world.href(), json!({"name": name})).await).await;
        for _ in 0..2 {
            assert_eq!(client.get(&world.href()).await["name"], json!(name));
        }
    }
    cluster.stop().await;
}

fn walk(directory: &std::path::Path) -> BTreeSet<String> {
    let mut open = vec![directory.to_owned()];
    let mut found = BTreeSet::new();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.display().to_string());
            }
        }
    }
    found
}
