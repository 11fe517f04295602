//! What happens to a task, as it happens.

use std::collections::HashSet;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use pulp_core::body::Body;
use pulp_core::tasks::{DispatchOptions, Workers};
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::{Count, World, basic, nowhere};

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: Option<String>,
    name: String,
    data: Json,
}

/// The events of a text, comments left out.
fn events(text: &str) -> Vec<Event> {
    let field = |block: &str, name: &str| block.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
    let blocks = text.split("\n\n").filter(|block| block.contains("event: "));
    let event = |block: &str| Event {
        id: field(block, "id"),
        name: field(block, "event").unwrap(),
        data: serde_json::from_str(&field(block, "data").unwrap()).unwrap(),
    };
    blocks.map(event).collect()
}

fn named<'e>(events: &'e [Event], name: &'e str) -> impl Iterator<Item = &'e Json> {
    events.iter().filter(move |event| event.name == name).map(|event| &event.data)
}

impl World {
    async fn dispatched(&self, task: Count) -> String {
        let row = self.pulp().tasks().dispatch(task, DispatchOptions::default()).await.unwrap();
        format!("/pulp/api/v3/tasks/{}/", row.pulp_id)
    }

    /// The events of a task from one on, until the stream ends.
    async fn events(&self, task: &str, after: Option<&str>) -> Vec<Event> {
        let authorization = basic("admin", "password");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(after.map(|after| ("last-event-id", after)));
        let answer = self.send(Method::GET, &format!("{task}events/"), &headers, "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
        events(std::str::from_utf8(&answer.bytes).unwrap())
    }
}

both_databases! {
    async fn states_and_progress_are_told_as_they_come(world: World) {
        // Some looks find that nothing has moved.
        let task = world.dispatched(Count { to: 2, pause_ms: 2_600 }).await;
        let (all, ()) = tokio::join!(world.events(&task, None), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let workers = Workers::start(world.pulp(), 1).await.unwrap();
            world.pulp().tasks().wait(task.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap()).await.unwrap();
            workers.drain().await;
        });
        let states: Vec<&str> = named(&all, "state").map(|data| data["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["waiting", "running", "completed"]);
        let counted: Vec<i64> = named(&all, "progress").filter(|report| report["code"] == "shelf.counting").map(|report| report["done"].as_i64().unwrap()).collect();
        assert!(counted.len() >= 2 && counted.is_sorted() && counted.last() == Some(&2), "{counted:?}");
        // What has not moved is not told again.
        let lines: Vec<&Json> = named(&all, "log").collect();
        assert_eq!(lines.iter().map(|line| line["message"].as_str().unwrap()).collect::<Vec<_>>(), ["1 of 2", "2 of 2"]);
        assert!(lines.iter().all(|line| line["level"] == "warning" && line["at"].is_string()), "{lines:?}");
        let reports: Vec<String> = named(&all, "progress").map(Json::to_string).collect();
        assert_eq!(reports.iter().collect::<HashSet<_>>().len(), reports.len(), "{reports:#?}");
        let last = all.last().unwrap();
        assert_eq!((last.name.as_str(), &last.data), ("end", &world.get(&task).await.with(200)));
        assert_eq!(named(&all, "end").count(), 1);
    }

    async fn who_was_cut_off_goes_on(world: World) {
        let task = world.dispatched(Count { to: 2, pause_ms: 700 }).await;
        world.ended(&task).await;
        let all = world.events(&task, None).await;
        let reports: Vec<&Event> = all.iter().filter(|event| event.name == "progress").collect();
        // Of a moment that was told of, all is told again: something of it may not have arrived.
        let rest = world.events(&task, reports.last().unwrap().id.as_deref()).await;
        assert!(named(&rest, "progress").any(|report| report["code"] == "shelf.checking"));
        assert_eq!(rest.last().map(|event| &event.data), all.last().map(|event| &event.data));
        let later = (reports.last().unwrap().id.as_ref().unwrap().parse::<i64>().unwrap() + 1).to_string();
        let rest = world.events(&task, Some(&later)).await;
        assert_eq!(named(&rest, "progress").count(), 0);
        assert_eq!(rest.last().unwrap().name, "end");
        // There is nothing after the end; and an id that is none begins anew.
        let authorization = basic("admin", "password");
        let end = all.last().unwrap().id.clone().unwrap();
        let headers = [("authorization", authorization.as_str()), ("last-event-id", end.as_str())];
        world.send(Method::GET, &format!("{task}events/"), &headers, "").await.with(204);
        assert_eq!(world.events(&task, Some("nonsense")).await, all);
    }

    async fn who_may_not_see_a_task_hears_nothing_of_it(world: World) {
        let task = world.dispatched(Count { to: 1, pause_ms: 0 }).await;
        let ann = world.person("ann").await;
        ann.ask(Method::GET, &format!("{task}events/"), None).await.with(404);
        world.post(&format!("{task}add_role/"), json!({"role": "core.task_viewer", "users": ["ann"]})).await.with(201);
        world.ended(&task).await;
        assert_eq!(ann.ask(Method::GET, &format!("{task}events/"), None).await.status, 200);
        world.get(&format!("{}events/", nowhere("tasks/"))).await.with(404);
    }

    async fn a_task_that_is_deleted_and_a_server_that_stops_end_the_stream(world: World) {
        let task = world.dispatched(Count { to: 1, pause_ms: 0 }).await;
        let open = || {
            let request = Request::get(format!("{task}events/")).header("authorization", basic("admin", "password"));
            world.api.handle(request.body(Body::empty()).unwrap())
        };
        let read = |body: Body| async move { String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap() };
        let following = open().await.into_body();
        world.patch(&task, json!({"state": "canceled"})).await.with(200);
        let text = tokio::time::timeout(Duration::from_secs(10), read(following)).await.unwrap();
        assert_eq!(events(&text).last().unwrap().data["state"], "canceled");
        let following = open().await.into_body();
        world.delete(&task).await.with(204);
        let text = tokio::time::timeout(Duration::from_secs(10), read(following)).await.unwrap();
        assert_eq!(events(&text).last().unwrap().name, "gone");
        let task = world.dispatched(Count { to: 1, pause_ms: 0 }).await;
        let request = Request::get(format!("{task}events/")).header("authorization", basic("admin", "password"));
        let following = world.api.handle(request.body(Body::empty()).unwrap()).await.into_body();
        world.pulp().tasks().stop_following();
        tokio::time::timeout(Duration::from_secs(1), read(following)).await.unwrap();
    }
}
