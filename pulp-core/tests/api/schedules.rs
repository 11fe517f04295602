//! Repositories that are synced again and again.

use chrono::TimeDelta;
use http::Method;
use pulp_core::clock::ManualClock;
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::{Value as Json, json};

use super::world::World;

const SCHEDULES: &str = "task-schedules/";
const SYNC: &str = "pulp_file.app.tasks.synchronizing.synchronize";

/// A Pulp whose clock the test moves.
struct Timed {
    world: World,
    clock: ManualClock,
}

#[async_trait::async_trait]
impl Prepare for Timed {
    async fn prepare(engine: Engine) -> Option<Self> {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        Some(Self { world: World::at(engine, Settings::default(), clock.clone()).await?, clock })
    }
}

impl Timed {
    /// A repository of files, and its remote.
    async fn repository(&self, name: &str) -> (String, String) {
        let href = |made: Json| made["pulp_href"].as_str().unwrap().to_owned();
        let remote = json!({"name": name, "url": "http://upstream.example/PULP_MANIFEST"});
        let remote = href(self.world.post("remotes/file/file/", remote).await.with(201));
        let repository = json!({"name": name, "remote": remote});
        (href(self.world.post("repositories/file/file/", repository).await.with(201)), remote)
    }

    /// Moves the clock, and takes the turns that are due then.
    async fn after(&self, minutes: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
        let pulp = self.world.pulp();
        pulp.tasks().dispatch_due().await.unwrap();
        let housekeeping = pulp.tasks().housekeeping().find(|reconciler| reconciler.name() == "recurring syncs").unwrap();
        housekeeping.run(pulp).await.unwrap();
    }

    async fn syncs(&self) -> Vec<Json> {
        let list = self.world.get(&format!("tasks/?name={SYNC}&ordering=pulp_created")).await.with(200);
        list["results"].as_array().unwrap().clone()
    }
}

both_databases! {
    async fn a_repository_is_synced_again_and_again(given: Timed) {
        let world = &given.world;
        let (repository, remote) = given.repository("a").await;
        let body = json!({"name": "hourly", "repository": repository, "dispatch_interval": "01:00:00", "options": {"remote": remote, "mirror": true}});
        let made = world.post(SCHEDULES, body).await.with(201);
        let href = made["pulp_href"].as_str().unwrap().to_owned();
        for (field, value) in [
            ("task_name", json!("repository.sync")),
            ("dispatch_interval", json!("01:00:00")),
            ("next_dispatch", json!("2026-01-01T01:00:00Z")),
            ("repository", json!(repository)),
            ("options", json!({"remote": remote, "mirror": true})),
            ("enabled", json!(true)),
            ("last_error", json!(null)),
            ("last_task", json!(null)),
            ("created_by", json!("/pulp/api/v3/users/1/")),
        ] {
            assert_eq!(made[field], value, "{field}");
        }
        given.after(59).await;
        assert_eq!(given.syncs().await.len(), 0);
        given.after(2).await;
        let syncs = given.syncs().await;
        assert_eq!(syncs.len(), 1);
        assert_eq!((&syncs[0]["created_by"], &syncs[0]["state"]), (&json!("/pulp/api/v3/users/1/"), &json!("waiting")));
        let now = world.get(&href).await.with(200);
        assert_eq!((&now["last_task"], &now["next_dispatch"]), (&syncs[0]["pulp_href"], &json!("2026-01-01T02:00:00Z")));
        // While that one has not ended there is no second.
        given.after(60).await;
        assert_eq!(given.syncs().await.len(), 1);
        assert_eq!(world.get(&href).await.with(200)["next_dispatch"], "2026-01-01T03:00:00Z");
        world.patch(syncs[0]["pulp_href"].as_str().unwrap(), json!({"state": "canceled"})).await.with(200);
        // What was missed for ten hours is one turn.
        given.after(600).await;
        given.after(0).await;
        assert_eq!(given.syncs().await.len(), 2);
        assert_eq!(world.get(&href).await.with(200)["next_dispatch"], "2026-01-01T13:00:00Z");
        world.delete(&href).await.with(204);
        given.after(600).await;
        assert_eq!(given.syncs().await.len(), 2);
    }

    async fn a_schedule_is_changed_disabled_and_enabled(given: Timed) {
        let world = &given.world;
        let (repository, _) = given.repository("a").await;
        let body = json!({"name": "nightly", "repository": repository, "cron": "0 3 * * *", "jitter": 600});
        let made = world.post(SCHEDULES, body).await.with(201);
        let href = made["pulp_href"].as_str().unwrap();
        let next = made["next_dispatch"].as_str().unwrap().to_owned();
        assert!(("2026-01-01T03:00:00".."2026-01-01T03:10:01").contains(&next.as_str()), "{next}");
        assert_eq!((&made["cron"], &made["dispatch_interval"]), (&json!("0 3 * * *"), &json!(null)));
        // What does not concern the turns does not move them.
        let changed = world.patch(href, json!({"options": {"optimize": false}})).await.with(200);
        assert_eq!((changed["next_dispatch"].as_str(), &changed["options"]), (Some(next.as_str()), &json!({"optimize": false})));
        let off = world.patch(href, json!({"enabled": false})).await.with(200);
        assert_eq!((&off["enabled"], &off["next_dispatch"]), (&json!(false), &json!(null)));
        given.after(24 * 60).await;
        assert_eq!(given.syncs().await.len(), 0);
        let on = world.patch(href, json!({"enabled": true, "jitter": 0})).await.with(200);
        assert_eq!(on["next_dispatch"], "2026-01-02T03:00:00Z");
        // One takes the place of the other.
        let by_interval = world.patch(href, json!({"dispatch_interval": "7200"})).await.with(200);
        assert_eq!((&by_interval["cron"], &by_interval["dispatch_interval"]), (&json!(null), &json!("02:00:00")));
        assert_eq!(by_interval["next_dispatch"], "2026-01-02T02:00:00Z");
        let by_cron = world.patch(href, json!({"cron": "@hourly"})).await.with(200);
        assert_eq!((&by_cron["dispatch_interval"], &by_cron["next_dispatch"]), (&json!(null), &json!("2026-01-02T01:00:00Z")));
        given.after(61).await;
        assert_eq!(given.syncs().await.len(), 1);
    }

    async fn what_a_schedule_must_be(given: Timed) {
        let world = &given.world;
        let (repository, _) = given.repository("a").await;
        let shelf = world.repository("shelf").await;
        let bare = world.post("repositories/file/file/", json!({"name": "bare"})).await.with(201)["pulp_href"].clone();
        let hourly = |more: Json| {
            let mut body = json!({"name": "x", "repository": repository, "dispatch_interval": "01:00:00"});
            for (name, value) in more.as_object().unwrap() {
                if value == "none" { body.as_object_mut().unwrap().remove(name); } else { body[name] = value.clone(); }
            }
            body
        };
        for (more, field, message) in [
            (json!({"repository": "none"}), "repository", "This field is required."),
            (json!({"dispatch_interval": "none"}), "dispatch_interval", "Give an interval or a cron expression."),
            (json!({"cron": "0 3 * * *"}), "cron", "Give an interval or a cron expression, not both."),
            (json!({"dispatch_interval": "soon"}), "dispatch_interval", "Duration has wrong format. Use one of these formats instead: [DD] [HH:[MM:]]ss[.uuuuuu]."),
            (json!({"dispatch_interval": "00:00:59"}), "dispatch_interval", "It must be a minute at least, and ten years at most."),
            (json!({"dispatch_interval": "none", "cron": "61 * * * *"}), "cron", "'61 * * * *' is no cron expression: '61' is no minute (0-59)"),
            (json!({"jitter": 3_600}), "jitter", "It must be shorter than the interval."),
            (json!({"repository": shelf}), "repository", "Repositories of the type shelf.shelf cannot be synced."),
        ] {
            let refused = world.post(SCHEDULES, hourly(more)).await.with(400);
            assert_eq!(refused[field], json!([message]), "{refused}");
        }
        for (more, told) in [
            (json!({"options": {"mirror": "perhaps"}}), json!({"options": {"mirror": ["Must be a valid boolean."]}})),
            (json!({"options": {"depth": 1}}), json!({"options": {"depth": ["Unexpected field"]}})),
            (json!({"repository": bare}), json!({"options": {"remote": ["This field is required since a remote is not set on the repository."]}})),
        ] {
            assert_eq!(world.post(SCHEDULES, hourly(more)).await.with(400), told);
        }
        world.post(SCHEDULES, hourly(json!({}))).await.with(201);
        assert_eq!(world.post(SCHEDULES, hourly(json!({}))).await.with(400), json!({"name": ["This field must be unique."]}));
        assert_eq!(given.syncs().await.len(), 0, "nothing is dispatched by looking whether it could be");
    }

    async fn it_is_done_in_the_name_of_who_made_it_as_long_as_they_may(given: Timed) {
        let world = &given.world;
        let (repository, _) = given.repository("a").await;
        let ann = world.person("ann").await;
        let body = json!({"name": "hourly", "repository": repository, "dispatch_interval": "3600"});
        ann.ask(Method::POST, SCHEDULES, Some(body.clone())).await.with(403);
        let role = |role: &str, object: Option<&str>| json!({"role": role, "content_object": object});
        let roles = "users/2/roles/";
        world.post(roles, role("core.taskschedule_creator", None)).await.with(201);
        // She does not even see the repository.
        let refused = ann.ask(Method::POST, SCHEDULES, Some(body.clone())).await.with(400);
        assert_eq!(refused, json!({"repository": ["Invalid hyperlink - Object does not exist."]}));
        world.post(roles, role("file.filerepository_viewer", Some(&repository))).await.with(201);
        ann.ask(Method::POST, SCHEDULES, Some(body.clone())).await.with(403);
        let owner = world.post(roles, role("file.filerepository_owner", Some(&repository))).await.with(201);
        let href = ann.ask(Method::POST, SCHEDULES, Some(body)).await.with(201)["pulp_href"].as_str().unwrap().to_owned();
        given.after(61).await;
        let sync = given.syncs().await.remove(0);
        assert_eq!(sync["created_by"], "/pulp/api/v3/users/2/");
        ann.ask(Method::GET, sync["pulp_href"].as_str().unwrap(), None).await.with(200);
        world.patch(sync["pulp_href"].as_str().unwrap(), json!({"state": "canceled"})).await.with(200);

        world.delete(owner["pulp_href"].as_str().unwrap()).await.with(204);
        given.after(61).await;
        let now = ann.ask(Method::GET, &href, None).await.with(200);
        assert_eq!((&now["enabled"], &now["next_dispatch"]), (&json!(false), &json!(null)));
        assert_eq!(now["last_error"], "The user ann may not sync the repository any more.");
        assert_eq!(given.syncs().await.len(), 1);
        ann.ask(Method::PATCH, &href, Some(json!({"enabled": true}))).await.with(403);
        // Whoever changes it takes it over.
        let taken = world.patch(&href, json!({"enabled": true})).await.with(200);
        assert_eq!((&taken["created_by"], &taken["last_error"]), (&json!("/pulp/api/v3/users/1/"), &json!(null)));
        given.after(61).await;
        assert_eq!(given.syncs().await[1]["created_by"], "/pulp/api/v3/users/1/");
        ann.ask(Method::DELETE, &href, None).await.with(204);
    }

    async fn a_turn_that_cannot_be_taken_says_why(given: Timed) {
        let world = &given.world;
        let (repository, _) = given.repository("a").await;
        let body = json!({"name": "hourly", "repository": repository, "dispatch_interval": "3600"});
        let href = world.post(SCHEDULES, body).await.with(201)["pulp_href"].as_str().unwrap().to_owned();
        let remote = world.get(&repository).await.with(200)["remote"].clone();
        let changed = world.patch(&repository, json!({"remote": null})).await;
        world.task(&changed);
        given.after(61).await;
        let now = world.get(&href).await.with(200);
        assert_eq!((&now["enabled"], &now["next_dispatch"]), (&json!(true), &json!("2026-01-01T02:00:00Z")));
        assert_eq!(now["last_error"], "remote: This field is required since a remote is not set on the repository.");
        world.task(&world.patch(&repository, json!({"remote": remote})).await);
        given.after(60).await;
        assert_eq!(world.get(&href).await.with(200)["last_error"], json!(null));
        assert_eq!(given.syncs().await.len(), 1);
        // A schedule goes with its repository.
        world.patch(given.syncs().await[0]["pulp_href"].as_str().unwrap(), json!({"state": "canceled"})).await.with(200);
        let deleted = world.task(&world.delete(&repository).await);
        assert_eq!(world.ended(&deleted).await["state"], "completed");
        world.get(&href).await.with(404);
    }
}
