//! A look at a task waits for its end, for a moment.

use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use pulp_core::clock::{Clock, ManualClock, SystemClock};
use pulp_core::settings::Settings;
use pulp_core::tasks::{DispatchOptions, Workers};
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::{Value as Json, json};

use super::world::{Count, World, basic};

/// More than any of these tests takes.
const LONG: u64 = 40_000;

/// A server to which tasks are young for very long.
struct Patient(World, ManualClock);

#[async_trait]
impl Prepare for Patient {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.young_task_milliseconds = LONG;
        let clock = ManualClock::new(SystemClock.now());
        Some(Self(World::at(engine, settings, clock.clone()).await?, clock))
    }
}

impl Patient {
    async fn dispatched(&self) -> String {
        let task = Count { to: 1, pause_ms: 50 };
        let row = self.0.pulp().tasks().dispatch(task, DispatchOptions::default()).await.unwrap();
        format!("/pulp/api/v3/tasks/{}/", row.pulp_id)
    }

    /// The state that one look sees, with what the client prefers.
    async fn seen(&self, task: &str, prefer: Option<&str>) -> Json {
        let authorization = basic("admin", "password");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(prefer.map(|prefer| ("prefer", prefer)));
        self.0.send(Method::GET, task, &headers, "").await.with(200)["state"].clone()
    }
}

/// What a look sees that must come long before the patience ends.
async fn soon<T>(look: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_millis(LONG / 2), look).await.expect("the look waits for too long")
}

both_databases! {
    async fn one_look_at_a_young_task_sees_its_end(world: Patient) {
        let task = world.dispatched().await;
        let (seen, ()) = tokio::join!(soon(world.seen(&task, None)), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let workers = Workers::start(world.0.pulp(), 1).await.unwrap();
            world.0.pulp().tasks().wait(task.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap()).await.unwrap();
            workers.drain().await;
        });
        assert_eq!(seen, "completed");
    }

    async fn a_task_that_is_deleted_meanwhile_is_gone(world: Patient) {
        let task = world.dispatched().await;
        let authorization = basic("admin", "password");
        let headers = [("authorization", authorization.as_str())];
        let (answer, ()) = tokio::join!(soon(world.0.send(Method::GET, &task, &headers, "")), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.0.patch(&task, json!({"state": "canceled"})).await.with(200);
            world.0.delete(&task).await.with(204);
        });
        // Between the two, it may have been seen.
        assert!(answer.status == 404 || answer.json()["state"] == "canceled", "{answer:?}");
    }

    async fn an_old_task_and_an_impatient_client_have_their_answer_at_once(world: Patient) {
        let task = world.dispatched().await;
        assert_eq!(soon(world.seen(&task, Some("wait=0"))).await, "waiting");
        world.1.advance(chrono::TimeDelta::milliseconds(LONG as i64));
        assert_eq!(soon(world.seen(&task, None)).await, "waiting");
        // A client says for how long it would wait, however old the task is.
        let (seen, ()) = tokio::join!(soon(world.seen(&task, Some("wait=40"))), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.0.patch(&task, json!({"state": "canceled"})).await.with(200);
        });
        assert_eq!(seen, "canceled");
        assert_eq!(soon(world.seen(&task, Some("wait=40"))).await, "canceled");
    }

    async fn a_server_that_stops_keeps_nobody_waiting(world: Patient) {
        let task = world.dispatched().await;
        let (seen, ()) = tokio::join!(soon(world.seen(&task, Some("wait=40"))), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.0.pulp().tasks().stop_following();
        });
        assert_eq!(seen, "waiting");
        assert_eq!(soon(world.seen(&task, Some("wait=40"))).await, "waiting");
    }
}
