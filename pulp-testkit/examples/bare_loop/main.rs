//! What Pulp costs beside the work itself: a sync in turns with a bare loop that fetches the same files, hashes, writes and notes them, and nothing else.
//!
//! ```text
//! cargo build --release -p pulp-server
//! cargo run --release -p pulp-testkit --example bare_loop -- --server target/release/pulp-server \
//!     --manifest http://127.0.0.1:8099/PULP_MANIFEST --engine sqlite,postgres --rounds 3
//! ```
//!
//! The manifest and its files, which differ from each other, are served by something fast, nginx say. The loop has 64 requests under way, takes the digests that Pulp takes, writes
//! each file beside its place and renames it, and inserts three rows a file, a thousand files a transaction. It waits for no disk. Each round has new
//! directories and databases. The PostgreSQL is that of the tests, which does not wait for a disk either.

mod work;

use std::path::PathBuf;
use std::time::Duration;

use pulp_core::clock::Timestamp;
use pulp_testkit::{Engine, Program};
use serde_json::json;
use url::Url;

struct Options {
    server: PathBuf,
    manifest: Url,
    engines: Vec<Engine>,
    rounds: usize,
}

fn options() -> Options {
    let (mut server, mut manifest) = (PathBuf::from("target/release/pulp-server"), None);
    let (mut engines, mut rounds) = (vec![Engine::Sqlite], 3);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--server" => server = value.into(),
            "--manifest" => manifest = Some(value.parse().expect("a URL")),
            "--engine" => engines = value.split(',').map(|name| name.parse().expect("an engine")).collect(),
            "--rounds" => rounds = value.parse().expect("a number of rounds"),
            other => panic!("what is {other}?"),
        }
    }
    Options { server, manifest: manifest.expect("--manifest with the URL of a PULP_MANIFEST"), engines, rounds }
}

#[tokio::main]
async fn main() {
    let options = options();
    println!("| database | files | bare loop, files/s | sync, files/s | sync, × bare loop |\n|---|---|---|---|---|");
    for engine in &options.engines {
        let (mut loops, mut syncs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut files = 0;
        for _ in 0..options.rounds {
            let (count, seconds) = work::run(&options.manifest, *engine).await;
            let sync = sync(&options, *engine).await;
            files = count;
            loops.push(count as f64 / seconds);
            syncs.push(count as f64 / sync);
            ratios.push(seconds / sync);
        }
        let name = if *engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" };
        println!("| {name} | {files} | {} | {} | {} |", spread(loops, 0), spread(syncs, 0), spread(ratios, 2));
    }
}

/// Seconds that a sync of all files takes on a new server.
async fn sync(options: &Options, engine: Engine) -> f64 {
    let program = Program::new(&options.server, engine).await.expect("the database").setting("access_log", false);
    let process = program.start().await;
    let client = process.client();
    let remote = json!({"url": options.manifest.as_str(), "policy": "immediate", "download_concurrency": work::UNDER_WAY});
    let repository = client.file_repo("files").remote_of(remote).await.href();
    let task = client.post(&format!("{repository}sync/"), json!({})).await.task();
    loop {
        let now = client.get(&task).await;
        let moment = |field: &str| now[field].as_str().and_then(|text| text.parse::<Timestamp>().ok()).expect("a moment");
        match now["state"].as_str() {
            Some("completed") => return (moment("finished_at") - moment("pulp_created")).as_seconds_f64(),
            Some("failed" | "canceled" | "skipped") => panic!("{now:#}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The middle, the least and the most.
fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => String::new(),
        [least, ..] => format!("{:.digits$} [{least:.digits$}–{:.digits$}]", values[values.len() / 2], values[values.len() - 1]),
    }
}
