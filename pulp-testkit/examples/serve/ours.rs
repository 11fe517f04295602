//! The server under test, with files that it has from nginx.

use std::net::SocketAddr;
use std::time::Duration;

use pulp_testkit::{Engine, Process, Program};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::Options;
use crate::load::{Target, family};
use crate::nginx::Nginx;

/// What the content guard wants to hear.
pub const WORD: &str = "let me in";

pub struct Ours {
    address: SocketAddr,
    base: String,
    pids: Vec<u32>,
    // In the order in which they may go.
    _process: Process,
    _program: Program,
}

impl Ours {
    /// Distributes what the manifest among the files names, behind a guard.
    pub fn start(runtime: &Runtime, options: &Options, nginx: &Nginx, policy: &str) -> Self {
        runtime.block_on(async {
            let program = Program::new(&options.server, Engine::Sqlite).await.expect("SQLite").setting("access_log", false);
            let process = program.start().await;
            let client = process.client();
            let remote = json!({"url": format!("http://{}/PULP_MANIFEST", nginx.plain), "policy": policy});
            let world = client.file_repo("files").remote_of(remote).sync().publish().await;
            let guard = json!({"name": "word", "header_name": "x-word", "header_value": WORD});
            let guard = client.create("contentguards/core/header/", guard).await;
            let fields = json!({
                "name": "files", "base_path": "files", "repository": world.href(), "content_guard": guard["pulp_href"]
            });
            client.create("distributions/file/file/", fields).await;
            let address = client.base_url().trim_start_matches("http://").parse().expect("an address");
            let pids = family(process.pid().expect("a server"));
            Self { address, base: "/pulp/content/files/".to_owned(), pids, _process: process, _program: program }
        })
    }

    /// Waits until nothing is left to do of what was fetched: a file's other digests, that nobody waits for.
    pub fn settle(&self, runtime: &Runtime) {
        let url = format!("http://{}/metrics", self.address);
        runtime.block_on(async {
            loop {
                let metrics = reqwest::get(&url).await.expect("an answer").text().await.expect("metrics");
                if metrics.contains("pulp_lazy_fetches{state=\"running\"} 0") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    pub fn target(&self, file: &str, headers: &str) -> Target {
        Target::new("ours", self.address, &format!("{}{file}", self.base), headers, &self.pids)
    }
}
