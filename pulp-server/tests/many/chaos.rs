//! Eight workers and two API processes, one of which is killed, stopped or cut off from the database each second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use pulp_core::db::ExecutorExt;
use pulp_core::tasks::Resources;
use pulp_testkit::{Client, Engine, database};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::probe::{DISPATCH, Probe};
use crate::verdict::judge;
use crate::world::{Mishap, One, Servers, TTL};

const WORKERS: usize = 8;
const APIS: usize = 2;
/// Requests under way at the same time.
const CLIENTS: usize = 4;
/// How long all may take to be done when nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(120);

struct Plan {
    tasks: usize,
    time: Duration,
    /// Between two mishaps.
    every: Duration,
    resources: u32,
    seed: u64,
}

#[test]
fn a_few_tasks_come_through_a_few_mishaps() {
    run(Plan { tasks: 120, time: Duration::from_secs(6), every: Duration::from_millis(600), resources: 20, seed: 1 });
}

/// The whole of it: `cargo test --workspace --test many -- --ignored --nocapture ten_thousand`.
#[test]
#[ignore = "takes six minutes"]
fn ten_thousand_tasks_come_through_five_minutes_of_mishaps() {
    run(Plan { tasks: 10_000, time: Duration::from_secs(300), every: Duration::from_secs(1), resources: 60, seed: 2 });
}

fn run(plan: Plan) {
    database::run(Engine::Postgres, |servers: Servers| storm(servers, plan));
}

fn needs(rng: &mut StdRng, of: u32) -> Resources {
    let mut needs = Resources::none();
    for _ in 0..rng.random_range(0..4) {
        let name = format!("thing {}", rng.random_range(0..of));
        needs = if rng.random_bool(0.4) { needs.exclusive(name) } else { needs.shared(name) };
    }
    needs
}

fn mishap(rng: &mut StdRng) -> Mishap {
    // Some end before the process is missed, some after.
    let time = Duration::from_millis(rng.random_range(300..TTL * 2_500));
    match rng.random_range(0..5) {
        0 | 1 => Mishap::Killed,
        2 => Mishap::Stopped(time),
        3 if rng.random_bool(0.5) => Mishap::Held(time),
        3 => Mishap::Lost(time),
        _ => Mishap::Cut(time),
    }
}

/// What the clients share.
struct Dispatching {
    clients: RwLock<Vec<Client>>,
    next: AtomicI64,
    plan: Plan,
    promised: Mutex<Vec<Uuid>>,
    unanswered: Mutex<BTreeMap<String, usize>>,
}

/// Sends one probe after the other, as evenly as the time allows, until so many tasks are promised. A probe that may or may not have
/// become a task is not sent again: another takes its place.
async fn dispatch(shared: Arc<Dispatching>, seed: u64, began: Instant) {
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let (promised, tasks) = (shared.promised.lock().unwrap().len(), shared.plan.tasks);
        if promised >= tasks {
            return;
        }
        tokio::time::sleep_until((began + shared.plan.time.mul_f64(promised as f64 / tasks as f64)).into()).await;
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let needs = needs(&mut rng, shared.plan.resources);
        let probe = Probe { number, needs, milliseconds: rng.random_range(0..60), immediate: rng.random_bool(0.2) };
        let client = shared.clients.read().await[number as usize % APIS].clone();
        let request = client.request(Method::POST, DISPATCH).header("content-type", "application/json");
        let request = request.body(json!({"task": probe}).to_string()).timeout(Duration::from_secs(20));
        let answer = match request.send().await {
            Err(error) => Err(if error.is_connect() { "refused" } else { "broken off" }.to_owned()),
            Ok(answer) if answer.status() == 202 => answer.text().await.map_err(|_| "broken off".to_owned()),
            Ok(answer) => Err(answer.status().to_string()),
        };
        match answer {
            Ok(body) => {
                let body: Json = serde_json::from_str(&body).unwrap();
                let task = body["task"].as_str().unwrap().trim_end_matches('/').rsplit('/').next().unwrap();
                shared.promised.lock().unwrap().push(task.parse().unwrap());
            }
            Err(why) => {
                *shared.unanswered.lock().unwrap().entry(why).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn storm(servers: Servers, plan: Plan) {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let db = servers.0.database().open().await;
    let apis = futures::future::join_all((0..APIS).map(|_| servers.one("api"))).await;
    let workers = futures::future::join_all((0..WORKERS).map(|_| servers.one("worker"))).await;
    let clients = RwLock::new(apis.iter().map(|api| api.process.client()).collect());
    let (time, every) = (plan.time, plan.every);
    let shared = Arc::new(Dispatching { clients, next: AtomicI64::new(0), plan, promised: Mutex::default(), unanswered: Mutex::default() });
    let began = Instant::now();
    let mut dispatching: JoinSet<()> = (0..CLIENTS).map(|client| dispatch(shared.clone(), client as u64 + 100, began)).collect();
    let processes: Vec<_> = apis.into_iter().chain(workers).map(tokio::sync::Mutex::new).collect();
    let mut mishaps: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ticks = tokio::time::interval(every);
    let mut under_way = futures::stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(()) = futures::StreamExt::next(&mut under_way), if !under_way.is_empty() => continue,
        }
        if began.elapsed() >= time {
            break;
        }
        // One that is well.
        let place = rng.random_range(0..processes.len());
        let Some(at) = (0..processes.len()).map(|n| (place + n) % processes.len()).find(|at| processes[*at].try_lock().is_ok()) else {
            continue;
        };
        let what = if at < APIS && rng.random_bool(0.5) { Mishap::Killed } else { mishap(&mut rng) };
        *mishaps.entry((if at < APIS { "api" } else { "worker" }, what.name())).or_default() += 1;
        let (process, shared) = (&processes[at], shared.clone());
        let mut process = process.try_lock().expect("it was free");
        under_way.push(async move {
            process.suffer(what).await;
            if at < APIS {
                shared.clients.write().await[at] = process.process.client();
            }
        });
    }
    while futures::StreamExt::next(&mut under_way).await.is_some() {}
    drop(under_way);
    while let Some(ended) = dispatching.join_next().await {
        ended.unwrap();
    }
    let calm = Instant::now();
    let open = "select count(*) from core_task where state in ('waiting', 'running', 'canceling')";
    while db.scalar::<i64>(open).await.unwrap() > 0 && calm.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rest = calm.elapsed();
    let processes: Vec<One<'_>> = processes.into_iter().map(tokio::sync::Mutex::into_inner).collect();
    let promised = shared.promised.lock().unwrap().clone();
    let ends = judge(&db, &promised).await;
    println!(
        "{} probes in {:.0} s, {} of them promised, without an answer {:?}; mishaps {mishaps:?}; ends {ends:?}; {:.1} s until all was done",
        shared.next.load(Ordering::Relaxed),
        began.elapsed().as_secs_f64(),
        promised.len(),
        shared.unanswered.lock().unwrap(),
        rest.as_secs_f64(),
    );
    let completed = ends.get("completed").copied().unwrap_or_default();
    assert!(completed * 10 >= promised.len() * 8, "most tasks are done: {ends:?}");
    drop(processes);
}
