//! Which task may begin, and when.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use pulp_core::Pulp;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::ids::new_id;
use pulp_core::model::{Domain, Model, TaskRow, TaskState};
use pulp_core::settings::Settings;
use pulp_core::tasks::{DispatchOptions, QueuedTask, Resources, Workers, schedule};
use pulp_testkit::both_databases;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::world::{Act, Probe, Probed, dispatch, on_both, options, reservations, world};

/// What the database thinks may start, and what the scheduler says.
async fn startable(pulp: &Pulp) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
    let rows: Vec<TaskRow> =
        pulp.db().all("select * from core_task where state in ('waiting', 'running', 'canceling') order by sequence").await.unwrap();
    let marked = rows.iter().filter(|row| row.state() == TaskState::Waiting && row.unblocked_at.is_some()).map(|row| row.pulp_id).collect();
    let queue: Vec<QueuedTask> = rows
        .iter()
        .map(|row| QueuedTask {
            id: row.pulp_id,
            tenant: row.pulp_domain_id,
            resources: Resources::from_record(row.reserved_resources_record.iter().map(String::as_str)),
            running: row.state() != TaskState::Waiting,
        })
        .collect();
    (marked, schedule(&queue).into_iter().collect())
}

fn random_needs(rng: &mut impl RngExt, of: u32) -> Resources {
    let mut needs = Resources::none();
    for _ in 0..rng.random_range(0..3) {
        let name = format!("thing {}", rng.random_range(0..of));
        needs = if rng.random_bool(0.5) { needs.exclusive(name) } else { needs.shared(name) };
    }
    needs
}

fn conflict(a: &Resources, b: &Resources) -> bool {
    a.exclusives().any(|name| b.exclusives().chain(b.shareds()).any(|other| other == name))
        || b.exclusives().any(|name| a.shareds().any(|other| other == name))
}

/// That each probe ran once, and that of two that conflict the earlier one had ended before the later one began.
fn assert_in_order(log: &[i64], probes: &[Probe]) {
    assert_eq!(log.len(), probes.len() * 2);
    let places: HashMap<i64, usize> = log.iter().enumerate().map(|(at, what)| (*what, at)).collect();
    assert_eq!(places.len(), log.len(), "a probe ran twice");
    for (later, b) in probes.iter().enumerate() {
        for a in &probes[..later] {
            if conflict(&a.needs, &b.needs) {
                assert!(places[&(-1 - a.number)] < places[&b.number], "{} overtook {}", b.number, a.number);
            }
        }
    }
}

both_databases! {
    async fn a_thousand_random_tasks_keep_order_and_exclude(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let mut rng = rand::rngs::StdRng::seed_from_u64(41);
        let probes: Vec<Probe> = (0..1_000)
            .map(|number| {
                let act = Act::Yield(rng.random_range(0..4));
                Probe { world: id, number, needs: random_needs(&mut rng, 12), act, ..Probe::default() }
            })
            .collect();
        // Two that work, as two processes where the database allows it.
        let other = given.second().await;
        let workers = [Workers::start(pulp, 3).await.unwrap(), Workers::start(other.as_ref().unwrap_or(pulp), 3).await.unwrap()];
        let mut rows = Vec::new();
        for probe in &probes {
            rows.push(dispatch(pulp, probe).await);
        }
        for row in rows {
            assert_eq!(pulp.tasks().wait(row.pulp_id).await.unwrap().state(), TaskState::Completed);
        }
        assert_in_order(&world.log(), &probes);
        assert_eq!(reservations(pulp).await, 0);
        for workers in workers {
            workers.stop(Duration::from_secs(60)).await;
        }
    }

    /// Many at the same time, all wanting the same: the order is that of their sequence.
    async fn dispatches_at_the_same_time_are_ordered(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let workers = Workers::start(pulp, 4).await.unwrap();
        let probe = |number| Probe { world: id, number, needs: Resources::none().exclusive("the one"), act: Act::Yield(2), ..Probe::default() };
        let probes: Vec<Probe> = (0..60).map(probe).collect();
        let mut rows = futures::future::join_all(probes.iter().map(|probe| dispatch(pulp, probe))).await;
        rows.sort_by_key(|row| row.sequence);
        for row in &rows {
            pulp.tasks().wait(row.pulp_id).await.unwrap();
        }
        let mut ordered = Vec::new();
        for row in &rows {
            let result = pulp.tasks().find(row.pulp_id).await.unwrap().result.unwrap().as_i64().unwrap();
            ordered.push(probe(result));
        }
        assert_in_order(&world.log(), &ordered);
        workers.stop(Duration::from_secs(60)).await;
    }

    /// The marks in the database say what the pure scheduler says, whatever comes and goes.
    async fn the_database_agrees_with_the_scheduler(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let mut rng = rand::rngs::StdRng::seed_from_u64(43);
        let mut waiting = Vec::new();
        for number in 0..80 {
            if waiting.is_empty() || rng.random_bool(0.6) {
                let probe = Probe { world: id, number, needs: random_needs(&mut rng, 5), ..Probe::default() };
                waiting.push(dispatch(pulp, &probe).await.pulp_id);
            } else {
                let gone = waiting.swap_remove(rng.random_range(0..waiting.len()));
                assert_eq!(pulp.tasks().cancel(gone).await.unwrap().state(), TaskState::Canceled);
            }
            let (marked, right) = startable(pulp).await;
            assert_eq!(marked, right);
        }
    }

    /// A short task that had to wait for its resource does not also wait for a slot that a long one of other resources has.
    async fn short_tasks_do_not_wait_behind_long_ones(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let probe = |number, needs, act| Probe { world: id, number, needs, act, ..Probe::default() };
        let a = || Resources::none().exclusive("a");
        let holder = dispatch(pulp, &probe(0, a(), Act::Gate)).await;
        let short = pulp.tasks().dispatch(probe(1, a(), Act::Nothing), DispatchOptions { immediate: Some(true), ..options() }).await.unwrap();
        assert_eq!(short.state(), TaskState::Waiting);
        dispatch(pulp, &probe(2, Resources::none(), Act::Gate)).await;
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        pulp.tasks().cancel(holder.pulp_id).await.unwrap();
        assert_eq!(pulp.tasks().wait(short.pulp_id).await.unwrap().state(), TaskState::Completed);
        world.begun(2).await;
        assert!(!world.log().contains(&-3));
        world.gate.add_permits(1);
        workers.stop(Duration::from_secs(60)).await;
    }
}

/// One tenant’s long queue does not hold up another’s only task.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_take_turns() {
    on_both(|engine| async move {
        let mut settings = Settings::default();
        settings.domain_enabled = true;
        let Some(given) = Probed::built(engine, |builder| builder.settings(settings)).await else { return };
        let pulp = given.pulp();
        let insert = Sql::new("insert into core_domain (pulp_id, pulp_created, name, storage_class) values ($1, $2, 'other', '')");
        let other = new_id();
        pulp.db().execute(insert.bind(other).bind(pulp.now())).await.unwrap();
        let other = Arc::new(Domain::find(pulp.db(), other).await.unwrap());
        let (id, world) = world();
        for number in 0..10 {
            dispatch(pulp, &Probe { world: id, number, act: Act::Gate, ..Probe::default() }).await;
        }
        let probe = Probe { world: id, number: 10, act: Act::Gate, ..Probe::default() };
        pulp.tasks().dispatch(probe, DispatchOptions { domain: Some(other), ..options() }).await.unwrap();
        let workers = Workers::start(pulp, 2).await.unwrap();
        world.begun(0).await;
        world.begun(10).await;
        assert_eq!(world.log().len(), 2);
        world.gate.add_permits(11);
        workers.stop(Duration::from_secs(60)).await;
    })
    .await;
}

/// Not a test of anything but speed: `cargo test --release -- --ignored --nocapture throughput`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    on_both(|engine| async move {
        let Some(given) = Probed::built(engine, |builder| builder).await else { return };
        let pulp = given.pulp();
        let (id, _) = world();
        let probe =
            |number| Probe { world: id, number, needs: Resources::none().exclusive(number % 50).shared("remote"), ..Probe::default() };
        for backlog in [500, 4_000] {
            let start = std::time::Instant::now();
            let mut last = None;
            for number in 0..backlog {
                last = Some(dispatch(pulp, &probe(number)).await.pulp_id);
            }
            let dispatched = start.elapsed();
            let workers = Workers::start(pulp, 2).await.unwrap();
            let start = std::time::Instant::now();
            pulp.tasks().wait(last.unwrap()).await.unwrap();
            let ran = start.elapsed();
            println!(
                "{engine:?}: backlog {backlog}: {:.0} dispatches/s, {:.0} tasks/s",
                backlog as f64 / dispatched.as_secs_f64(),
                backlog as f64 / ran.as_secs_f64()
            );
            let mut times = Vec::new();
            for number in 0..500 {
                let start = std::time::Instant::now();
                let row = dispatch(pulp, &probe(number)).await;
                pulp.tasks().wait(row.pulp_id).await.unwrap();
                times.push(start.elapsed());
            }
            times.sort();
            println!("{engine:?}: dispatch to finished p50 {:?} p95 {:?}", times[250], times[475]);
            workers.stop(Duration::from_secs(60)).await;
        }
    })
    .await;
}
