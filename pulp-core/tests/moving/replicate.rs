//! Replication, from a second Pulp in this process.

use pulp_testkit::both_databases;
use serde_json::{Value, json};

use crate::world::{World, href};

const DISTRIBUTIONS: &str = "distributions/file/file/";

impl World {
    async fn distribute(&self, name: &str, serves: Value) -> String {
        let mut body = json!({"name": name, "base_path": format!("at/{name}")});
        body.as_object_mut().unwrap().extend(serves.as_object().unwrap().clone());
        let task = self.client.wait(self.client.post(DISTRIBUTIONS, body).await).await;
        task["created_resources"][0].as_str().unwrap().to_owned()
    }

    /// An upstream that is this Pulp's `of`.
    async fn upstream(&self, of: &Self, fields: Value) -> String {
        let mut body =
            json!({"name": "up", "base_url": of.server.url(), "api_root": "/pulp/", "username": "admin", "password": "password"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        href(&self.client.create("upstream-pulps/", body).await).to_owned()
    }

    async fn replicate(&self, upstream: &str, body: Value) -> Vec<(String, String, String)> {
        self.group(self.client.post(&format!("{upstream}replicate/"), body).await).await
    }

    async fn distributed(&self) -> Vec<String> {
        let all = self.client.list(&format!("{DISTRIBUTIONS}?ordering=name")).await;
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }
}

fn names(tasks: &[(String, String, String)]) -> Vec<&str> {
    tasks.iter().map(|(name, _, _)| name.as_str()).collect()
}

fn completed(tasks: &[(String, String, String)]) {
    assert!(tasks.iter().all(|(_, state, _)| state == "completed"), "{tasks:?}");
}

both_databases! {
    async fn what_another_pulp_distributes_is_distributed_here(world: World) {
        let there = world.another().await;
        let repository = there.repository("r", &[("a", "one"), ("d/b", "two")]).await;
        there.distribute("isos", json!({"repository": href(&repository)})).await;
        there.distribute("empty", json!({})).await;
        let upstream = world.upstream(&there, json!({"remote_policy": "on_demand", "total_timeout": 60.0, "max_retries": 1})).await;
        let shown = world.client.get(&upstream).await;
        assert_eq!(shown["hidden_fields"][1], json!({"name": "username", "is_set": true}));
        assert_eq!((&shown["policy"], &shown["last_replication"]), (&json!("all"), &Value::Null));
        let tasks = world.replicate(&upstream, json!({})).await;
        completed(&tasks);
        assert_eq!(names(&tasks), ["finalize_replication", "general_create", "replicate_distributions", "synchronize"]);

        let here = world.named(DISTRIBUTIONS, "isos").await;
        let label = upstream.trim_end_matches('/').rsplit('/').next().unwrap();
        assert_eq!(here["pulp_labels"], json!({"UpstreamPulp": label}));
        assert_eq!((&here["base_path"], &here["repository"]), (&json!("at/isos"), &Value::Null));
        let version = here["repository_version"].as_str().unwrap();
        assert_eq!(world.paths(version).await, ["a", "d/b"]);
        let remote = world.named("remotes/file/file/", "isos").await;
        assert_eq!(remote["url"], format!("{}/pulp/content/at/isos/PULP_MANIFEST", there.server.url()));
        assert_eq!((&remote["policy"], &remote["total_timeout"], &remote["max_retries"]), (&json!("on_demand"), &json!(60.0), &json!(1)));
        assert_eq!(world.client.try_get("/pulp/content/at/isos/d/b").await.text(), "two");
        assert_eq!(world.distributed().await, ["isos"]);
        assert!(world.client.get(&upstream).await["last_replication"].is_string());
    }

    async fn what_has_not_changed_is_not_fetched(world: World) {
        let there = world.another().await;
        let repository = there.repository("r", &[("a", "one")]).await;
        let publication = |of: Value| { let (client, of) = (&there.client, href(&of).to_owned()); async move {
            let mut all = client.list(&format!("publications/file/file/?repository={of}&ordering=-pulp_created")).await;
            all.remove(0)["pulp_href"].clone()
        }};
        let distribution = there.distribute("isos", json!({"publication": publication(repository.clone()).await})).await;
        let upstream = world.upstream(&there, json!({})).await;
        completed(&world.replicate(&upstream, json!({})).await);
        let first = world.client.get(&upstream).await["last_replication"].clone();
        let again = world.replicate(&upstream, json!({})).await;
        completed(&again);
        assert_eq!(names(&again), ["finalize_replication", "replicate_distributions"]);
        let second = world.client.get(&upstream).await["last_replication"].clone();
        assert!(second.as_str() > first.as_str(), "{first} {second}");
        // Another remote policy is a change, too.
        world.client.patch(&upstream, json!({"remote_policy": "streamed"})).await.with(200);
        assert!(names(&world.replicate(&upstream, json!({})).await).contains(&"synchronize"));

        there.add(href(&repository), &[("b", "two")]).await;
        let newer = publication(repository.clone()).await;
        there.client.wait(there.client.patch(&distribution, json!({"publication": newer})).await).await;
        let tasks = world.replicate(&upstream, json!({})).await;
        completed(&tasks);
        assert!(names(&tasks).contains(&"synchronize"), "{tasks:?}");
        let here = world.named(DISTRIBUTIONS, "isos").await;
        assert_eq!(world.paths(here["repository_version"].as_str().unwrap()).await, ["a", "b"]);
    }

    async fn the_policy_says_what_is_removed(world: World) {
        let there = world.another().await;
        let repository = there.repository("r", &[("a", "one")]).await;
        let serves = json!({"repository": href(&repository)});
        let cases = [
            ("nodelete", &["a0", "a1", "own"][..], &["a0", "a1", "own"][..]),
            ("labeled", &["a0", "a1", "own"], &["a0", "own"]),
            ("all", &["a0", "a1"], &["a0"]),
        ];
        for (policy, first, second) in cases {
            let here = world.another().await;
            there.distribute("a0", serves.clone()).await;
            let vanishing = there.distribute("a1", serves.clone()).await;
            here.distribute("own", json!({})).await;
            let upstream = here.upstream(&there, json!({"policy": policy})).await;
            completed(&here.replicate(&upstream, json!({})).await);
            assert_eq!(here.distributed().await, first, "{policy}");
            there.client.wait(there.client.delete(&vanishing).await).await;
            completed(&here.replicate(&upstream, json!({})).await);
            assert_eq!(here.distributed().await, second, "{policy}");
            let repositories = here.client.list("repositories/file/file/").await.len();
            assert_eq!(repositories, if policy == "nodelete" { 2 } else { 1 }, "{policy}");
            for distribution in there.client.list(DISTRIBUTIONS).await {
                there.client.wait(there.client.delete(href(&distribution)).await).await;
            }
        }
    }

    async fn some_are_selected(world: World) {
        let there = world.another().await;
        let repository = there.repository("r", &[("a", "one")]).await;
        for at in 0..4 {
            let parity = if at % 2 == 0 { "even" } else { "odd" };
            let labels = json!({"number": at.to_string(), parity: ""});
            there.distribute(&at.to_string(), json!({"repository": href(&repository), "pulp_labels": labels})).await;
        }
        let upstream = world.upstream(&there, json!({"q_select": "pulp_label_select='number=1' OR pulp_label_select='number=2'"})).await;
        completed(&world.replicate(&upstream, json!({})).await);
        assert_eq!(world.distributed().await, ["1", "2"]);
        let before = world.client.get(&upstream).await["last_replication"].clone();
        // For once: nothing is removed, and the next whole one does not start from it.
        completed(&world.replicate(&upstream, json!({"q_select": "pulp_label_select='odd'"})).await);
        assert_eq!(world.distributed().await, ["1", "2", "3"]);
        assert_eq!(world.client.get(&upstream).await["last_replication"], before);
        world.client.patch(&upstream, json!({"q_select": "pulp_label_select='even'"})).await.with(200);
        completed(&world.replicate(&upstream, json!({})).await);
        assert_eq!(world.distributed().await, ["0", "2"]);
        for (bad, message) in [("invalid='x'", "Filter 'invalid' does not exist."), ("name='x' AND", "Syntax error in expression.")] {
            let refused = json!({"q_select": [message]});
            assert_eq!(world.client.patch(&upstream, json!({"q_select": bad})).await.with(400), refused);
            assert_eq!(world.client.post(&format!("{upstream}replicate/"), json!({"q_select": bad})).await.with(400), refused);
        }
    }

    async fn distributions_switch_together_or_not_at_all(world: World) {
        let there = world.another().await;
        let (good, bad) = (there.repository("good", &[("a", "one")]).await, there.client.create("repositories/file/file/", json!({"name": "bad"})).await);
        there.distribute("good", json!({"repository": href(&good)})).await;
        there.distribute("bad", json!({"repository": href(&bad)})).await;
        // What has the path already is the one that is meant.
        let own = world.client.wait(world.client.post(DISTRIBUTIONS, json!({"name": "own", "base_path": "at/good"})).await).await;
        let own = own["created_resources"][0].as_str().unwrap().to_owned();
        let upstream = world.upstream(&there, json!({})).await;
        let tasks = world.replicate(&upstream, json!({})).await;
        let last = tasks.iter().find(|(name, _, _)| name == "finalize_replication").unwrap();
        assert!(last.2.starts_with("[PLP0018] Replication failed: 1 subtask(s) did not complete successfully:\n  pulp_file.app.tasks.synchronizing.synchronize: "), "{tasks:?}");
        assert_eq!(world.named(DISTRIBUTIONS, "good").await["repository_version"], Value::Null);
        assert_eq!(world.client.get(&upstream).await["last_replication"], Value::Null);

        there.add(href(&bad), &[("b", "two")]).await;
        there.client.wait(there.client.post("publications/file/file/", json!({"repository": href(&bad)})).await).await;
        completed(&world.replicate(&upstream, json!({})).await);
        let here = world.named(DISTRIBUTIONS, "good").await;
        assert_eq!(href(&here), own);
        assert_eq!(world.client.try_get("/pulp/content/at/good/a").await.text(), "one");
        assert_eq!(world.client.try_get("/pulp/content/at/bad/b").await.text(), "two");
    }
}
