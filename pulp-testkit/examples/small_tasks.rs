//! Small tasks, as many as there are: how many a second from the first request to the end of the last, how long one takes, and whether ten thousand
//! that wait for a repository keep others up.
//!
//! ```text
//! cargo build --release -p pulp-server
//! cargo run --release -p pulp-testkit --example small_tasks -- --server target/release/pulp-server --engine sqlite,postgres
//! cargo run --release -p pulp-testkit --example small_tasks -- --url http://127.0.0.1:24817 --user admin --password password --waiting 0
//! ```
//!
//! With `--server`, each engine has a new server and database; that PostgreSQL is the one of the tests, which does not wait for a disk. With `--url`
//! any server that speaks Pulp's API is driven, and keeps a repository for each task.
//!
//! Without `--url` it then measures the library alone: tasks that do nothing, in a program that embeds it, for fifty resources, with two slots.
//!
//! A task deletes a repository, or publishes an empty one, which a worker does. Requests go out over so many connections (`--connections`). Whether all
//! tasks have ended is asked of the list of tasks.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use pulp_core::plugin::{Plugin, PluginDescriptor, Registry};
use pulp_core::tasks::{DispatchOptions, Resources, Task, TaskContext, TaskOutput, Workers};
use pulp_migrations::MigrationSet;
use pulp_testkit::{Client, Engine, Kit, Program};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const REPOSITORIES: &str = "repositories/file/file/";
const PUBLICATIONS: &str = "publications/file/file/";

struct Options {
    server: PathBuf,
    engines: Vec<Engine>,
    url: Option<String>,
    user: String,
    password: String,
    tasks: usize,
    waiting: usize,
    connections: usize,
}

fn options() -> Options {
    let mut options = Options {
        server: "target/release/pulp-server".into(),
        engines: vec![Engine::Sqlite],
        url: None,
        user: "admin".to_owned(),
        password: "password".to_owned(),
        tasks: 1_000,
        waiting: 10_000,
        connections: 16,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        let number = || value.parse().unwrap_or_else(|_| panic!("{word} wants a number"));
        match word.as_str() {
            "--server" => options.server = value.into(),
            "--engine" => options.engines = value.split(',').map(|name| name.parse().expect("an engine")).collect(),
            "--url" => options.url = Some(value),
            "--user" => options.user = value,
            "--password" => options.password = value,
            "--tasks" => options.tasks = number(),
            "--waiting" => options.waiting = number(),
            "--connections" => options.connections = number(),
            other => panic!("what is {other}?"),
        }
    }
    options
}

#[tokio::main]
async fn main() {
    let options = options();
    println!(
        "| server | {} deletions, a second | {} publications, a second | one deletion | one publication |",
        options.tasks, options.tasks
    );
    println!("|---|---:|---:|---:|---:|");
    if let Some(url) = &options.url {
        let client = Client::new(url.as_str()).basic_auth(&options.user, &options.password);
        measure(url, &client, &options).await;
        return;
    }
    for engine in &options.engines {
        let program = Program::new(&options.server, *engine).await.expect("the database").setting("access_log", false);
        let process = program.start().await;
        measure(name(*engine), &process.client(), &options).await;
    }
    println!("\n| library | {} tasks that do nothing, a second | one |\n|---|---:|---:|", options.tasks);
    for engine in &options.engines {
        embedded(*engine, &options).await;
    }
}

fn name(engine: Engine) -> &'static str {
    if engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" }
}

/// A task that does nothing with a resource.
#[derive(Debug, Serialize, Deserialize)]
struct Nothing(usize);

#[async_trait]
impl Task for Nothing {
    const NAME: &'static str = "idle.nothing";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(format!("idle:{}", self.0 % 50))
    }

    async fn run(self, _: TaskContext) -> pulp_core::Result<TaskOutput> {
        Ok(().into())
    }
}

struct Idle;

impl Plugin for Idle {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor { label: "idle", version: "1.0.0", package: "idle", module: "idle", domain_compatible: true }
    }

    fn migrations(&self) -> MigrationSet {
        MigrationSet { component: "idle", migrations: &[] }
    }

    fn register(&self, registry: &mut Registry) {
        registry.task::<Nothing>();
    }
}

/// The library in this program: no HTTP, and no work but that of the tasks.
async fn embedded(engine: Engine, options: &Options) {
    let kit = Kit::built(engine, |builder| builder.plugin(Idle)).await.expect("the database");
    let tasks = kit.pulp().tasks();
    let workers = Workers::start(kit.pulp(), 2).await.expect("workers");
    let began = Instant::now();
    let dispatch = async |number| tasks.dispatch(Nothing(number), DispatchOptions::default()).await.expect("a task").pulp_id;
    let sent: Vec<_> = stream::iter(0..options.tasks).map(dispatch).buffer_unordered(options.connections).collect().await;
    for task in sent {
        tasks.wait(task).await.expect("its end");
    }
    let rate = options.tasks as f64 / began.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for number in 0..101 {
        let began = Instant::now();
        tasks.wait(dispatch(number).await).await.expect("its end");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("| {} | {rate:.1} | {:.2?} |", name(engine), times[times.len() / 2]);
    workers.stop(Duration::from_secs(10)).await;
}

async fn measure(name: &str, client: &Client, options: &Options) {
    let load = Load { client, options, run: uuid::Uuid::now_v7().to_string() };
    let (deletions, publications) = (load.many(delete).await, load.many(publish).await);
    let (deletion, publication) = (load.one(delete).await, load.one(publish).await);
    println!("| {name} | {deletions:.1} | {publications:.1} | {deletion:.1?} | {publication:.1?} |");
    if options.waiting > 0 {
        load.wait_for_one().await;
        // What so many rows leave the disk to do is over.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (deletion, publication) = (load.one(delete).await, load.one(publish).await);
        println!("| {name}, while {} wait | | | {deletion:.1?} | {publication:.1?} |", options.waiting);
    }
}

/// A small task about a repository: its href.
async fn delete(client: &Client, repository: String) -> String {
    client.delete(&repository).await.task()
}

async fn publish(client: &Client, repository: String) -> String {
    client.post(PUBLICATIONS, json!({"repository": repository})).await.task()
}

struct Load<'a> {
    client: &'a Client,
    options: &'a Options,
    run: String,
}

impl Load<'_> {
    async fn repositories(&self, count: usize) -> Vec<String> {
        let make = async |_| {
            let name = format!("{}-{}", self.run, uuid::Uuid::now_v7());
            self.make(REPOSITORIES, json!({"name": name})).await
        };
        stream::iter(0..count).map(make).buffer_unordered(self.options.connections).collect().await
    }

    /// Makes an object: its href.
    async fn make(&self, path: &str, body: Value) -> String {
        let made = self.client.post(path, body).await.with(201);
        made["pulp_href"].as_str().expect("an href").to_owned()
    }

    /// Tasks a second, from the first request to the end of the last.
    async fn many(&self, task: impl AsyncFn(&Client, String) -> String) -> f64 {
        let repositories = self.repositories(self.options.tasks).await;
        let failed = self.count("failed").await;
        let began = Instant::now();
        let sent: Vec<String> = stream::iter(repositories)
            .map(|repository| task(self.client, repository))
            .buffer_unordered(self.options.connections)
            .collect()
            .await;
        while self.count("waiting,running,canceling").await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let rate = sent.len() as f64 / began.elapsed().as_secs_f64();
        assert_eq!(self.count("failed").await, failed, "tasks have failed");
        rate
    }

    /// How long one takes, from the request until its end is seen: the median of 25.
    async fn one(&self, task: impl AsyncFn(&Client, String) -> String) -> Duration {
        let mut times = Vec::new();
        for repository in self.repositories(25).await {
            let began = Instant::now();
            let href = task(self.client, repository).await;
            while !matches!(self.client.get(&href).await["state"].as_str(), Some("completed")) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            times.push(began.elapsed());
        }
        times.sort_unstable();
        times[times.len() / 2]
    }

    /// How many tasks are in one of these states.
    async fn count(&self, states: &str) -> u64 {
        let page: Value = self.client.get(&format!("tasks/?state__in={states}&limit=1&fields=pulp_href")).await;
        page["count"].as_u64().expect("a count")
    }

    /// Has tasks wait for a repository that a sync holds whose upstream never answers.
    async fn wait_for_one(&self) {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/PULP_MANIFEST", silent.local_addr().expect("an address"));
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((connection, _)) = silent.accept().await {
                kept.push(connection);
            }
        });
        let remote = self.make("remotes/file/file/", json!({"name": self.run, "url": url})).await;
        let held = self.repositories(1).await.remove(0);
        self.client.post(&format!("{held}sync/"), json!({"remote": remote})).await.task();
        let modify = async |_| self.client.post(&format!("{held}modify/"), json!({"add_content_units": []})).await.task();
        let _: Vec<String> = stream::iter(0..self.options.waiting).map(modify).buffer_unordered(self.options.connections).collect().await;
        assert_eq!(self.count("waiting").await, self.options.waiting as u64);
    }
}
