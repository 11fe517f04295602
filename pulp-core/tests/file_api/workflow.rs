//! From content to what is served.

use std::collections::BTreeSet;

use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::{Blob, Tree, Upstream, both_databases};
use serde_json::{Value, json};

use super::world::{FILES, REPOSITORIES, World, href, paths};

both_databases! {
    async fn a_remote_is_mirrored_published_and_served(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("a b.iso", "one").file("d/é.iso", Blob::seeded(1, 300_000)).manifest();
        let world = client.file_repo("isos").remote(&upstream).policy("on_demand").mirror().publish().distribute().await;
        assert_eq!(paths(client, &world.version).await, ["a b.iso", "d/é.iso"]);
        let manifest = client.try_get(&world.path("PULP_MANIFEST")).await;
        assert!(manifest.text().contains(Blob::from("one").manifest_line("a b.iso").trim_end()), "{}", manifest.text());
        assert_eq!(client.try_get(&world.path("a b.iso")).await.text(), "one");
        assert_eq!(client.try_get(&world.path("d/é.iso")).await.body, Blob::seeded(1, 300_000).to_bytes());
        let repository = client.get(href(&world.repository)).await;
        assert_eq!(repository["last_sync_details"]["most_recent_version"], 1);
        let version = client.get(&world.version).await;
        assert_eq!(version["content_summary"]["present"]["file.file"]["count"], 2);
    }

    async fn odd_names_come_through_sync_publication_serving_and_listing(world: World) {
        let client = &world.client;
        let tree = Tree::new().odd_names().manifest();
        let upstream = Upstream::start().await.tree(&tree);
        let names = tree.files();
        // Whose root is no file.
        let unindexed = Upstream::start().await.tree(&tree);
        unindexed.remove("index.html");
        unindexed.write_manifest();
        for policy in ["immediate", "on_demand", "streamed"] {
            let world = client.file_repo(policy).remote(&upstream).policy(policy).sync().publish().distribute().await;
            assert_eq!(BTreeSet::from_iter(paths(client, &world.version).await), BTreeSet::from_iter(names.clone()));
            let manifest = client.try_get(&world.path("PULP_MANIFEST")).await.text();
            let mut lines: Vec<&str> = manifest.lines().collect();
            lines.sort_unstable();
            let mut wanted: Vec<String> = names.iter().map(|name| upstream.blob(name).manifest_line(name).trim_end().to_owned()).collect();
            wanted.sort_unstable();
            assert_eq!(lines, wanted, "{policy}");
            for name in &names {
                assert_eq!(client.try_get(&world.path(name)).await.text(), format!("this is {name}\n"), "{policy}");
            }
            // From link to link, as a browser goes.
            let world = client.file_repo(&format!("listed-{policy}")).remote(&unindexed).policy(policy).sync().publish().distribute().await;
            let mut found = BTreeSet::new();
            let mut open = vec![world.path("")];
            while let Some(directory) = open.pop() {
                let page = client.try_get(&directory).await;
                assert_eq!(page.status, 200, "{directory}");
                for link in page.text().split("<a href=\"./").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()) {
                    let at = format!("{directory}{link}");
                    match link.ends_with('/') {
                        true => open.push(at),
                        false => drop(found.insert(client.try_get(&at).await.text())),
                    }
                }
            }
            let wanted = names.iter().filter(|name| *name != "index.html").map(|name| format!("this is {name}\n"));
            assert_eq!(found, wanted.chain([client.try_get(&world.path("PULP_MANIFEST")).await.text()]).collect(), "{policy}");
        }
    }

    async fn an_upload_stays_until_its_unit_is_made(world: World) {
        let client = &world.client;
        let upload = client.create("uploads/", json!({"size": 3})).await;
        client.put_chunk(href(&upload), 0, 3, b"abc").await.ok();
        // The unit cannot be made at first, as if the process died before it could be.
        let (db, name) = (world.kit.pulp().db(), "alter table file_filecontent rename to");
        db.execute(format!("{name} away").as_str()).await.unwrap();
        let body = json!({"relative_path": "upload", "upload": href(&upload)});
        client.failure(client.post(FILES, body.clone()).await).await;
        db.execute(name.replace("file_filecontent", "away").as_str().to_owned() + " file_filecontent").await.unwrap();
        assert_eq!(client.get(href(&upload)).await["chunks"], json!([{"offset": 0, "size": 3}]));
        client.wait(client.post(FILES, body).await).await;
        client.try_get(href(&upload)).await.with(404);
    }

    async fn content_comes_from_a_file_an_artifact_an_upload_or_an_address(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let answer = client.post_form(FILES, &[("relative_path", "file"), ("repository", href(&repository))], Some(b"one")).await;
        let task = client.wait(answer).await;
        assert_eq!(task["name"], "pulpcore.app.tasks.base.general_create");
        let made: Vec<&str> = task["created_resources"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(made[0].ends_with("/versions/1/") && made[1].contains("/content/file/files/"), "{made:?}");
        assert_eq!(task["result"]["relative_path"], "file");
        let unit = client.get(made[1]).await;
        assert_eq!(unit["sha256"], Blob::from("one").sha256());

        let artifact = unit["artifact"].as_str().unwrap();
        let second = client.create(FILES, json!({"relative_path": "artifact", "artifact": artifact})).await;
        assert_eq!(second["artifact"], artifact);
        // The same again is the same unit.
        assert_eq!(client.create(FILES, json!({"relative_path": "artifact", "artifact": artifact})).await["pulp_href"], second["pulp_href"]);

        let upload = client.create("uploads/", json!({"size": 6})).await;
        client.put_chunk(href(&upload), 3, 6, b"def").await.ok();
        client.put_chunk(href(&upload), 0, 6, b"abc").await.ok();
        let third = client.create(FILES, json!({"relative_path": "upload", "upload": href(&upload)})).await;
        assert_eq!(third["sha256"], Blob::from("abcdef").sha256());
        client.try_get(href(&upload)).await.with(404);

        let upstream = Upstream::start().await.file("x", "far away");
        let fourth = client.create(FILES, json!({"relative_path": "url", "file_url": upstream.url("x")})).await;
        assert_eq!(fourth["sha256"], Blob::from("far away").sha256());
        let failure = client.failure(client.post(FILES, json!({"relative_path": "url", "file_url": upstream.url("y")})).await).await;
        assert!(failure.contains("/y"), "{failure}");

        let at_once = client.post_form(&format!("{FILES}upload/"), &[("relative_path", "at/once")], Some(b"now")).await.with(201);
        assert_eq!(at_once["sha256"], Blob::from("now").sha256());
    }

    async fn content_that_says_nothing_useful_is_refused(world: World) {
        let client = &world.client;
        let no_file = json!({"non_field_errors": ["Exactly one of upload, artifact, file, file_url must be specified."]});
        assert_eq!(client.post_form(FILES, &[("relative_path", "a")], None).await.with(400), no_file);
        let both = [("relative_path", "a"), ("file_url", "http://127.0.0.1:1/")];
        assert_eq!(client.post_form(FILES, &both, Some(b"x")).await.with(400), no_file);
        assert_eq!(client.post_form(FILES, &[], Some(b"x")).await.with(400), json!({"relative_path": ["This field is required."]}));
        for path in ["/abs", "../up", "a//b", "a/./b"] {
            let refused = client.post_form(FILES, &[("relative_path", path)], Some(b"x")).await.with(400);
            assert_eq!(refused, json!({"relative_path": [format!("Relative path is not in canonical form. {path}")]}));
        }
    }

    async fn modify_adds_removes_and_follows_the_rules(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r", "autopublish": true})).await;
        let modify = format!("{}modify/", href(&repository));
        let mut units = Vec::new();
        for (path, text) in [("a", "1"), ("b", "1"), ("a", "2"), ("a/b", "3")] {
            let answer = client.post_form(FILES, &[("relative_path", path)], Some(text.as_bytes())).await;
            units.push(pulp_testkit::client::created(&client.wait(answer).await, "content"));
        }
        let first = client.wait(client.post(&modify, json!({"add_content_units": [units[0], units[1]]})).await).await;
        assert_eq!(first["name"], "pulpcore.app.tasks.repository.add_and_remove");
        assert_eq!(first["result"]["number"], 1);
        let version = pulp_testkit::client::created(&first, "versions");
        assert!(pulp_testkit::client::created(&first, "publications").contains("file/file"));
        assert_eq!(paths(client, &version).await, ["a", "b"]);
        let refused = client.failure(client.post(&modify, json!({"add_content_units": [units[2]], "overwrite": false})).await).await;
        assert!(refused.starts_with("[PLP0023]"), "{refused}");
        let refused = client.failure(client.post(&modify, json!({"add_content_units": [units[3]]})).await).await;
        assert!(refused.ends_with("The path for file 'a/b' overlaps: a"), "{refused}");
        let second = client.wait(client.post(&modify, json!({"add_content_units": [units[2]], "remove_content_units": [units[1]]})).await).await;
        assert_eq!(paths(client, &pulp_testkit::client::created(&second, "versions")).await, ["a"]);
        let again = client.wait(client.post(&modify, json!({"add_content_units": [units[2]]})).await).await;
        assert_eq!((&again["created_resources"], &again["result"]), (&json!([]), &Value::Null));
        let base = json!({"remove_content_units": ["*"], "add_content_units": [units[1]], "base_version": version});
        let third = client.wait(client.post(&modify, base).await).await;
        assert_eq!(paths(client, &pulp_testkit::client::created(&third, "versions")).await, ["b"]);

        let gone = format!("{}00000000-0000-7000-8000-000000000000/", units[0].split_at(units[0].len() - 37).0);
        for (body, wanted) in [
            (json!({"remove_content_units": ["*", units[0]]}), json!({"remove_content_units": ["Cannot supply content units and '*'."]})),
            (json!({"add_content_units": ["foo"]}), json!({"add_content_units": ["URI not valid: foo"]})),
            (
                json!({"add_content_units": [gone]}),
                json!({"add_content_units": [format!("Could not find the following content units: ['{gone}']")]}),
            ),
            (json!({"foo": 1}), json!({"foo": ["Unexpected field"]})),
        ] {
            assert_eq!(client.post(&modify, body).await.with(400), wanted);
        }
    }

    async fn a_sync_needs_a_remote_of_its_type(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let sync = format!("{}sync/", href(&repository));
        let wanted = json!({"remote": ["This field is required since a remote is not set on the repository."]});
        assert_eq!(client.post(&sync, json!({})).await.with(400), wanted);
        client.post(&sync, json!({"remote": href(&repository)})).await.with(400);
    }

    async fn a_distribution_says_how_it_is_served(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let path = "distributions/file/file/";
        let plain = client.create(path, json!({"name": "plain", "base_path": "plain"})).await;
        for (field, value) in [("time_travel", json!(false)), ("cache_control", Value::Null), ("redirect_to_object_storage", Value::Null)] {
            assert_eq!(plain[field], value, "{field}");
        }
        let said = json!({"time_travel": true, "cache_control": "public, max-age=60", "redirect_to_object_storage": false});
        let mut body = json!({"name": "d", "base_path": "d", "repository": href(&repository)});
        body.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        let made = client.create(path, body).await;
        for (field, value) in said.as_object().unwrap() {
            assert_eq!(made[field], *value, "{field}");
        }
        for (body, wanted) in [
            (json!({"cache_control": "for a day"}), json!({"cache_control": ["\"for a day\" is no directive of Cache-Control: write, say, \"public, max-age=3600\"."]})),
            (json!({"cache_control": ""}), json!({"cache_control": ["This field may not be blank."]})),
            (json!({"time_travel": "perhaps"}), json!({"time_travel": ["Must be a valid boolean."]})),
            (json!({"redirect_to_object_storage": 7}), json!({"redirect_to_object_storage": ["Must be a valid boolean."]})),
            (json!({"checkpoint": true}), json!({"non_field_errors": ["The 'time_travel' attribute may not be used with the 'checkpoint' attribute."]})),
        ] {
            assert_eq!(client.patch(href(&made), body.clone()).await.with(400), wanted, "{body}");
        }
        world.patch(href(&made), json!({"cache_control": null, "redirect_to_object_storage": null, "time_travel": false})).await;
        let emptied = client.get(href(&made)).await;
        assert_eq!((&emptied["cache_control"], &emptied["time_travel"]), (&Value::Null, &json!(false)));
        let sees = client.list("distributions/").await;
        assert!(sees.iter().all(|shown| shown.get("time_travel").is_some()), "{sees:?}");
    }

    async fn what_a_remote_has_is_pulled_through_and_kept(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("d/a.iso", "pulled");
        let remote = client.create("remotes/file/file/", json!({"name": "r", "url": upstream.base_url(), "policy": "on_demand"})).await;
        client.create("distributions/file/file/", json!({"name": "d", "base_path": "d"})).await;
        // The API of the type does not name the remote of a distribution; the library does.
        let point = Sql::new("update core_distribution set remote_id = (select pulp_id from core_remote)");
        world.kit.pulp().db().execute(point).await.unwrap();
        assert!(href(&remote).contains("/remotes/file/file/"));
        for _ in 0..2 {
            assert_eq!(client.try_get("/pulp/content/d/d/a.iso").await.text(), "pulled");
        }
        assert_eq!(upstream.hits("d/a.iso"), 1);
        // It is kept once its last byte is on its way: ask until it is.
        let mut units = client.list(FILES).await;
        for _ in 0..2_000 {
            if !units.is_empty() {
                break;
            }
            units = client.list(FILES).await;
        }
        assert_eq!(units[0]["relative_path"], "d/a.iso");
    }
}

both_databases! {
    async fn orphans_go_and_what_is_in_use_stays(world: World) {
        let client = &world.client;
        let pulp = world.kit.pulp();
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let kept = client.post_form(FILES, &[("relative_path", "kept"), ("repository", href(&repository))], Some(b"kept")).await;
        client.wait(kept).await;
        client.create("publications/file/file/", json!({"repository": href(&repository)})).await;
        let orphan = client.post_form(FILES, &[("relative_path", "orphan")], Some(b"orphan")).await;
        let orphan = pulp_testkit::client::created(&client.wait(orphan).await, "content");
        // Fresh orphans are protected.
        let nothing = client.wait(client.post("orphans/cleanup/", json!({})).await).await;
        assert_eq!(nothing["name"], "pulpcore.app.tasks.orphan.orphan_cleanup");
        client.get(&orphan).await;
        let files: Vec<String> = pulp.db().column("select file from core_artifact").await.unwrap();
        assert_eq!(files.len(), 3);
        let done = client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        let reports: Vec<(&str, i64)> = done["progress_reports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|report| (report["code"].as_str().unwrap(), report["done"].as_i64().unwrap()))
            .collect();
        assert!(reports.contains(&("clean-up.content", 1)) && reports.contains(&("clean-up.artifacts", 1)), "{reports:?}");
        client.try_get(&orphan).await.with(404);
        let left: Vec<String> = pulp.db().column("select file from core_artifact").await.unwrap();
        assert_eq!(left.len(), 2);
        for file in files {
            let stored = pulp.storage().size(&file.parse().unwrap()).await.is_ok();
            assert_eq!(stored, left.contains(&file), "{file}");
        }
        let details: i64 = pulp.db().scalar("select count(*) from file_filecontent").await.unwrap();
        assert_eq!(details, 1);
        // Where units are named, only their files go with them.
        let named = client.post_form(FILES, &[("relative_path", "named")], Some(b"named")).await;
        let named = pulp_testkit::client::created(&client.wait(named).await, "content");
        let loose = client.post_form("artifacts/", &[], Some(b"loose")).await.with(201);
        let body = json!({"content_hrefs": [named], "orphan_protection_time": 0});
        client.wait(client.post("orphans/cleanup/", body).await).await;
        client.try_get(&named).await.with(404);
        client.get(href(&loose)).await;
        assert_eq!(client.get("artifacts/").await["count"], 3);
        // The same unit can come again.
        let again = client.post_form(FILES, &[("relative_path", "orphan")], Some(b"orphan")).await;
        client.wait(again).await;
        assert_eq!(client.post("orphans/cleanup/", json!({"content_hrefs": []})).await.with(400), json!({"content_hrefs": ["Must not be []."]}));
        assert_eq!(
            client.post("orphans/cleanup/", json!({"content_hrefs": [orphan]})).await.with(400),
            json!({"content_hrefs": [format!("URI {orphan} not found for content.")]})
        );
    }

    async fn space_is_reclaimed_from_what_a_remote_can_give_again(world: World) {
        let client = &world.client;
        let pulp = world.kit.pulp();
        let upstream = Upstream::start().await.file("a", "aa").file("b", "bb").file("c", "cc").manifest();
        let mirror = client.file_repo("isos").remote(&upstream).mirror().publish().distribute().await;
        let other = client.create(REPOSITORIES, json!({"name": "other"})).await;
        let uploaded = client.post_form(FILES, &[("relative_path", "mine"), ("repository", href(&other))], Some(b"mine")).await;
        client.wait(uploaded).await;
        let repository = mirror.version.split("versions/").next().unwrap().to_owned();
        let stored = async |version: &str| {
            client.get(&format!("artifacts/?repository_version={version}")).await["count"].as_i64().unwrap()
        };
        let reclaim = async |body: Value| {
            let task = client.wait(client.post("repositories/reclaim_space/", body).await).await;
            assert_eq!(task["name"], "pulpcore.app.tasks.reclaim_space.reclaim_space");
            let report = task["progress_reports"][0].clone();
            assert_eq!(report["code"], "reclaim-space.artifact");
            assert_eq!(report["total"], report["done"]);
            report["done"].as_i64().unwrap()
        };
        assert_eq!(client.try_get(&mirror.path("a")).await.text(), "aa");
        assert_eq!(stored(&mirror.version).await, 3);

        // A version that is kept keeps its files, those that it shares with others too.
        let units = client.list(&format!("{FILES}?relative_path=a")).await;
        let gone: Vec<&str> = units.iter().map(href).collect();
        client.wait(client.post(&format!("{repository}modify/"), json!({"remove_content_units": gone})).await).await;
        let latest = client.get(&repository).await["latest_version_href"].as_str().unwrap().to_owned();
        assert_eq!(reclaim(json!({"repo_hrefs": [repository], "repo_versions_keeplist": [latest]})).await, 1);
        assert_eq!((stored(&mirror.version).await, stored(&latest).await), (2, 2));

        // What was uploaded stays: nobody could give it again.
        assert_eq!(reclaim(json!({"repo_hrefs": ["*"]})).await, 2);
        assert_eq!(reclaim(json!({"repo_hrefs": ["*"]})).await, 0);
        assert_eq!(stored(&mirror.version).await, 0);
        let left: Vec<String> = pulp.db().column("select file from core_artifact").await.unwrap();
        // That and the published metadata.
        assert_eq!(left.len(), 2);
        for file in &left {
            assert!(pulp.storage().size(&file.parse().unwrap()).await.is_ok());
        }

        // Whoever asks is served nonetheless, and the file is stored again.
        assert_eq!(client.try_get(&mirror.path("b")).await.text(), "bb");
        while stored(&mirror.version).await != 1 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}
