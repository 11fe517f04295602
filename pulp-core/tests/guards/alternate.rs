//! Alternate content sources.

use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::{Fault, Upstream, both_databases};
use serde_json::{Value, json};

use crate::world::{World, href};

const SOURCES: &str = "acs/file/file/";
const REMOTES: &str = "remotes/file/file/";

async fn remote(world: &World, name: &str, url: &str, policy: &str) -> String {
    world.make(REMOTES, json!({"name": name, "url": url, "policy": policy})).await
}

/// Refreshes a source and waits for all of its tasks; their states.
async fn refresh(world: &World, source: &str) -> Vec<String> {
    let answer = world.client.post(&format!("{source}refresh/"), json!({})).await.with(202);
    let group = answer["task_group"].as_str().unwrap();
    let mut states = Vec::new();
    for task in world.client.get(group).await["tasks"].as_array().unwrap() {
        states.push(world.client.ended(href(task)).await["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(world.client.get(group).await["all_tasks_dispatched"], true);
    states
}

async fn hidden(world: &World) -> i64 {
    world.kit.pulp().db().scalar("select count(*) from core_repository where user_hidden").await.unwrap()
}

both_databases! {
    async fn a_sync_fetches_from_a_source_what_it_has(world: World) {
        let main = Upstream::start().await.file("a", "one").file("b", "two").file("c", "only here").manifest();
        // The same files under other paths: only digests count.
        let near = Upstream::start().await.file("x/1", "one").file("x/2", "two").manifest();
        let source = remote(&world, "near", &near.url("PULP_MANIFEST"), "on_demand").await;
        let source = world.make(SOURCES, json!({"name": "near", "remote": source})).await;
        assert_eq!(world.client.get(&source).await["paths"], json!([""]));
        assert_eq!(refresh(&world, &source).await, ["completed"]);
        assert!(world.client.get(&source).await["last_refreshed"].is_string());
        assert_eq!(near.requests().len(), 1, "only the manifest is looked at");

        let remote = remote(&world, "main", &main.url("PULP_MANIFEST"), "immediate").await;
        let repository = world.make("repositories/file/file/", json!({"name": "r"})).await;
        world.client.wait(world.client.post(&format!("{repository}sync/"), json!({"remote": remote})).await).await;
        assert_eq!((main.hits("a"), main.hits("b"), main.hits("c")), (0, 0, 1));
        assert_eq!((near.hits("x/1"), near.hits("x/2")), (1, 1));
        assert_eq!(world.client.list("repositories/").await.len(), 1, "what a source has is noted out of sight");
        assert_eq!(world.client.list("repositories/file/file/").await.len(), 1);
    }

    async fn a_source_that_fails_is_replaced_by_the_upstream(world: World) {
        let files = ["a", "b", "c", "d", "e"];
        let with_files = |upstream: Upstream| files.into_iter().fold(upstream, |upstream, name| upstream.file(name, format!("file {name}"))).manifest();
        let main = with_files(Upstream::start().await);
        let near = with_files(Upstream::start().await);
        let source = remote(&world, "near", &near.url("PULP_MANIFEST"), "on_demand").await;
        let source = world.make(SOURCES, json!({"name": "near", "remote": source})).await;
        refresh(&world, &source).await;
        let near = files.into_iter().fold(near, |near, name| near.fault(name, Fault::Status(404)));
        near.forget();
        let remote = world.make(REMOTES, json!({"name": "main", "url": main.url("PULP_MANIFEST"), "download_concurrency": 1})).await;
        let repository = world.make("repositories/file/file/", json!({"name": "r"})).await;
        world.client.wait(world.client.post(&format!("{repository}sync/"), json!({"remote": remote})).await).await;
        assert!(files.iter().all(|name| main.hits(name) == 1));
        assert_eq!(near.requests().len(), 3, "after three failures in a row it is left alone");
    }

    async fn lazy_content_comes_from_a_source_first(world: World) {
        let main = Upstream::start().await.file("a", "one").manifest();
        let near = Upstream::start().await.file("a", "one").manifest();
        let source = remote(&world, "near", &near.url("PULP_MANIFEST"), "on_demand").await;
        let source = world.make(SOURCES, json!({"name": "near", "remote": source})).await;
        refresh(&world, &source).await;
        let served = world.client.file_repo("isos").remote(&main).policy("on_demand").sync().publish().distribute().await;
        assert_eq!(world.client.try_get(&served.path("a")).await.text(), "one");
        assert_eq!((main.hits("a"), near.hits("a")), (0, 1));
    }

    async fn paths_are_looked_at_one_by_one_and_kept_unless_changed(world: World) {
        let near = Upstream::start().await.file("one/PULP_MANIFEST", "").file("two/PULP_MANIFEST", "");
        let source = remote(&world, "near", &near.url(""), "on_demand").await;
        let paths = json!(["one/PULP_MANIFEST", "two/PULP_MANIFEST", "three/PULP_MANIFEST"]);
        let source = world.make(SOURCES, json!({"name": "near", "remote": source, "paths": paths})).await;
        let mut states = refresh(&world, &source).await;
        states.sort();
        assert_eq!(states, ["completed", "completed", "failed"]);
        assert_eq!(hidden(&world).await, 3);
        world.client.patch(&source, json!({"name": "far"})).await.ok();
        assert_eq!(world.client.get(&source).await["paths"], paths);
        let answer = world.client.patch(&source, json!({"paths": ["two/PULP_MANIFEST", "four", "four"]})).await;
        world.client.wait(answer).await;
        assert_eq!(world.client.get(&source).await["paths"], json!(["two/PULP_MANIFEST", "four"]));
        assert_eq!(hidden(&world).await, 1);
        world.client.wait(world.client.delete(&source).await).await;
        assert_eq!(hidden(&world).await, 0);
        world.client.try_get(&source).await.with(404);
    }

    async fn what_is_no_source_is_refused(world: World) {
        let refused = async |body: Value| world.client.post(SOURCES, body).await.with(400);
        let required = json!({"name": ["This field is required."], "remote": ["This field is required."]});
        assert_eq!(refused(json!({})).await, required);
        let eager = remote(&world, "eager", "http://127.0.0.1:1/", "immediate").await;
        let policy = json!({"remote": ["Remote used with alternate content source must have the 'on_demand' policy."]});
        assert_eq!(refused(json!({"name": "a", "remote": eager})).await, policy);
        let lazy = remote(&world, "lazy", "http://127.0.0.1:1/", "on_demand").await;
        let slash = json!({"paths": ["Path cannot start with a slash."]});
        assert_eq!(refused(json!({"name": "a", "remote": lazy, "paths": ["a", "/b"]})).await, slash);
        let source = world.make(SOURCES, json!({"name": "a", "remote": lazy, "last_refreshed": "2020-01-01T00:00:00Z"})).await;
        assert_eq!(world.client.get(&source).await["last_refreshed"], Value::Null);
        assert_eq!(refused(json!({"name": "a", "remote": lazy})).await, json!({"name": ["This field must be unique."]}));
        let failure = world.client.failure(world.client.delete(&lazy).await).await;
        assert!(failure.contains("refers"), "{failure}");
        let count = Sql::new("select count(*) from core_alternatecontentsource");
        assert_eq!(world.kit.pulp().db().scalar::<i64>(count).await.unwrap(), 1);
    }
}
