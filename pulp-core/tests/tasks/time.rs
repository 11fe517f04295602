//! What happens in time: schedules, and what is removed.

use std::time::Duration;

use chrono::TimeDelta;
use pulp_core::Error;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::ids::new_id;
use pulp_core::model::{Model, TaskSchedule, TaskState};
use pulp_core::tasks::{Purge, Rhythm, Workers};
use pulp_testkit::both_databases;
use uuid::Uuid;

use super::world::{Act, Aged, Probe, Probed, dispatch, options, world};

both_databases! {
    async fn uploads_that_nobody_commits_are_removed(given: Aged) {
        let pulp = given.probed.pulp();
        let upload = "insert into core_upload (pulp_id, pulp_created, size, pulp_domain_id) values ($1, $2, 4, $3)";
        let chunk = "insert into core_uploadchunk (pulp_id, pulp_created, \"offset\", size, file, upload_id) values ($1, $2, 0, 4, $3, $4)";
        let at: pulp_core::storage::ArtifactPath = format!("artifact/ab/{}", "c".repeat(62)).parse().unwrap();
        pulp.storage().adopt(pulp.spool().store("data").await.unwrap(), &at).await.unwrap();
        let (old, young) = (new_id(), new_id());
        for id in [old, young] {
            given.clock.advance(TimeDelta::minutes(40));
            pulp.db().execute(Sql::new(upload).bind(id).bind(pulp.now()).bind(pulp.default_domain().pulp_id)).await.unwrap();
            let file = if id == old { at.as_str().to_owned() } else { format!("artifact/ab/{}", "d".repeat(62)) };
            pulp.db().execute(Sql::new(chunk).bind(new_id()).bind(pulp.now()).bind(file).bind(id)).await.unwrap();
        }
        given.clock.advance(TimeDelta::minutes(40));
        given.look_after().await;
        let left: Vec<Uuid> = pulp.db().column("select upload_id from core_uploadchunk").await.unwrap();
        assert_eq!(left, [young]);
        assert!(pulp.storage().size(&at).await.is_err());
    }

    async fn old_temporary_files_go_by_themselves(given: Aged) {
        let pulp = given.probed.pulp();
        let insert = "insert into core_pulptemporaryfile (pulp_id, pulp_created, file, pulp_domain_id) values ($1, $2, $3, $4)";
        let place = |of: char| -> pulp_core::storage::ArtifactPath { format!("artifact/ab/{}", of.to_string().repeat(62)).parse().unwrap() };
        for (file, data) in [(place('c'), "old"), (place('d'), "young")] {
            pulp.storage().adopt(pulp.spool().store(data).await.unwrap(), &file).await.unwrap();
            given.clock.advance(TimeDelta::minutes(40));
            let sql = Sql::new(insert).bind(new_id()).bind(pulp.now()).bind(file.as_str()).bind(pulp.default_domain().pulp_id);
            pulp.db().execute(sql).await.unwrap();
        }
        given.clock.advance(TimeDelta::minutes(40));
        given.look_after().await;
        let left: Vec<String> = pulp.db().column("select file from core_pulptemporaryfile").await.unwrap();
        assert_eq!(left, [place('d').as_str()]);
        assert!(pulp.storage().size(&place('c')).await.is_err() && pulp.storage().size(&place('d')).await.is_ok());
    }

    async fn a_schedule_keeps_its_rhythm(given: Aged) {
        let pulp = given.probed.pulp();
        let (tasks, domain) = (pulp.tasks(), pulp.default_domain());
        let (id, _) = world();
        let probe = Probe { world: id, ..Probe::default() };
        let rhythm = Rhythm { first: pulp.now() + TimeDelta::minutes(5), every: Some(TimeDelta::minutes(10)) };
        let first = tasks.set_schedule(domain, "probing", &rhythm, &probe).await.unwrap();
        assert!(tasks.dispatch_due().await.unwrap().is_empty());
        given.clock.advance(TimeDelta::minutes(6));
        // However many processes look.
        let other = given.probed.second().await;
        let dispatched = match &other {
            None => tasks.dispatch_due().await.unwrap(),
            Some(other) => {
                let (a, b) = (tasks.clone(), other.tasks());
                let (a, b) = tokio::join!(a.dispatch_due(), b.dispatch_due());
                [a.unwrap(), b.unwrap()].concat()
            }
        };
        assert_eq!(dispatched.len(), 1);
        let schedule = || async { TaskSchedule::find(pulp.db(), first.pulp_id).await.unwrap() };
        let now = schedule().await;
        assert_eq!((now.last_task_id, now.next_dispatch), (Some(dispatched[0]), Some(rhythm.first + TimeDelta::minutes(10))));
        let row = tasks.find(dispatched[0]).await.unwrap();
        assert_eq!((row.name.as_str(), row.user_id, row.logging_cid.len()), ("test.probe", None, 32));

        // While that one has not ended there is no second.
        given.clock.advance(TimeDelta::minutes(25));
        assert!(tasks.dispatch_due().await.unwrap().is_empty());
        assert_eq!(schedule().await.next_dispatch, Some(rhythm.first + TimeDelta::minutes(30)));
        let workers = Workers::start(pulp, 1).await.unwrap();
        assert_eq!(tasks.wait(dispatched[0]).await.unwrap().state(), TaskState::Completed);
        workers.drain().await;
        given.clock.advance(TimeDelta::minutes(10));
        tasks.dispatch_due().await.unwrap();
        assert_ne!(schedule().await.last_task_id, Some(dispatched[0]));

        // Set anew with the same rhythm it goes on, with another it begins anew.
        let at = |minutes| Rhythm { first: pulp.now(), every: Some(TimeDelta::minutes(minutes)) };
        assert_eq!(tasks.set_schedule(domain, "probing", &at(10), &probe).await.unwrap().next_dispatch, schedule().await.next_dispatch);
        assert_eq!(tasks.set_schedule(domain, "probing", &at(20), &probe).await.unwrap().next_dispatch, Some(pulp.now()));
        assert!(matches!(tasks.set_schedule(domain, "x", &at(0), &probe).await, Err(Error::BadRequest(_))));
        assert!(tasks.remove_schedule(domain, "probing").await.unwrap());
        assert!(!tasks.remove_schedule(domain, "probing").await.unwrap());
    }

    async fn a_schedule_without_an_interval_dispatches_once(given: Aged) {
        let pulp = given.probed.pulp();
        let (id, _) = world();
        let rhythm = Rhythm { first: pulp.now(), every: None };
        let once = pulp.tasks().set_schedule(pulp.default_domain(), "once", &rhythm, &Probe { world: id, ..Probe::default() }).await.unwrap();
        assert_eq!(pulp.tasks().dispatch_due().await.unwrap().len(), 1);
        given.clock.advance(TimeDelta::days(1));
        assert!(pulp.tasks().dispatch_due().await.unwrap().is_empty());
        let now = TaskSchedule::find(pulp.db(), once.pulp_id).await.unwrap();
        assert_eq!((now.next_dispatch, now.last_task_id.is_some()), (None, true));
    }

    /// `TASK_PROTECTION_TIME`, without anybody asking for a purge.
    async fn old_tasks_go_by_themselves(given: Aged) {
        let pulp = given.probed.pulp();
        let (id, _) = world();
        let mut ran = Vec::new();
        for number in 0..2 {
            given.clock.advance(TimeDelta::minutes(40));
            ran.push(pulp.tasks().run(Probe { world: id, number, ..Probe::default() }, options()).await.unwrap().pulp_id);
        }
        given.clock.advance(TimeDelta::minutes(40));
        given.look_after().await;
        let left: Vec<Uuid> = pulp.db().column("select pulp_id from core_task where name = 'test.probe'").await.unwrap();
        assert_eq!(left, [ran[1]]);
    }

    async fn ended_tasks_are_deleted_and_purged(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let workers = Workers::start(pulp, 2).await.unwrap();
        let mut done = Vec::new();
        for number in 0..5 {
            let row = dispatch(pulp, &Probe { world: id, number, ..Probe::default() }).await;
            done.push(pulp.tasks().wait(row.pulp_id).await.unwrap());
        }
        let failed = dispatch(pulp, &Probe { world: id, number: 5, act: Act::Fail, ..Probe::default() }).await.pulp_id;
        pulp.tasks().wait(failed).await.unwrap();
        let waiting = dispatch(pulp, &Probe { world: id, number: 6, act: Act::Gate, ..Probe::default() }).await.pulp_id;
        assert!(matches!(pulp.tasks().delete(waiting).await, Err(Error::Conflict(_))));
        pulp.tasks().delete(done[0].pulp_id).await.unwrap();
        assert!(matches!(pulp.tasks().find(done[0].pulp_id).await, Err(Error::NotFound { .. })));

        let before = done[4].finished_at.unwrap();
        let states = vec![TaskState::Completed, TaskState::Waiting, TaskState::Running];
        let purge = Purge { finished_before: Some(before), states: Some(states), of_user: None };
        let purge = pulp.tasks().dispatch(purge, options()).await.unwrap().pulp_id;
        assert_eq!(pulp.tasks().wait(purge).await.unwrap().state(), TaskState::Completed);
        let left: Vec<Uuid> = pulp.db().column("select pulp_id from core_task order by sequence").await.unwrap();
        assert_eq!(left, [done[4].pulp_id, failed, waiting, purge]);
        let reports: Vec<(String, i64)> = pulp
            .db()
            .all(Sql::new("select code, done from core_progressreport where task_id = $1 order by code").bind(purge))
            .await
            .unwrap();
        let reports: Vec<(&str, i64)> = reports.iter().map(|(code, done)| (code.as_str(), *done)).collect();
        // Three tasks, each with a report and a created resource.
        let of = |model: &str| format!("purge.tasks.key.core.{model}");
        let wanted = [("purge.tasks.error", 0), (&of("CreatedResource"), 3), (&of("ProgressReport"), 3), (&of("Task"), 3), ("purge.tasks.total", 9)];
        assert_eq!(reports, wanted);
        pulp.tasks().cancel(waiting).await.unwrap();
        pulp.tasks().wait(waiting).await.unwrap();
        workers.stop(Duration::from_secs(60)).await;
    }
}
