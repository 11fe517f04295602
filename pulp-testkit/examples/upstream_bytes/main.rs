//! How much an upstream has to give when many clients ask for one cold file: by this server, and beside it by a real Pulp.
//!
//! ```text
//! cargo build --release -p pulp-server
//! cargo run --release -p pulp-testkit --example upstream_bytes -- --server target/release/pulp-server --svg docs/src/img/upstream-bytes.svg
//! ```
//!
//! With `--pulp http://HOST:PORT --content http://HOST:PORT` (and `--user`, `--password`), a Pulp that runs there does the same. It must be
//! able to reach the upstream, which listens on the loopback interface.

mod chart;

use std::path::PathBuf;
use std::time::Instant;

use futures::StreamExt as _;
use futures::future::join_all;
use pulp_testkit::{Blob, Client, Engine, Program, Upstream};

const SIZE: u64 = 100 << 20;
const CROWDS: [usize; 4] = [1, 10, 50, 1_000];
/// More clients than this are no fair question to who fetches once for each.
const FAIR: usize = 50;

/// What one crowd cost the upstream.
pub struct Cost {
    /// The server.
    pub who: &'static str,
    /// How many there were.
    pub clients: usize,
    /// Requests that came to the upstream.
    pub gets: usize,
    /// Bytes that it sent.
    pub bytes: u64,
}

struct Options {
    server: Option<PathBuf>,
    pulp: Option<(String, String)>,
    login: (String, String),
    svg: Option<PathBuf>,
}

fn options() -> Options {
    let (mut api, mut content) = (None, None);
    let mut options = Options { server: None, pulp: None, login: ("admin".to_owned(), "password".to_owned()), svg: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--server" => options.server = Some(value.into()),
            "--pulp" => api = Some(value),
            "--content" => content = Some(value),
            "--user" => options.login.0 = value,
            "--password" => options.login.1 = value,
            "--svg" => options.svg = Some(value.into()),
            other => panic!("what is {other}?"),
        }
    }
    options.pulp = api.zip(content);
    options
}

/// Reads a file to its end; how many bytes came.
async fn read(http: reqwest::Client, url: String) -> u64 {
    let mut body = http.get(url).send().await.expect("an answer").error_for_status().expect("the file").bytes_stream();
    let mut bytes = 0;
    while let Some(chunk) = body.next().await {
        bytes += chunk.expect("all of it").len() as u64;
    }
    bytes
}

async fn ask(who: &'static str, client: &Client, content: &str, most: usize) -> Vec<Cost> {
    let mut upstream = Upstream::start().await;
    let crowds: Vec<usize> = CROWDS.into_iter().filter(|clients| *clients <= most).collect();
    for clients in &crowds {
        upstream = upstream.file(&format!("{clients}.iso"), Blob::seeded(*clients as u64, SIZE));
    }
    let upstream = upstream.manifest();
    let name = format!("upstream-bytes-{}", std::process::id());
    let _world = client.file_repo(&name).remote(&upstream).policy("on_demand").sync().publish().distribute().await;
    let mut costs = Vec::new();
    for clients in crowds {
        let file = format!("{clients}.iso");
        let begun = Instant::now();
        // A client of its own each: nobody waits for another's connection.
        let reading = (0..clients).map(|_| {
            let http = reqwest::Client::builder().no_proxy().build().expect("a client");
            read(http, format!("{content}/pulp/content/{name}/{file}"))
        });
        let read: u64 = join_all(reading).await.into_iter().sum();
        assert_eq!(read, clients as u64 * SIZE);
        let cost = Cost { who, clients, gets: upstream.hits(&file), bytes: upstream.bytes_sent(&file) };
        println!("| {who} | {clients} | {} | {} MiB | {:.1} s |", cost.gets, cost.bytes >> 20, begun.elapsed().as_secs_f64());
        costs.push(cost);
    }
    costs
}

#[tokio::main]
async fn main() {
    let options = options();
    println!("| server | clients | requests upstream | bytes from upstream | time |\n|---|---|---|---|---|");
    let mut costs = Vec::new();
    if let Some(server) = &options.server {
        let program = Program::new(server, Engine::Sqlite).await.expect("SQLite").setting("access_log", false);
        let process = program.start().await;
        let content = process.client().base_url().to_owned();
        costs.extend(ask("this server", &process.client(), &content, usize::MAX).await);
    }
    if let Some((api, content)) = &options.pulp {
        let client = Client::new(api).basic_auth(&options.login.0, &options.login.1);
        costs.extend(ask("Pulp", &client, content, FAIR).await);
    }
    if let Some(svg) = &options.svg {
        std::fs::write(svg, chart::bars(&costs)).expect("the chart can be written");
    }
}
