//! The steps, and how long each takes.

use std::path::Path;
use std::time::{Duration, Instant};

use http::StatusCode;
use pulp_core::clock::Timestamp;
use pulp_testkit::{Answer, Client, Engine, Program};
use serde_json::{Value, json};

use crate::memory::Watch;
use crate::upstream;

/// How often each is done whose middle counts.
const ROUNDS: usize = 11;
/// Versions of ten units that are made.
const VERSIONS: u64 = 5;
const MIB: f64 = 1024.0 * 1024.0;

const SYNC: &str = "on_demand sync, s";
const RATE: &str = "on_demand sync, units/s";
const OWN: &str = "memory of the sync, own, MiB";
const RESIDENT: &str = "memory of the sync, resident, MiB";
const OPTIMIZED: &str = "sync again, optimize, s";
const AGAIN: &str = "sync again without, s";
const MIRRORED: &str = "sync again as a mirror, memory, own, MiB";
const TEN: &str = "version that adds ten units, ms";
const TEN_EMPTY: &str = "the same on an empty repository, ms";
const DIFFERENCE: &str = "diff of neighbours, ms";
const PUBLISH: &str = "publish, s";
const FIRST: &str = "first page of a version, ms";
const MIDDLE: &str = "page in its middle by offset, ms";
const LAST: &str = "last page by offset, ms";
const MIDDLE_KEY: &str = "page in its middle by key, ms";
const LAST_KEY: &str = "last page by key, ms";
const ALL_FIRST: &str = "first page of all content, ms";
const GET: &str = "GET of a file, first time, ms";
const GET_AGAIN: &str = "GET of a file again, ms";
const LISTING: &str = "listing of a directory of 1,000, ms";

/// The names of the figures; each ends with its unit.
pub const STEPS: [&str; 20] = [
    SYNC, RATE, OWN, RESIDENT, OPTIMIZED, AGAIN, MIRRORED, TEN, TEN_EMPTY, DIFFERENCE, PUBLISH, FIRST, MIDDLE, LAST, MIDDLE_KEY, LAST_KEY,
    ALL_FIRST, GET, GET_AGAIN, LISTING,
];

/// What so many units cost.
pub struct Costs {
    pub engine: String,
    pub units: u64,
    pub values: Vec<(&'static str, f64)>,
}

impl Costs {
    pub fn get(&self, step: &str) -> Option<f64> {
        self.values.iter().find(|(name, _)| *name == step).map(|(_, value)| *value)
    }

    fn note(&mut self, step: &'static str, value: f64) {
        eprintln!("{} {:>9}: {step}: {value:.2}", self.engine, self.units);
        self.values.push((step, value));
    }
}

/// All steps on a new server.
pub async fn run(server: &Path, engine: Engine, units: u64, stay: bool) -> Costs {
    let program = Program::new(server, engine).await.expect("the database").setting("access_log", false);
    let process = program.start().await;
    let client = process.client();
    let pid = process.pid().expect("a server");
    let upstream = upstream::start().await;
    let name = if engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" };
    let mut costs = Costs { engine: name.to_owned(), units, values: Vec::new() };

    let large = repository(&client, "large", &format!("{}/0-{units}/PULP_MANIFEST", upstream.url())).await;
    let watch = Watch::start(pid);
    let seconds = sync(&client, &large, json!({})).await;
    let memory = watch.peak();
    costs.note(SYNC, seconds);
    costs.note(RATE, units as f64 / seconds);
    costs.note(OWN, memory.own as f64 / MIB);
    costs.note(RESIDENT, memory.resident as f64 / MIB);
    costs.note(OPTIMIZED, sync(&client, &large, json!({"optimize": true})).await);
    costs.note(AGAIN, sync(&client, &large, json!({"optimize": false})).await);
    let watch = Watch::start(pid);
    sync(&client, &large, json!({"optimize": false, "mirror": true})).await;
    costs.note(MIRRORED, watch.peak().own as f64 / MIB);

    versions(&client, &upstream.url(), &large, &mut costs).await;
    let begun = Instant::now();
    let answer = client.post("publications/file/file/", json!({"repository": large})).await;
    finished(&client, answer).await;
    costs.note(PUBLISH, begun.elapsed().as_secs_f64());
    pages(&client, &large, &mut costs).await;
    files(&client, &large, &mut costs).await;
    if stay {
        eprintln!("the server is {} and listens on {}, its data are in {}", pid, client.base_url(), program.dir().display());
        let _ = tokio::signal::ctrl_c().await;
    }
    costs
}

async fn repository(client: &Client, name: &str, url: &str) -> String {
    let world = client.file_repo(name).remote_of(json!({"url": url, "policy": "on_demand"})).await;
    world.href()
}

/// Seconds that the task took, from the request on.
async fn sync(client: &Client, repository: &str, body: Value) -> f64 {
    let answer = client.post(&format!("{repository}sync/"), body).await;
    took(&finished(client, answer).await)
}

/// Adds ten units again and again, to the large repository and to empty ones.
async fn versions(client: &Client, upstream: &str, large: &str, costs: &mut Costs) {
    // Beyond those that the large one has.
    let (first, last) = (costs.units, costs.units + 10 * VERSIONS);
    let more = repository(client, "more", &format!("{upstream}/{first}-{last}/PULP_MANIFEST")).await;
    sync(client, &more, json!({})).await;
    let version = client.get(&more).await["latest_version_href"].clone();
    let listed =
        client.get(&format!("content/file/files/?repository_version={}&fields=pulp_href", version.as_str().expect("a version"))).await;
    let units: Vec<Value> = listed["results"].as_array().expect("units").iter().map(|unit| unit["pulp_href"].clone()).collect();
    let (mut to_large, mut to_empty, mut compared) = (Vec::new(), Vec::new(), Vec::new());
    for (at, ten) in units.chunks(10).enumerate() {
        let empty = client.file_repo(&format!("empty-{at}")).await.href();
        for (repository, into) in [(large, &mut to_large), (&empty, &mut to_empty)] {
            let answer = client.post(&format!("{repository}modify/"), json!({"add_content_units": ten})).await;
            into.push(1_000.0 * took(&finished(client, answer).await));
        }
        let version = client.get(large).await["latest_version_href"].as_str().expect("a version").to_owned();
        for _ in 0..3 {
            let begun = Instant::now();
            let told = client.get(&format!("{version}diff/")).await;
            compared.push(begun.elapsed().as_secs_f64() * 1_000.0);
            assert_eq!(told["changes"].as_array().map(Vec::len), Some(10), "{told}");
        }
    }
    costs.note(TEN, middle(to_large));
    costs.note(TEN_EMPTY, middle(to_empty));
    costs.note(DIFFERENCE, middle(compared));
}

async fn pages(client: &Client, large: &str, costs: &mut Costs) {
    let latest = client.get(large).await["latest_version_href"].as_str().expect("a version").to_owned();
    let list = format!("content/file/files/?repository_version={latest}&limit=100");
    let count = client.get(&list).await["count"].as_u64().expect("a count");
    let mut by_offset = Vec::new();
    for (step, offset) in [(FIRST, 0), (MIDDLE, count / 2), (LAST, count - 100)] {
        let page = format!("{list}&offset={offset}");
        let last = client.get(&page).await["results"][0]["pulp_href"].clone();
        by_offset.push(last);
        costs.note(step, median_of(client, &page).await);
    }
    // The pages by key begin behind what those by offset begin with.
    for (step, unit) in [(MIDDLE_KEY, &by_offset[1]), (LAST_KEY, &by_offset[2])] {
        let page = format!("{list}&after={}", unit.as_str().expect("an href"));
        if client.try_get(&page).await.status == StatusCode::OK {
            costs.note(step, median_of(client, &page).await);
        }
    }
    costs.note(ALL_FIRST, median_of(client, "content/file/files/?limit=100").await);
}

async fn files(client: &Client, large: &str, costs: &mut Costs) {
    let fields = json!({"name": "large", "base_path": "large", "repository": large});
    client.create("distributions/file/file/", fields).await;
    let mut first = Vec::new();
    for unit in upstream::readable(costs.units) {
        first.push(timed(client, &format!("/pulp/content/large/{}", upstream::path(unit))).await);
    }
    costs.note(GET, middle(first));
    costs.note(GET_AGAIN, median_of(client, &format!("/pulp/content/large/{}", upstream::path(0))).await);
    let directory = upstream::path(costs.units / 2);
    let directory = directory.rsplit_once('/').map_or("", |(directory, _)| directory);
    costs.note(LISTING, median_of(client, &format!("/pulp/content/large/{directory}/?format=json")).await);
}

/// Milliseconds until the whole answer is there.
async fn timed(client: &Client, path: &str) -> f64 {
    let begun = Instant::now();
    let answer = client.try_get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    begun.elapsed().as_secs_f64() * 1_000.0
}

async fn median_of(client: &Client, path: &str) -> f64 {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        all.push(timed(client, path).await);
    }
    middle(all)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Waits as long as it takes.
async fn finished(client: &Client, answer: Answer) -> Value {
    let task = answer.task();
    loop {
        let now = client.get(&task).await;
        match now["state"].as_str() {
            Some("completed") => return now,
            Some("failed" | "canceled" | "skipped") => panic!("{now:#}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Seconds from when a task was asked for until it had ended.
fn took(task: &Value) -> f64 {
    let moment = |field: &str| task[field].as_str().and_then(|text| text.parse::<Timestamp>().ok()).expect("a moment");
    let span = moment("finished_at") - moment("pulp_created");
    span.num_microseconds().map_or(f64::NAN, |micros| micros as f64 / 1e6)
}
