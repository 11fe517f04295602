//! Which versions and checkpoints stay, what mirrors publish, and which distributions serve a unit.

use pulp_core::model::RepositoryVersion;
use pulp_core::version::Usage;
use pulp_testkit::client::created;
use pulp_testkit::{Upstream, both_databases};
use serde_json::{Value, json};

use super::world::{REPOSITORIES, World, href};

const DISTRIBUTIONS: &str = "distributions/file/file/";
const PUBLICATIONS: &str = "publications/file/file/";

/// The names in a list.
async fn names(world: &World, path: &str) -> Vec<String> {
    let mut names: Vec<String> = world.client.list(path).await.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

both_databases! {
    async fn a_version_that_is_served_cannot_be_deleted(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let (one, two) = (world.unit("one", "1").await, world.unit("two", "2").await);
        let first = world.add(&repository, &[&one]).await;
        let second = world.add(&repository, &[&two]).await;
        let in_use = json!([
            "The repository version cannot be deleted because it (or its publications) are currently being used to distribute content. Please update the necessary distributions first."
        ]);
        let distribution = client.create(DISTRIBUTIONS, json!({"name": "d", "base_path": "d", "repository_version": first})).await;
        assert_eq!(client.delete(&first).await.with(400), in_use);
        let publication = client.create(PUBLICATIONS, json!({"repository_version": first})).await;
        world.patch(href(&distribution), json!({"repository_version": null, "publication": href(&publication)})).await;
        assert_eq!(client.delete(&first).await.with(400), in_use);
        // It is the newest that is published.
        world.patch(href(&distribution), json!({"publication": null, "repository": href(&repository)})).await;
        assert_eq!(client.delete(&first).await.with(400), in_use);
        // Once another is, the first can go, though its files stay reachable for a while.
        client.create(PUBLICATIONS, json!({"repository_version": second})).await;
        client.wait(client.delete(&first).await).await;
        assert_eq!(world.numbers(&repository).await, [2, 0]);
        assert_eq!(client.delete(&second).await.with(400), in_use);
        assert_eq!(client.try_get(&first).await.with(404), json!({"detail": "No RepositoryVersion matches the given query."}));
    }

    async fn a_checkpoint_is_in_use_if_checkpoints_are_served(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let (one, two) = (world.unit("one", "1").await, world.unit("two", "2").await);
        let first = world.add(&repository, &[&one]).await;
        client.create(PUBLICATIONS, json!({"repository": href(&repository), "checkpoint": true})).await;
        world.add(&repository, &[&two]).await;
        client.create(DISTRIBUTIONS, json!({"name": "d", "base_path": "d", "repository": href(&repository), "checkpoint": true})).await;
        client.create(PUBLICATIONS, json!({"repository": href(&repository)})).await;
        client.delete(&first).await.with(400);
        let refused = client.post(PUBLICATIONS, json!({"repository_version": first, "checkpoint": true})).await;
        assert_eq!(refused.with(400), json!({"non_field_errors": ["'checkpoint' may only be used with 'repository'"]}));
    }

    async fn fewer_versions_are_kept_as_soon_as_that_is_said(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        for number in 1..=4 {
            let unit = world.unit(&format!("{number}"), "text").await;
            world.add(&repository, &[&unit]).await;
        }
        let second = format!("{}versions/2/", href(&repository));
        let distribution = client.create(DISTRIBUTIONS, json!({"name": "d", "base_path": "d", "repository_version": second})).await;
        world.patch(href(&repository), json!({"description": "four"})).await;
        assert_eq!(world.numbers(&repository).await, [4, 3, 2, 1, 0]);
        world.patch(href(&repository), json!({"retain_repo_versions": 2})).await;
        assert_eq!(world.numbers(&repository).await, [4, 3, 2], "what is served stays");
        client.wait(client.delete(href(&distribution)).await).await;
        world.patch(href(&repository), json!({"retain_repo_versions": 1})).await;
        assert_eq!(world.numbers(&repository).await, [4]);
        let summary = client.get(&format!("{}versions/4/", href(&repository))).await["content_summary"].clone();
        assert_eq!((&summary["added"]["file.file"]["count"], &summary["present"]["file.file"]["count"]), (&json!(4), &json!(4)));
    }

    async fn the_newest_checkpoints_are_kept(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let mut checkpoints: Vec<Value> = Vec::new();
        for _ in 0..3 {
            checkpoints.push(client.create(PUBLICATIONS, json!({"repository": href(&repository), "checkpoint": true})).await);
        }
        world.patch(href(&repository), json!({"retain_checkpoints": 2})).await;
        checkpoints.push(client.create(PUBLICATIONS, json!({"repository": href(&repository)})).await);
        checkpoints.push(client.create(PUBLICATIONS, json!({"repository": href(&repository), "checkpoint": true})).await);
        let mut kept = Vec::new();
        for publication in &checkpoints {
            kept.push(client.get(href(publication)).await["checkpoint"].as_bool().unwrap());
        }
        assert_eq!(kept, [false, false, true, false, true]);
    }

    async fn a_mirror_is_published_under_the_name_of_its_manifest(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("a", "1").manifest();
        let address = json!({"name": "r", "url": upstream.url("PULP_MANIFEST"), "policy": "on_demand"});
        let remote = client.create("remotes/file/file/", address).await;
        let repository = client.create(REPOSITORIES, json!({"name": "r", "manifest": "OTHER"})).await;
        let sync = format!("{}sync/", href(&repository));
        let body = json!({"remote": href(&remote), "mirror": true});
        let task = client.wait(client.post(&sync, body.clone()).await).await;
        let publication = client.get(&created(&task, "publications")).await;
        assert_eq!((&publication["manifest"], &task["result"]["number"]), (&json!("PULP_MANIFEST"), &json!(1)));
        let again = client.wait(client.post(&sync, body.clone()).await).await;
        assert_eq!(again["created_resources"], json!([]));
        world.patch(href(&repository), json!({"autopublish": true})).await;
        assert_eq!(client.post(&sync, body).await.with(400), json!(["Cannot use mirror mode with autopublished repository."]));
    }

    async fn only_versions_with_packages_can_be_scanned(world: World) {
        let policies = world.client.list("access_policies/").await;
        let actions = |of: &str| {
            let policy = policies.iter().find(|policy| policy["viewset_name"] == of)?;
            let rules = policy["statements"].as_array().unwrap();
            Some(rules.iter().flat_map(|rule| rule["action"].as_array().unwrap().clone()).collect::<Vec<_>>())
        };
        assert_eq!(actions("repositories/file/file/versions").unwrap(), ["list", "retrieve", "destroy", "repair"]);
        assert_eq!(actions("repositories/core/openpgp_keyring/versions"), None, "they are not shown at all");
    }

    async fn the_room_that_files_take_is_told(world: World) {
        let client = &world.client;
        let db = world.kit.pulp().db();
        let upstream = Upstream::start().await.file("a", "aaa").file("same", "aaa").file("c", "cc").manifest();
        let mirror = client.file_repo("isos").remote(&upstream).policy("on_demand").mirror().publish().distribute().await;
        let repository = world.add(&json!({"pulp_href": mirror.version.split("versions/").next().unwrap()}), &[&world.unit("mine", "mine").await]).await;
        let id = repository.split('/').nth(7).unwrap().parse().unwrap();
        let usage = async || {
            let mut all = vec![Usage::of_repository(db, id).await.unwrap()];
            for version in RepositoryVersion::all_of(db, id).await.unwrap() {
                all.push(Usage::of_version(db, &version).await.unwrap());
            }
            all.iter().map(|usage| (usage.stored, usage.remote)).collect::<Vec<_>>()
        };
        assert_eq!(usage().await, [(4, 8), (0, 0), (0, 8), (4, 8)]);
        assert_eq!(client.try_get(&mirror.path("a")).await.text(), "aaa");
        assert_eq!(client.get("artifacts/?limit=1").await["count"], 3, "with the manifest, and what was uploaded");
        assert_eq!(client.try_get(&mirror.path("same")).await.text(), "aaa");
        assert_eq!(usage().await, [(7, 2), (0, 0), (3, 2), (7, 2)], "one file counts once");
    }

    async fn distributions_are_found_by_what_they_serve(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let (one, two) = (world.unit("one", "1").await, world.unit("two", "2").await);
        let first = world.add(&repository, &[&one]).await;
        let second = world.add(&repository, &[&two]).await;
        for (name, points) in [
            ("repository", json!({"repository": href(&repository)})),
            ("version", json!({"repository_version": second})),
            ("nothing", json!({})),
        ] {
            let mut body = json!({"name": name, "base_path": name});
            body.as_object_mut().unwrap().extend(points.as_object().unwrap().clone());
            client.create(DISTRIBUTIONS, body).await;
        }
        let serving = |unit: String| format!("{DISTRIBUTIONS}?with_content={unit}");
        assert!(names(&world, &serving(one.clone())).await.is_empty(), "nothing is published");
        let publication = client.create(PUBLICATIONS, json!({"repository_version": first})).await;
        client.create(DISTRIBUTIONS, json!({"name": "publication", "base_path": "p", "publication": href(&publication)})).await;
        assert_eq!(names(&world, &serving(one.clone())).await, ["publication", "repository"]);
        assert!(names(&world, &serving(two.clone())).await.is_empty(), "what is newer than what is published is not served");
        client.create(PUBLICATIONS, json!({"repository_version": second})).await;
        assert_eq!(names(&world, &serving(one.clone())).await, ["publication", "repository", "version"]);
        assert_eq!(names(&world, &serving(two)).await, ["repository", "version"]);
        // An object of another kind is served by nobody; one that is gone is told.
        assert!(names(&world, &serving(href(&repository).to_owned())).await.is_empty());
        let gone = one.replace(&one[one.len() - 13..one.len() - 1], "000000000000");
        let refused = client.try_get(&serving(gone.clone())).await.with(400);
        assert_eq!(refused, json!([format!("URI {gone} not found for filecontent.")]));
    }
}
