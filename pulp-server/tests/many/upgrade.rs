//! From one release to the next, process by process, with clients that notice nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use pulp_core::db::ExecutorExt;
use pulp_core::tasks::Resources;
use pulp_testkit::{Balancer, Blob, Client, Engine, Launch, Process, Upstream, database};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::probe::{DISPATCH, LATER, Probe, RELEASE};
use crate::verdict::judge;
use crate::world::Servers;

/// How long each state of things lasts.
const WHILE: Duration = Duration::from_millis(800);
const STOP: Duration = Duration::from_secs(30);

#[test]
fn a_later_release_takes_over_and_nobody_notices() {
    database::run(Engine::Postgres, |servers: Servers| take_over(servers));
}

fn later(roles: &str) -> Launch {
    Launch::roles(roles).environment(RELEASE, LATER)
}

/// What the clients share.
struct Load {
    next: AtomicI64,
    over: AtomicBool,
    promised: Mutex<Vec<Uuid>>,
    failures: Mutex<Vec<String>>,
    done: Mutex<BTreeMap<&'static str, usize>>,
}

impl Load {
    async fn ask(&self, what: &'static str, request: reqwest::RequestBuilder) -> Option<Json> {
        let failure = match request.timeout(Duration::from_secs(30)).send().await {
            Ok(answer) if answer.status().is_success() => match answer.bytes().await {
                Ok(body) => {
                    *self.done.lock().unwrap().entry(what).or_default() += 1;
                    return Some(serde_json::from_slice(&body).unwrap_or_default());
                }
                Err(error) => format!("{what}: {error:?}"),
            },
            Ok(answer) => format!("{what}: {} {}", answer.status(), answer.text().await.unwrap_or_default()),
            Err(error) => format!("{what}: {error:?}"),
        };
        self.failures.lock().unwrap().push(failure);
        None
    }

    fn promise(&self, body: Option<Json>) {
        if let Some(task) = body.as_ref().and_then(|body| body["task"].as_str()) {
            self.promised.lock().unwrap().push(task.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap());
        }
    }

    async fn probes(self: Arc<Self>, client: Client) {
        while !self.over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let needs = Resources::none().exclusive(number % 7).shared(number % 3);
            let probe = Probe { number, needs, milliseconds: 5, immediate: number % 4 == 0 };
            let body = json!({"task": probe}).to_string();
            let request = client.request(Method::POST, DISPATCH).header("content-type", "application/json").body(body);
            self.promise(self.ask("dispatch", request).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn objects(self: Arc<Self>, client: Client, file: String) {
        let mut round = 0;
        let json = |request: reqwest::RequestBuilder, body: Json| request.header("content-type", "application/json").body(body.to_string());
        while !self.over.load(Ordering::Relaxed) {
            round += 1;
            let make = json(client.request(Method::POST, "repositories/file/file/"), json!({"name": format!("r{round}")}));
            if let Some(href) = self.ask("create", make).await.and_then(|made| Some(made["pulp_href"].as_str()?.to_owned())) {
                self.ask("read", client.request(Method::GET, &href)).await;
                self.ask("change", json(client.request(Method::PATCH, &href), json!({"description": "x"}))).await;
                self.ask("modify", json(client.request(Method::POST, &format!("{href}modify/")), json!({"add_content_units": []}))).await;
                self.ask("delete", client.request(Method::DELETE, &href)).await;
            }
            self.ask("list", client.request(Method::GET, "tasks/?limit=5")).await;
            self.ask("status", client.request(Method::GET, "status/")).await;
            self.ask("fetch", client.request(Method::GET, &file)).await;
        }
    }
}

async fn take_over(servers: Servers) {
    let (program, db) = (&servers.0, servers.0.database().open().await);
    let balancer = Balancer::start(0).await;
    let put = |api: &[Process], content: &[Process]| {
        balancer.api(api.iter().map(Process::address).collect());
        balancer.content(content.iter().map(Process::address).collect());
    };
    let mut api = Vec::new();
    let mut content = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..2 {
        api.push(program.start_as(&Launch::roles("api")).await);
        content.push(program.start_as(&Launch::roles("content")).await);
        workers.push(program.start_as(&Launch::roles("worker")).await);
    }
    put(&api, &content);
    let client = program.client(&balancer.url());
    let upstream = Upstream::start().await.file("a.iso", Blob::seeded(1, 30_000)).manifest();
    let world = client.file_repo("isos").remote(&upstream).sync().publish().distribute().await;
    let load = Arc::new(Load {
        next: AtomicI64::new(0),
        over: AtomicBool::new(false),
        promised: Mutex::default(),
        failures: Mutex::default(),
        done: Mutex::default(),
    });
    let mut clients = JoinSet::new();
    clients.spawn(load.clone().probes(client.clone()));
    clients.spawn(load.clone().probes(client.clone()));
    clients.spawn(load.clone().objects(client.clone(), world.path("a.iso")));
    tokio::time::sleep(WHILE).await;

    // The first process of the later release changes the tables under the others.
    workers.push(program.start_as(&later("worker")).await);
    tokio::time::sleep(WHILE).await;
    // As an operator would: out of the proxy, stop, start, into the proxy.
    for _ in 0..2 {
        let former = api.remove(0);
        put(&api, &content);
        assert!(former.terminate(STOP).await.success());
        api.push(program.start_as(&later("api")).await);
        put(&api, &content);
        tokio::time::sleep(WHILE).await;
    }
    // An earlier one starts on the tables of the later one, and leaves its tasks alone.
    workers.push(program.start_as(&Launch::roles("worker")).await);
    tokio::time::sleep(WHILE).await;
    for _ in 0..2 {
        let former = content.remove(0);
        put(&api, &content);
        assert!(former.terminate(STOP).await.success());
        content.push(program.start_as(&later("content")).await);
        put(&api, &content);
    }
    for at in [0, 0, 1] {
        assert!(workers.remove(at).terminate(STOP).await.success());
    }
    tokio::time::sleep(WHILE).await;

    load.over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let open = "select count(*) from core_task where state in ('waiting', 'running', 'canceling')";
    for _ in 0..1_200 {
        if db.scalar::<i64>(open).await.unwrap() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let failures = load.failures.lock().unwrap().clone();
    assert_eq!(failures, [] as [String; 0], "no request fails");
    let promised = load.promised.lock().unwrap().clone();
    let probes: Vec<Uuid> = db.column("select pulp_id from core_task where name = 'probe.step'").await.unwrap();
    let ends = judge(&db, &promised.iter().copied().filter(|task| probes.contains(task)).collect::<Vec<_>>()).await;
    assert_eq!(ends.keys().collect::<Vec<_>>(), ["completed"], "no task is lost: {ends:?}");
    let other: i64 = db.scalar("select count(*) from core_task where state <> 'completed'").await.unwrap();
    assert_eq!(other, 0);
    let by = "select task.task_version, step.release, count(*) from probe_step step join core_task task on task.pulp_id = step.task group by 1, 2";
    let by: Vec<(i64, String, i64)> = db.all(by).await.unwrap();
    let by: BTreeMap<(i64, String), i64> = by.into_iter().map(|(version, release, count)| ((version, release), count)).collect();
    println!("{:?}; steps by version of the task and release: {by:?}", load.done.lock().unwrap());
    assert!(by.keys().all(|(version, release)| *version == 1 || release == LATER), "{by:?}");
    assert!(by.keys().any(|(version, _)| *version == 2) && by.contains_key(&(1, "earlier".to_owned())), "{by:?}");
}
