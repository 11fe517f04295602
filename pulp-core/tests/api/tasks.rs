//! Tasks over the API.

use pulp_testkit::both_databases;
use serde_json::json;

use super::world::{DISTRIBUTIONS, World, nowhere};

both_databases! {
    async fn tasks_are_found_by_what_they_are(world: World) {
        let repository = world.repository("a").await;
        let remote = world.remote("r").await;
        world.task(&world.patch(&repository, json!({"description": "x"})).await);
        world.task(&world.patch(&remote, json!({"url": "http://y/"})).await);
        let made = world.made(&world.post(DISTRIBUTIONS, json!({"name": "d", "base_path": "d"})).await).await;
        let count = async |query: &str| world.get(&format!("tasks/?{query}")).await.with(200)["count"].clone();
        let prn = world.get(&repository).await.json()["prn"].as_str().unwrap().to_owned();
        for (query, wanted) in [
            ("state=completed".to_owned(), 3),
            ("state__ne=completed".to_owned(), 0),
            ("state__in=completed,foo".to_owned(), 3),
            ("name=pulpcore.app.tasks.base.ageneral_update".to_owned(), 2),
            ("name__contains=general_create".to_owned(), 1),
            ("name__ne=pulpcore.app.tasks.base.ageneral_update".to_owned(), 1),
            (format!("reserved_resources={repository}"), 1),
            (format!("exclusive_resources={prn}"), 1),
            (format!("exclusive_resources__in={repository},{remote}"), 0),
            (format!("exclusive_resources__in={repository},{prn}"), 1),
            (format!("shared_resources={repository}"), 0),
            ("reserved_resources=x".to_owned(), 0),
            (format!("created_resources={}", made["pulp_href"].as_str().unwrap()), 1),
            (format!("created_resources={}", made["prn"].as_str().unwrap()), 1),
            ("worker=x".to_owned(), 0),
            ("started_at__isnull=false".to_owned(), 3),
            ("finished_at__gt=2020-01-01".to_owned(), 3),
        ] {
            assert_eq!(count(&query).await, wanted, "{query}");
        }
        for (query, wanted) in [
            ("state=foo", json!({"state": ["Select a valid choice. foo is not one of the available choices."]})),
            ("pulp_created__gt=foo", json!({"pulp_created__gt": ["Enter a valid date/time."]})),
            ("parent_task=x", json!(["URI couldn't be resolved: x"])),
            ("created_resources=x", json!(["URI not valid: x"])),
        ] {
            assert_eq!(world.get(&format!("tasks/?{query}")).await.with(400), wanted, "{query}");
        }
    }

    async fn a_task_that_has_ended_is_not_canceled_but_deleted(world: World) {
        let repository = world.repository("a").await;
        let href = world.task(&world.patch(&repository, json!({"description": "x"})).await);
        assert_eq!(world.patch(&href, json!({})).await.with(400), json!({"state": ["This field is required."]}));
        assert_eq!(world.patch(&href, json!({"state": "foo"})).await.with(400), json!({"state": ["The only acceptable value for 'state' is 'canceled'."]}));
        let refused = world.patch(&href, json!({"state": "canceled"})).await.with(409);
        assert_eq!((&refused["pulp_href"], &refused["state"]), (&json!(href), &json!("completed")));
        world.delete(&href).await.with(204);
        assert_eq!(world.get(&href).await.with(404), json!({"detail": "No Task matches the given query."}));
        world.patch(&nowhere("tasks/"), json!({"state": "canceled"})).await.with(404);
    }

    async fn a_waiting_task_is_canceled(world: World) {
        let repository = world.repository("a").await;
        // No worker runs here.
        let href = world.task(&world.delete(&repository).await);
        assert_eq!(world.get(&href).await.with(200)["state"], "waiting");
        assert_eq!(world.delete(&href).await.status, 409);
        let canceled = world.patch(&href, json!({"state": "canceled"})).await.with(200);
        assert_eq!(canceled["state"], "canceled");
        world.get(&repository).await.with(200);
    }

    async fn purging_checks_what_it_is_asked(world: World) {
        assert_eq!(world.post("tasks/purge/", json!({"states": ["completed", "foo"]})).await.with(400), json!({"states": ["\"foo\" is not a valid choice."]}));
        assert_eq!(world.post("tasks/purge/", json!({"states": ["waiting"]})).await.with(400), json!({"states": ["\"waiting\" is not a valid choice."]}));
        assert_eq!(world.post("tasks/purge/", json!({"finished_before": "x"})).await.with(400), json!({"finished_before": [
            "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
        ]}));
        let repository = world.repository("a").await;
        let done = world.task(&world.patch(&repository, json!({"description": "x"})).await);
        let purge = world.task(&world.post("tasks/purge/", json!({"finished_before": "2999-01-01"})).await);
        assert_eq!(world.ended(&purge).await["state"], "completed");
        world.get(&done).await.with(404);
    }
}
