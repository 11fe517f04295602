//! Making, reading, changing and removing objects.

use http::Method;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::both_databases;
use serde_json::json;

use super::world::{DISTRIBUTIONS, REMOTES, REPOSITORIES, World, nowhere, prn};

both_databases! {
    async fn a_repository_shows_what_it_is(world: World) {
        let answer = world.post(REPOSITORIES, json!({"name": "a", "description": "x", "pulp_labels": {"k": "v", "n": null}})).await;
        let made = answer.with(201);
        let href = made["pulp_href"].as_str().unwrap();
        assert_eq!(answer.header("location"), Some(href));
        let id = href.trim_end_matches('/').rsplit('/').next().unwrap();
        assert_eq!(href, format!("/pulp/api/v3/repositories/shelf/shelf/{id}/"));
        assert_eq!(made["prn"], format!("prn:shelf.shelfrepository:{id}"));
        assert_eq!(made["versions_href"], format!("{href}versions/"));
        assert_eq!(made["latest_version_href"], format!("{href}versions/0/"));
        assert_eq!(made["manifest"], "LIST");
        assert_eq!(made["autopublish"], false);
        assert_eq!(made["pulp_labels"], json!({"k": "v", "n": null}));
        assert!(made["remote"].is_null() && made["retain_repo_versions"].is_null());
        assert_eq!(made["pulp_created"].as_str().map(str::len), Some("2026-11-22T10:41:25.031850Z".len()));
        assert_eq!(world.get(href).await.with(200), made);
        let fields: Vec<&str> = made.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, [
            "pulp_href", "prn", "pulp_created", "pulp_last_updated", "versions_href", "pulp_labels", "latest_version_href", "name",
            "description", "retain_repo_versions", "retain_checkpoints", "remote", "autopublish", "manifest",
        ]);
    }

    async fn secrets_are_told_only_as_set(world: World) {
        let body = json!({"name": "r", "url": "http://x/", "username": "u", "password": " p ", "total_timeout": 5, "headers": [{"a": "b"}]});
        let made = world.post(REMOTES, body).await.with(201);
        let text = made.to_string();
        assert!(!text.contains("\"username\":") && !text.contains(" p "), "{text}");
        let set: Vec<_> = made["hidden_fields"].as_array().unwrap().iter().filter(|field| field["is_set"] == true).map(|field| &field["name"]).collect();
        assert_eq!(set, ["username", "password"]);
        assert_eq!(made["total_timeout"], 5.0);
        assert_eq!(made["headers"], json!([{"a": "b"}]));
        assert_eq!(made["policy"], "immediate");
        // At rest it is encrypted, and it comes back as it was, spaces included.
        let sql = Sql::new("select password from core_remote where pulp_id = $1").bind(prn(&made).id);
        let stored: String = world.pulp().db().scalar(sql).await.unwrap();
        assert!(!stored.contains('p') || stored.len() > 50, "{stored}");
        assert_eq!(world.pulp().unseal(&stored).unwrap().expose(), " p ");
        let href = made["pulp_href"].as_str().unwrap();
        world.task(&world.patch(href, json!({"password": null})).await);
        let after = world.get(href).await.with(200);
        assert_eq!(after["hidden_fields"][4], json!({"name": "password", "is_set": false}));
    }

    async fn a_change_goes_through_a_task_and_no_change_through_none(world: World) {
        let href = world.repository("a").await;
        let answer = world.patch(&href, json!({"description": "y"})).await;
        let task = world.get(&world.task(&answer)).await.with(200);
        assert_eq!(task["name"], "pulpcore.app.tasks.base.ageneral_update");
        assert_eq!(task["state"], "completed");
        assert_eq!(task["result"]["description"], "y");
        let current = world.get(&href).await.with(200);
        assert_eq!(current["description"], "y");
        assert_eq!(task["reserved_resources_record"][0], current["prn"]);
        assert_eq!(task["created_by"], "/pulp/api/v3/users/1/");
        // The same again changes nothing.
        assert_eq!(world.patch(&href, json!({"description": "y"})).await.with(200), current);
        assert_eq!(world.patch(&href, json!({})).await.with(200), current);
        // PUT leaves what it does not name, and wants what is required.
        assert_eq!(world.put(&href, json!({"name": "a"})).await.with(200), current);
        assert_eq!(world.put(&href, json!({})).await.with(400), json!({"name": ["This field is required."]}));
    }

    async fn relations_are_hrefs_or_prns(world: World) {
        let remote = world.remote("r").await;
        let remote_prn = world.get(&remote).await.with(200)["prn"].clone();
        for (name, given) in [("by-href", json!(remote)), ("by-prn", remote_prn), ("by-url", json!(format!("http://pulp.example{remote}")))] {
            let made = world.post(REPOSITORIES, json!({"name": name, "remote": given})).await.with(201);
            assert_eq!(made["remote"], remote, "{name}");
        }
        // The remote goes, the repositories stay.
        world.task(&world.delete(&remote).await);
        world.get(&remote).await.with(404);
        let list = world.get(&format!("{REPOSITORIES}?remote=null")).await.with(200);
        assert_eq!(list["count"], 3);
    }

    async fn a_distribution_is_made_by_a_task(world: World) {
        let repository = world.repository("a").await;
        let answer = world.post(DISTRIBUTIONS, json!({"name": "d", "base_path": "x/y", "repository": repository})).await;
        let made = world.made(&answer).await;
        assert_eq!(made["base_url"], "/pulp/content/x/y/");
        assert_eq!(made["repository"], repository);
        assert_eq!(made["hidden"], false);
        let href = made["pulp_href"].as_str().unwrap();
        let version = format!("{repository}versions/0/");
        world.task(&world.patch(href, json!({"repository": null, "repository_version": version})).await);
        let after = world.get(href).await.with(200);
        assert_eq!(after["repository_version"], version);
        assert!(after["repository"].is_null());
        let refused = world.patch(href, json!({"repository": repository})).await.with(400);
        assert_eq!(refused, json!({"non_field_errors": ["Only one of the attributes 'repository' and 'repository_version' may be used simultaneously."]}));
        world.task(&world.delete(href).await);
        world.get(href).await.with(404);
    }

    async fn a_repository_goes_with_its_versions(world: World) {
        let href = world.repository("a").await;
        let version = world.get(&format!("{href}versions/0/")).await.with(200);
        assert_eq!(version["number"], 0);
        assert_eq!(version["repository"], href);
        assert_eq!(version["content_summary"], json!({"added": {}, "removed": {}, "present": {}}));
        assert_eq!(version["pulp_href"], format!("{href}versions/0/"));
        assert_eq!(world.get(&format!("{href}versions/")).await.with(200)["results"], json!([version]));
        assert_eq!(world.get("repository_versions/").await.with(200)["count"], 1);
        assert_eq!(world.get(&format!("{href}versions/1/")).await.with(404), json!({"detail": "No RepositoryVersion matches the given query."}));
        assert_eq!(world.get(&format!("{href}versions/x/")).await.with(404), json!({"detail": "Not found."}));
        // The only version stays.
        let task = world.task(&world.delete(&format!("{href}versions/0/")).await);
        let task = world.ended(&task).await;
        assert_eq!(task["state"], "failed", "{task:#}");
        assert!(task["error"]["description"].as_str().unwrap().contains("at least one"), "{task:#}");
        world.ended(&world.task(&world.delete(&href).await)).await;
        assert_eq!(world.get(&href).await.with(404), json!({"detail": "No ShelfRepository matches the given query."}));
        assert_eq!(world.get("repository_versions/").await.with(200)["count"], 0);
    }

    async fn labels_are_set_and_unset(world: World) {
        let href = world.remote("r").await;
        let set = format!("{href}set_label/");
        let unset = format!("{href}unset_label/");
        assert_eq!(world.post(&set, json!({"key": "a", "value": "b"})).await.with(201), json!({"key": "a", "value": "b"}));
        assert_eq!(world.get(&href).await.with(200)["pulp_labels"], json!({"a": "b"}));
        assert_eq!(world.post(&set, json!({"key": "a"})).await.with(400), json!({"value": ["This field is required."]}));
        assert_eq!(world.post(&set, json!({"key": "a,b", "value": null})).await.with(400), json!({"non_field_errors": [
            "Key 'a,b' contains invalid characters. Only alphanumerics, underscores, spaces, hyphens, and dots are allowed."
        ]}));
        assert_eq!(world.post(&set, json!({"key": "a b", "value": "x(y)"})).await.with(400), json!({"non_field_errors": ["Key 'a b' contains value with parenthesis."]}));
        assert_eq!(world.post(&set, json!({"key": "n", "value": null})).await.with(201), json!({"key": "n", "value": null}));
        assert_eq!(world.post(&unset, json!({"key": "zz"})).await.with(400), json!({"key": ["Label 'zz' is not set on the object."]}));
        assert_eq!(world.post(&unset, json!({"key": "a"})).await.with(201), json!({"key": "a", "value": "b"}));
        assert_eq!(world.get(&href).await.with(200)["pulp_labels"], json!({"n": null}));
    }

    async fn actions_get_their_validated_body(world: World) {
        let href = world.repository("a").await;
        let remote = world.remote("r").await;
        let id = prn(&world.get(&href).await.json()).id;
        let remote_id = prn(&world.get(&remote).await.json()).id;
        let echo = format!("{href}echo/");
        assert_eq!(world.post(&echo, json!({"word": " hi ", "remote": remote})).await.with(200), json!({"id": id, "word": "hi", "remote": remote_id}));
        assert_eq!(world.post(&echo, json!({})).await.with(400), json!({"word": ["This field is required."]}));
        assert_eq!(world.post(&echo, json!({"word": "x", "y": 1})).await.with(400), json!({"y": ["Unexpected field"]}));
        world.post(&format!("{}echo/", nowhere(REPOSITORIES)), json!({"word": "x"})).await.with(404);
        let get = world.get(&echo).await;
        assert_eq!(get.with(405), json!({"detail": "Method \"GET\" not allowed."}));
        assert_eq!(get.header("allow"), Some("POST, OPTIONS"));
    }

    async fn two_of_one_name_at_once_make_one(world: World) {
        let make = || world.post(REPOSITORIES, json!({"name": "same"}));
        let answers = futures::future::join_all((0..8).map(|_| make())).await;
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1);
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!(refused.with(400), json!({"name": ["This field must be unique."]}));
        }
    }

    async fn paths_that_lead_nowhere_say_so(world: World) {
        assert_eq!(world.get("nope/").await.status, 404);
        assert_eq!(world.get(&format!("{REPOSITORIES}x/")).await.with(404), json!({"detail": "Not found."}));
        assert_eq!(world.get(&nowhere(REPOSITORIES)).await.with(404), json!({"detail": "No ShelfRepository matches the given query."}));
        // An id of another type is no object of this one.
        let remote = world.remote("r").await;
        let wrong = remote.replace("remotes/", "repositories/");
        assert_eq!(world.get(&wrong).await.with(404), json!({"detail": "No ShelfRepository matches the given query."}));
        let moved = world.get("repositories/shelf/shelf").await;
        assert_eq!((moved.status, moved.header("location")), (301, Some("/pulp/api/v3/repositories/shelf/shelf/")));
        let method = world.call(Method::DELETE, REPOSITORIES, None).await;
        assert_eq!(method.with(405), json!({"detail": "Method \"DELETE\" not allowed."}));
        assert_eq!(method.header("allow"), Some("GET, POST, HEAD, OPTIONS"));
        let head = world.call(Method::HEAD, REPOSITORIES, None).await;
        assert_eq!((head.status, head.bytes.len()), (200, 0));
    }
}
