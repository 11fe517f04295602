//! From dispatch to end.

use std::time::Duration;

use futures::StreamExt;
use pulp_core::Error;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::ids::new_id;
use pulp_core::model::{ProgressRow, TaskState};
use pulp_core::tasks::{AppRole, DispatchOptions, GroupProgress, News, Resources, Workers};
use pulp_testkit::both_databases;
use serde_json::json;
use uuid::Uuid;

use super::world::{Act, Aged, Probe, Probed, dispatch, options, reservations, world};

both_databases! {
    /// The whole way, and all that is to be seen of it afterwards.
    async fn a_task_runs_to_its_end(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let needs = Resources::none().exclusive("a").shared("b");
        let before = pulp.tasks().dispatch(Probe { world: id, number: 7, needs, password: Some("hunter2".to_owned()), ..Probe::default() },
            DispatchOptions { cid: Some("abc".to_owned()), ..options() }).await.unwrap();
        assert_eq!(before.state(), TaskState::Waiting);
        assert!(!format!("{before:?}").contains("hunter2"));
        assert!(!before.args.0.to_string().contains("hunter2") && before.args.as_str().is_some_and(|text| text.len() > 100));
        assert_eq!(reservations(pulp).await, 3);

        let workers = Workers::start(pulp, 2).await.unwrap();
        let row = pulp.tasks().wait(before.pulp_id).await.unwrap();
        assert_eq!(row.state(), TaskState::Completed);
        assert_eq!(row.result.as_deref(), Some(&7.into()));
        assert_eq!(row.error, None);
        assert_eq!(row.logging_cid, "abc");
        assert_eq!(row.app_lock_id, None);
        assert_eq!(row.fence, 1);
        assert!(row.unblocked_at <= row.started_at && row.started_at <= row.finished_at && row.started_at.is_some());
        let domain = format!("shared:prn:core.domain:{}", pulp.default_domain().pulp_id);
        assert_eq!(row.reserved_resources_record.0, ["a".to_owned(), "shared:b".to_owned(), domain]);
        assert_eq!(row.args.0, serde_json::json!({}), "arguments may hold secrets: they go with the end");
        assert_eq!(reservations(pulp).await, 0);

        let reports: Vec<ProgressRow> = pulp.db().all("select * from core_progressreport").await.unwrap();
        let [report] = reports.as_slice() else { panic!("{reports:?}") };
        assert_eq!((report.state.as_str(), report.done, report.total), ("completed", 2, Some(2)));
        assert_eq!((report.code.as_str(), report.suffix.as_deref()), ("test.probing", Some("probes")));
        let created: (Uuid, String, String) = pulp.db().one("select object_id, content_type, href from core_createdresource").await.unwrap();
        assert_eq!(created, (row.pulp_id, "test.probe".to_owned(), "/probes/7/".to_owned()));

        let online = pulp.tasks().online(AppRole::Worker).await.unwrap();
        assert_eq!(online.len(), 1);
        assert!(online[0].name.starts_with(&format!("{}@", std::process::id())));
        assert_eq!(online[0].versions.0["test"], "1.2.3");
        workers.stop(Duration::from_secs(60)).await;
        assert!(pulp.tasks().online(AppRole::Worker).await.unwrap().is_empty());
    }

    async fn a_task_is_followed_from_another_process(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let task = dispatch(pulp, &Probe { world: id, act: Act::Gate, ..Probe::default() }).await.pulp_id;
        let second = given.second().await;
        let mut follow = second.as_ref().unwrap_or(pulp).tasks().follow(task, None).unwrap();
        let mut told = Vec::new();
        let mut next = async || match tokio::time::timeout(Duration::from_secs(20), follow.next()).await.unwrap() {
            Some(News::State(row)) => format!("is {}", row.state),
            Some(News::Progress(report)) => format!("has {} {}", report.done, report.state),
            Some(News::Ended(row)) => format!("ended {}", row.state),
            other => format!("{other:?}"),
        };
        told.push(next().await);
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        told.push(next().await);
        told.push(next().await);
        world.gate.add_permits(1);
        told.extend([next().await, next().await, next().await, next().await]);
        assert_eq!(told, ["is waiting", "is running", "has 1 running", "is completed", "has 2 completed", "ended completed", "None"]);
        workers.drain().await;
    }

    async fn tasks_are_cancelled_in_every_state(given: Probed) {
        let pulp = given.pulp();
        let tasks = pulp.tasks();
        let (id, world) = world();
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        let running = dispatch(pulp, &probe(0, Act::Gate)).await.pulp_id;
        let waiting = dispatch(pulp, &probe(1, Act::Nothing)).await.pulp_id;
        let last = dispatch(pulp, &probe(2, Act::Nothing)).await.pulp_id;
        // Cancelled from another process, where there can be one.
        let second = given.second().await;
        let other = second.as_ref().unwrap_or(pulp).tasks();
        let workers = Workers::start(pulp, 2).await.unwrap();
        world.begun(0).await;

        let canceled = other.cancel(waiting).await.unwrap();
        assert_eq!(canceled.state(), TaskState::Canceled);
        assert!(canceled.finished_at.is_some() && canceled.started_at.is_none());
        let canceling = other.cancel(running).await.unwrap();
        assert_eq!((canceling.state(), canceling.finished_at), (TaskState::Canceling, None));
        let canceled = tasks.wait(running).await.unwrap();
        assert_eq!((canceled.state(), canceled.error.is_none()), (TaskState::Canceled, true));
        assert_eq!(tasks.wait(last).await.unwrap().state(), TaskState::Completed);
        let report: String = pulp.db().scalar(Sql::new("select state from core_progressreport where task_id = $1").bind(running)).await.unwrap();
        assert_eq!(report, "canceled");

        for ended in [running, waiting, last] {
            assert!(matches!(tasks.cancel(ended).await, Err(Error::Conflict(_))));
        }
        assert!(matches!(tasks.cancel(new_id()).await, Err(Error::NotFound { .. })));
        assert_eq!(world.log(), [0, 2, -3], "the waiting one never ran, the running one was dropped at its gate");
        workers.stop(Duration::from_secs(60)).await;
    }

    async fn a_failure_and_a_panic_are_told_without_secrets(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let workers = Workers::start(pulp, 1).await.unwrap();
        let fails = dispatch(pulp, &Probe { world: id, act: Act::Fail, ..Probe::default() }).await;
        let failed = pulp.tasks().wait(fails.pulp_id).await.unwrap();
        assert_eq!(failed.state(), TaskState::Failed);
        assert_eq!(
            failed.error.unwrap().0,
            json!({"traceback": null, "description": "[PLP0000] the probe broke", "error_code": "PLP0000"})
        );
        let refused = dispatch(pulp, &Probe { world: id, act: Act::Refuse, ..Probe::default() }).await;
        let refused = pulp.tasks().wait(refused.pulp_id).await.unwrap();
        assert_eq!(refused.error.unwrap().0, json!({"traceback": null, "description": "the probe may not"}));
        let panics = dispatch(pulp, &Probe { world: id, number: 1, act: Act::Panic, ..Probe::default() }).await;
        let panicked = tokio::time::timeout(Duration::from_secs(60), pulp.tasks().wait(panics.pulp_id)).await.expect("it ends").unwrap();
        assert_eq!(panicked.state(), TaskState::Failed);
        assert!(!panicked.error.unwrap().to_string().contains("hunter2"));
        // The slot lives on.
        let after = dispatch(pulp, &Probe { world: id, number: 2, ..Probe::default() }).await;
        assert_eq!(pulp.tasks().wait(after.pulp_id).await.unwrap().state(), TaskState::Completed);
        workers.stop(Duration::from_secs(60)).await;
    }

    async fn an_immediate_task_runs_at_once_if_it_can(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let tasks = pulp.tasks();
        let immediate = || DispatchOptions { immediate: Some(true), ..options() };
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        // No worker is there.
        let row = tasks.dispatch(probe(0, Act::Nothing), immediate()).await.unwrap();
        assert_eq!((row.state(), row.result.as_deref()), (TaskState::Completed, Some(&0.into())));
        assert_eq!(reservations(pulp).await, 0);

        let long = dispatch(pulp, &probe(1, Act::Gate)).await;
        let row = tasks.dispatch(probe(2, Act::Nothing), immediate()).await.unwrap();
        assert_eq!(row.state(), TaskState::Waiting);
        let refused = tasks.dispatch(probe(3, Act::Nothing), DispatchOptions { never_deferred: true, ..immediate() }).await.unwrap();
        assert_eq!((refused.state(), refused.error_text()), (TaskState::Canceled, Some("Resources temporarily unavailable.")));
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.gate.add_permits(1);
        assert_eq!(tasks.wait(row.pulp_id).await.unwrap().state(), TaskState::Completed);
        assert_eq!(tasks.wait(long.pulp_id).await.unwrap().state(), TaskState::Completed);
        workers.stop(Duration::from_secs(60)).await;
    }

    /// A program without workers runs its tasks itself.
    async fn a_program_runs_its_own_task(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let probe = |number, act| Probe { world: id, number, needs: Resources::none().exclusive("a"), act, ..Probe::default() };
        let tasks = pulp.tasks();
        let first = tasks.run(probe(0, Act::Gate), options());
        let second = async {
            world.begun(0).await;
            let second = tasks.run(probe(1, Act::Nothing), options());
            let open = async {
                world.gate.add_permits(1);
            };
            futures::future::join(second, open).await.0
        };
        let (first, second) = futures::future::join(first, second).await;
        assert_eq!((first.unwrap().state(), second.unwrap().state()), (TaskState::Completed, TaskState::Completed));
        assert_eq!(world.log(), [0, -1, 1, -2]);
    }

    async fn groups_are_cancelled_together(given: Probed) {
        let pulp = given.pulp();
        let (id, _) = world();
        let line = GroupProgress { message: "All".to_owned(), code: "all".to_owned(), total: 3, suffix: None };
        let group = pulp.tasks().create_group(pulp.default_domain(), "three", &[line]).await.unwrap().pulp_id;
        let mut members = Vec::new();
        for number in 0..3 {
            let needs = Resources::none().exclusive("a");
            let probe = Probe { world: id, number, needs, ..Probe::default() };
            members.push(pulp.tasks().dispatch(probe, DispatchOptions { group: Some(group), ..options() }).await.unwrap().pulp_id);
        }
        pulp.tasks().complete_group(group).await.unwrap();
        assert_eq!(pulp.tasks().cancel_group(group).await.unwrap().len(), 3);
        for member in members {
            assert_eq!(pulp.tasks().find(member).await.unwrap().state(), TaskState::Canceled);
        }
        assert_eq!(reservations(pulp).await, 0);
        assert!(matches!(pulp.tasks().cancel_group(group).await, Err(Error::Conflict(_))));
        assert!(matches!(pulp.tasks().cancel_group(new_id()).await, Err(Error::NotFound { .. })));
    }

    async fn a_stop_leaves_what_waits_and_aborts_what_does_not_end(given: Probed) {
        let pulp = given.pulp();
        let (id, world) = world();
        let running = dispatch(pulp, &Probe { world: id, number: 0, act: Act::Gate, ..Probe::default() }).await;
        let workers = Workers::start(pulp, 1).await.unwrap();
        world.begun(0).await;
        let waiting = dispatch(pulp, &Probe { world: id, number: 1, ..Probe::default() }).await;
        workers.stop(Duration::ZERO).await;
        let aborted = pulp.tasks().find(running.pulp_id).await.unwrap();
        assert_eq!((aborted.state(), aborted.error_text()), (TaskState::Failed, Some("Aborted during worker shutdown.")));
        assert_eq!(pulp.tasks().find(waiting.pulp_id).await.unwrap().state(), TaskState::Waiting);
        assert!(pulp.tasks().online(AppRole::Worker).await.unwrap().is_empty());
        // The next start takes it up; its stop lets it end.
        let running = dispatch(pulp, &Probe { world: id, number: 2, act: Act::Gate, ..Probe::default() }).await;
        let workers = Workers::start(pulp, 2).await.unwrap();
        world.begun(2).await;
        pulp.tasks().wait(waiting.pulp_id).await.unwrap();
        let stop = workers.stop(Duration::from_secs(60));
        let open = async { world.gate.add_permits(1) };
        futures::future::join(stop, open).await;
        assert_eq!(pulp.tasks().find(running.pulp_id).await.unwrap().state(), TaskState::Completed);
    }

    async fn the_memory_of_a_task_is_recorded_where_it_is_asked_for_and_allowed(given: Aged) {
        let pulp = given.probed.pulp();
        let (id, _) = world();
        let probe = Probe { world: id, act: Act::Yield(9), ..Probe::default() };
        let asked = |what: &str| DispatchOptions { diagnostics: vec![what.to_owned()], ..options() };
        for what in ["memory", "pyinstrument"] {
            assert_eq!(pulp.tasks().run(probe.clone(), asked(what)).await.unwrap().state(), TaskState::Completed);
        }
        let kept = "select profile.name, artifact.file from core_profileartifact profile join core_artifact artifact on artifact.pulp_id = profile.artifact_id";
        let kept: Vec<(String, String)> = pulp.db().all(kept).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].0, "memory_profile");
        let mut text = Vec::new();
        let mut stored = pulp.storage().open(&kept[0].1.parse().unwrap(), None).await.unwrap();
        while let Some(part) = stored.next().await {
            text.extend_from_slice(&part.unwrap());
        }
        let text = String::from_utf8(text).unwrap();
        let megabytes = text.strip_prefix("# Seconds\tMemory in MB\n0\t").unwrap_or_else(|| panic!("{text}"));
        assert!(megabytes.trim_end().parse::<f64>().unwrap() > 1.0);
    }

    async fn no_memory_is_recorded_where_that_is_not_allowed(given: Probed) {
        let (id, _) = world();
        let asked = DispatchOptions { diagnostics: vec!["memory".to_owned()], ..options() };
        given.pulp().tasks().run(Probe { world: id, ..Probe::default() }, asked).await.unwrap();
        assert_eq!(given.pulp().db().scalar::<i64>("select count(*) from core_profileartifact").await.unwrap(), 0);
    }
}
