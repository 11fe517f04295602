//! Processes that die, stall, or are of another release.

use std::time::Duration;

use chrono::TimeDelta;
use pulp_core::clock::ManualClock;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::ids::new_id;
use pulp_core::model::TaskState;
use pulp_core::tasks::{AppRole, Resources, Workers};
use pulp_core::{Error, Pulp};
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::json;
use uuid::Uuid;

use super::world::{Act, Probe, Probed, TestPlugin, dispatch, on_both, world};

both_databases! {
    /// A process that was taken for dead and comes back cannot write.
    async fn who_lost_the_lease_writes_nothing(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let workers = Workers::start(pulp, 2).await.unwrap();
        let plain = dispatch(pulp, &Probe { world: id, number: 0, act: Act::Gate, ..Probe::default() }).await.pulp_id;
        let holds = dispatch(pulp, &Probe { world: id, number: 1, act: Act::GateAndHold, ..Probe::default() }).await.pulp_id;
        world.begun(0).await;
        world.begun(1).await;
        pulp.db().execute("update core_task set state = 'failed', app_lock_id = null, fence = fence + 1").await.unwrap();
        world.gate.add_permits(2);
        workers.stop(Duration::from_secs(60)).await;
        for task in [plain, holds] {
            let row = pulp.tasks().find(task).await.unwrap();
            assert_eq!((row.state(), row.result.is_none()), (TaskState::Failed, true));
        }
        assert!(!world.log().contains(&-2), "hold() turned it away");
    }
}

/// A process that dies leaves running tasks; they are failed once its signs of life are missed, and what waited for them goes on.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_dead_process_are_failed_and_free_what_they_had() {
    on_both(|engine| async move {
        let clock = ManualClock::new(chrono::Utc::now());
        let Some(given) = Probed::built(engine, |builder| builder.clock(clock.clone())).await else { return };
        let pulp = given.pulp();
        let (id, world) = world();
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        let dies = dispatch(pulp, &probe(0, Act::Gate)).await.pulp_id;
        let next = dispatch(pulp, &probe(1, Act::Nothing)).await.pulp_id;
        let dead = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        drop(dead);
        assert!(pulp.tasks().reap().await.unwrap().is_empty(), "it may only be slow");
        clock.advance(TimeDelta::seconds(31));
        assert_eq!(pulp.tasks().reap().await.unwrap(), [dies]);
        let row = pulp.tasks().find(dies).await.unwrap();
        assert_eq!((row.state(), row.error_text()), (TaskState::Failed, Some("Worker has gone missing.")));
        assert!(pulp.tasks().reap().await.unwrap().is_empty());
        let apps: i64 = pulp.db().scalar("select count(*) from core_appstatus").await.unwrap();
        assert_eq!(apps, 0);
        let workers = Workers::start(pulp, 1).await.unwrap();
        assert_eq!(pulp.tasks().wait(next).await.unwrap().state(), TaskState::Completed);
        workers.stop(Duration::from_secs(60)).await;
    })
    .await;
}

/// A process that died after the commit of a task's end, and before it looked for those that may go on: whoever misses it does so.
#[tokio::test(flavor = "multi_thread")]
async fn who_misses_a_process_looks_for_what_it_left_waiting() {
    on_both(|engine| async move {
        let clock = ManualClock::new(chrono::Utc::now());
        let Some(given) = Probed::built(engine, |builder| builder.clock(clock.clone())).await else { return };
        let pulp = given.pulp();
        let (id, _) = world();
        let probe = |number| Probe { world: id, number, needs: Resources::none().exclusive("a"), ..Probe::default() };
        let (first, next) = (dispatch(pulp, &probe(0)).await, dispatch(pulp, &probe(1)).await.pulp_id);
        let other = pulp.tasks().appear(AppRole::Worker).await.unwrap();
        drop(other);
        pulp.db().execute(Sql::new("delete from core_taskreservation where task_sequence = $1").bind(first.sequence)).await.unwrap();
        pulp.db().execute(Sql::new("update core_task set state = 'completed' where pulp_id = $1").bind(first.pulp_id)).await.unwrap();
        pulp.tasks().reap().await.unwrap();
        assert_eq!(pulp.tasks().find(next).await.unwrap().unblocked_at, None, "nobody is missed yet");
        clock.advance(TimeDelta::seconds(31));
        pulp.tasks().reap().await.unwrap();
        assert!(pulp.tasks().find(next).await.unwrap().unblocked_at.is_some());
    })
    .await;
}

/// The database refuses the look for those that may go on: it is made again, long before housekeeping comes round.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_for_what_may_go_on_is_repeated() {
    let Some(given) = Probed::prepare(Engine::Postgres).await else { return };
    let pulp = given.pulp();
    let (id, world) = world();
    let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
    let (first, next) = (dispatch(pulp, &probe(0, Act::Gate)).await, dispatch(pulp, &probe(1, Act::Nothing)).await.pulp_id);
    let workers = Workers::start(pulp, 2).await.unwrap();
    world.begun(0).await;
    for statement in [
        "create sequence refusals",
        "create function refuse() returns trigger language plpgsql as $$ begin \
         if nextval('refusals') < 3 then raise exception 'not now' using errcode = '40001'; end if; return new; end $$",
        "create trigger refuse before update on core_task for each row when (old.unblocked_at is null and new.unblocked_at is not null) \
         execute function refuse()",
    ] {
        pulp.db().execute(statement).await.unwrap();
    }
    let begun = std::time::Instant::now();
    world.gate.add_permits(1);
    assert_eq!(pulp.tasks().wait(first.pulp_id).await.unwrap().state(), TaskState::Completed);
    assert_eq!(pulp.tasks().wait(next).await.unwrap().state(), TaskState::Completed);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(pulp.db().scalar::<i64>("select last_value from refusals").await.unwrap() >= 3);
    workers.stop(Duration::from_secs(60)).await;
}

/// Inserts so many tasks that a later release has dispatched.
async fn of_a_later_release(pulp: &Pulp, world: u64, count: usize) -> Vec<Uuid> {
    let mut all = Vec::new();
    let tx = pulp.db().begin().await.unwrap();
    for number in 0..count {
        let args = json!({"world": world, "number": number, "needs": {"exclusive": [], "shared": []}, "act": "Nothing"}).to_string();
        let insert = Sql::new(
            "insert into core_task (pulp_id, pulp_created, state, name, task_version, unblocked_at, args, pulp_domain_id) \
             values ($1, $2, 'waiting', 'test.probe', 2, $2, $3, $4)",
        );
        all.push(new_id());
        let insert = insert.bind(*all.last().unwrap()).bind(pulp.now()).bind(json!(pulp.seal(&args).unwrap()));
        tx.execute(insert.bind(pulp.default_domain().pulp_id)).await.unwrap();
    }
    tx.commit().await.unwrap();
    all
}

/// Where the first that wait are not for this release, a claim takes as many of the others as there are slots.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_later_release_leave_no_slot_idle() {
    on_both(|engine| async move {
        let Some(given) = Probed::prepare(engine).await else { return };
        let pulp = given.pulp();
        let (id, _) = world();
        of_a_later_release(pulp, id, 6).await;
        let mut ours = Vec::new();
        for number in 100..104 {
            ours.push(dispatch(pulp, &Probe { world: id, number, ..Probe::default() }).await.pulp_id);
        }
        let workers = Workers::start(pulp, 4).await.unwrap();
        let mut started = Vec::new();
        for task in ours {
            started.push(pulp.tasks().wait(task).await.unwrap().started_at.unwrap());
        }
        started.dedup();
        assert_eq!(started.len(), 1, "all four were claimed at once: {started:?}");
        workers.stop(Duration::from_secs(60)).await;
    })
    .await;
}

/// A release that knows a later version of a kind of task runs all; an earlier one leaves those of the later one, and takes the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_later_release_is_left_to_it() {
    on_both(|engine| async move {
        let Some(given) = Probed::prepare(engine).await else { return };
        let pulp = given.pulp();
        let (id, world) = world();
        let workers = Workers::start(pulp, 1).await.unwrap();
        // More than a claim looks at.
        let later = of_a_later_release(pulp, id, 70).await;
        let ours = dispatch(pulp, &Probe { world: id, number: 100, ..Probe::default() }).await.pulp_id;
        assert_eq!(pulp.tasks().wait(ours).await.unwrap().state(), TaskState::Completed, "it is not held up by those that came before it");
        assert_eq!(world.log(), [100, -101]);
        for task in &later {
            assert_eq!(pulp.tasks().find(*task).await.unwrap().state(), TaskState::Waiting);
        }
        pulp.db().execute("update core_task set task_version = 1 where state = 'waiting'").await.unwrap();
        for task in later {
            assert_eq!(pulp.tasks().wait(task).await.unwrap().state(), TaskState::Completed, "only the version kept it waiting");
        }
        workers.stop(Duration::from_secs(60)).await;
    })
    .await;
}

/// Processes that do not share their keys: the error says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_another_key_says_so() {
    let Some(given) = Probed::built(Engine::Postgres, |builder| builder).await else { return };
    let database = given.0.database();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Pulp::builder().plugin(TestPlugin).data_dir(elsewhere.path()).database(database.url()).build().await.unwrap();
    let (id, _) = world();
    let row = dispatch(given.pulp(), &Probe { world: id, ..Probe::default() }).await;
    let workers = Workers::start(&other, 1).await.unwrap();
    let row = given.pulp().tasks().wait(row.pulp_id).await.unwrap();
    assert!(row.error_text().is_some_and(|text| text.contains("same key file")), "{row:?}");
    workers.stop(Duration::from_secs(60)).await;
}

/// On SQLite the next process knows that the former one is gone: nobody waits for its signs of life.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_fails_what_the_former_process_was_running() {
    let dir = tempfile::tempdir().unwrap();
    let build = || Pulp::builder().plugin(TestPlugin).data_dir(dir.path()).build();
    let (id, world) = world();
    let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
    let pulp = build().await.unwrap();
    let ran = dispatch(&pulp, &probe(0, Act::Gate)).await.pulp_id;
    let waits = dispatch(&pulp, &probe(1, Act::Nothing)).await.pulp_id;
    let workers = Workers::start(&pulp, 1).await.unwrap();
    world.begun(0).await;
    drop(workers);
    drop(pulp);
    // The abandoned futures go when the runtime gets to them; until then the directory is locked.
    let pulp = loop {
        match build().await {
            Ok(pulp) => break pulp,
            Err(Error::Db(pulp_core::db::DbError::Locked(_))) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(pulp.tasks().find(ran).await.unwrap().error_text(), Some("Worker has gone missing."));
    let row = pulp.tasks().find(waits).await.unwrap();
    assert!(row.state() == TaskState::Waiting && row.unblocked_at.is_some());
    let workers = Workers::start(&pulp, 1).await.unwrap();
    assert_eq!(pulp.tasks().wait(waits).await.unwrap().state(), TaskState::Completed);
    workers.stop(Duration::from_secs(60)).await;
}
