//! Versions compared, versions made of versions, and who holds which bytes.

use pulp_testkit::both_databases;
use pulp_testkit::client::created;
use serde_json::{Value, json};

use super::world::{FILES, REPOSITORIES, World, href, paths};

/// The changes that an answer tells of, as `+path` and `-path`.
fn changes(answer: &Value) -> Vec<String> {
    let sign = |unit: &Value| if unit["change"] == "added" { '+' } else { '-' };
    let units = answer["changes"].as_array().unwrap();
    units.iter().map(|unit| format!("{}{}", sign(unit), unit["files"][0]["relative_path"].as_str().unwrap())).collect()
}

async fn compose(world: &World, repository: &Value, body: Value) -> Value {
    world.client.wait(world.client.post(&format!("{}compose/", href(repository)), body).await).await
}

both_databases! {
    async fn two_versions_are_compared(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let (one, two, three) = (world.unit("one", "1").await, world.unit("two", "2").await, world.unit("three", "3").await);
        let first = world.add(&repository, &[&one, &two]).await;
        let modify = json!({"add_content_units": [three], "remove_content_units": [one]});
        let second = created(&client.wait(client.post(&format!("{}modify/", href(&repository)), modify).await).await, "versions");
        // By default with the version before, else with any other.
        let forward = client.get(&format!("{second}diff/")).await;
        assert_eq!(changes(&forward), ["-one", "+three"]);
        assert_eq!((&forward["base_version"], &forward["repository_version"]), (&json!(first), &json!(second)));
        assert_eq!((&forward["added"], &forward["removed"]), (&json!({"file.file": {"count": 1}}), &json!({"file.file": {"count": 1}})));
        let removed = &forward["changes"][0];
        assert_eq!(removed["pulp_href"], one);
        let digest = client.get(&one).await["sha256"].clone();
        assert_eq!(removed["files"], json!([{"relative_path": "one", "sha256": digest}]));
        assert_eq!(changes(&client.get(&format!("{first}diff/?base={second}")).await), ["-three", "+one"]);
        assert_eq!(changes(&client.get(&format!("{second}diff/?base={second}")).await), Vec::<String>::new());
        let empty = format!("{}versions/0/", href(&repository));
        assert_eq!(changes(&client.get(&format!("{second}diff/?base={empty}")).await), ["+two", "+three"]);
        let nothing = client.get(&format!("{empty}diff/")).await;
        assert_eq!((changes(&nothing), &nothing["base_version"]), (Vec::new(), &Value::Null));
        // Of another repository.
        let other = client.create(REPOSITORIES, json!({"name": "other"})).await;
        let elsewhere = world.add(&other, &[&two, &one]).await;
        assert_eq!(changes(&client.get(&format!("{second}diff/?base={elsewhere}")).await), ["-one", "+three"]);
        assert_eq!(changes(&client.get(&format!("{elsewhere}diff/?base={second}")).await), ["-three", "+one"]);
    }

    async fn a_long_difference_is_read_page_by_page(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let mut units = Vec::new();
        for number in 0..5 {
            units.push(world.unit(&format!("{number}"), &format!("{number}")).await);
        }
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        world.add(&repository, &units[..2]).await;
        let body = json!({"add_content_units": &units[2..], "remove_content_units": ["*"]});
        let version = created(&client.wait(client.post(&format!("{}modify/", href(&repository)), body).await).await, "versions");
        let mut seen = Vec::new();
        let mut page = client.get(&format!("{version}diff/?limit=2")).await;
        loop {
            assert!(page["changes"].as_array().unwrap().len() <= 2);
            seen.extend(changes(&page));
            let Some(next) = page["next"].as_str() else { break };
            page = client.get(next).await;
        }
        assert_eq!(seen, ["-0", "-1", "+2", "+3", "+4"]);
    }

    async fn a_comparison_that_is_none_is_refused(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let version = format!("{}versions/0/", href(&repository));
        let refused = async |query: &str| client.try_get(&format!("{version}diff/?{query}")).await.with(400);
        assert_eq!(refused("limit=0").await, json!({"limit": ["Enter a number from 1 to 10000."]}));
        assert_eq!(refused("after=x").await, json!({"after": ["Take it from `next` of the answer before."]}));
        let gone = refused(&format!("base={}versions/7/", href(&repository))).await;
        assert_eq!(gone, json!({"base": ["Invalid hyperlink - Object does not exist."]}));
        client.try_get(&format!("{}versions/7/diff/", href(&repository))).await.with(404);
    }

    async fn versions_are_made_of_versions(world: World) {
        let client = &world.client;
        let [a, b, c] = [world.unit("a", "1").await, world.unit("b", "2").await, world.unit("c", "3").await];
        let left = client.create(REPOSITORIES, json!({"name": "left"})).await;
        let left = world.add(&left, &[&a, &b]).await;
        let right = client.create(REPOSITORIES, json!({"name": "right"})).await;
        let right = world.add(&right, &[&b, &c]).await;
        let target = client.create(REPOSITORIES, json!({"name": "target"})).await;
        for (operation, versions, wanted) in [
            ("union", vec![&left, &right], vec!["a", "b", "c"]),
            ("intersection", vec![&left, &right], vec!["b"]),
            ("difference", vec![&left, &right], vec!["a"]),
            ("difference", vec![&right, &left], vec!["c"]),
            ("union", vec![&left], vec!["a", "b"]),
        ] {
            let task = compose(&world, &target, json!({"operation": operation, "versions": versions})).await;
            assert_eq!(task["name"], "pulpcore.app.tasks.repository.compose");
            assert_eq!(paths(client, &created(&task, "versions")).await, wanted, "{operation} of {versions:?}");
        }
        // The same again makes no version.
        let again = compose(&world, &target, json!({"operation": "union", "versions": [left]})).await;
        assert_eq!(again["created_resources"], json!([]));
        // Of itself, as of before.
        let before = format!("{}versions/1/", href(&target));
        let task = compose(&world, &target, json!({"operation": "difference", "versions": [before, left]})).await;
        assert_eq!(paths(client, &created(&task, "versions")).await, ["c"]);
    }

    async fn of_files_of_one_path_the_newest_is_kept(world: World) {
        let client = &world.client;
        let (old, new) = (world.unit("same", "old").await, world.unit("same", "new").await);
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let second = world.add(&repository, &[&new]).await;
        let third = world.add(&repository, &[&old]).await;
        let ask = json!({"operation": "union", "versions": [second, third]});
        let answer = client.post(&format!("{}compose/", href(&repository)), ask.clone()).await;
        let failure = client.failure(answer).await;
        assert!(failure.contains("same relative_path (same)"), "{failure}");
        assert_eq!(world.numbers(&repository).await, [2, 1, 0]);
        let mut ask = ask;
        ask["newest"] = json!(1);
        let task = compose(&world, &repository, ask).await;
        let units = client.list(&format!("{}?repository_version={}", FILES, created(&task, "versions"))).await;
        assert_eq!(units.iter().map(href).collect::<Vec<_>>(), [new]);
    }

    async fn a_composition_that_makes_no_sense_is_refused(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let refused = async |body: Value| client.post(&format!("{}compose/", href(&repository)), body).await.with(400);
        let own = format!("{}versions/0/", href(&repository));
        assert_eq!(refused(json!({"operation": "union", "versions": []})).await, json!({"versions": ["Name at least one version."]}));
        assert_eq!(refused(json!({"operation": "sum", "versions": [own]})).await, json!({"operation": ["\"sum\" is not a valid choice."]}));
        assert!(refused(json!({"operation": "union", "versions": [own], "newest": 0})).await["newest"].is_array());
        assert!(refused(json!({"operation": "union"})).await["versions"].is_array());
    }

    async fn it_is_told_who_holds_which_bytes(world: World) {
        let client = &world.client;
        let [own, shared, old, orphan] =
            [world.unit("own", "four").await, world.unit("shared", "sixsix").await, world.unit("old", "1234567890").await, world.unit("orphan", "x").await];
        let one = client.create(REPOSITORIES, json!({"name": "one"})).await;
        world.add(&one, &[&own, &shared, &old]).await;
        world.client.wait(client.post(&format!("{}modify/", href(&one)), json!({"remove_content_units": [old]})).await).await;
        let two = client.create(REPOSITORIES, json!({"name": "two"})).await;
        world.add(&two, &[&shared]).await;
        let used = client.get("disk_usage/").await;
        assert_eq!(
            used["repositories"],
            json!([
                {"repository": href(&one), "name": "one", "files": 3, "bytes": 20, "latest_bytes": 10, "freed_by_deletion": 14, "freed_by_retention": 10},
                {"repository": href(&two), "name": "two", "files": 1, "bytes": 6, "latest_bytes": 6, "freed_by_deletion": 0, "freed_by_retention": 0},
            ])
        );
        assert_eq!((&used["files"], &used["bytes"], &used["orphaned_bytes"], &used["count"]), (&json!(4), &json!(21), &json!(1), &json!(2)));
        let page = client.get("disk_usage/?limit=1&offset=1").await;
        assert_eq!(page["repositories"][0]["name"], "two");
        client.try_get("disk_usage/?limit=x").await.with(400);
        // It comes true.
        assert!(!orphan.is_empty());
        client.wait(client.delete(href(&one)).await).await;
        client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        let left = client.get("disk_usage/").await;
        assert_eq!((&left["bytes"], &left["orphaned_bytes"]), (&json!(6), &json!(0)));
    }
}
