//! Pages that are shown again: what has changed since is seen on them.

use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::{Checker, Upstream, both_databases};
use serde_json::{Value, json};

use super::world::{FILES, REPOSITORIES, World, href};

/// The page shows each unit as it shows itself; so many of them.
async fn shows(world: &World, page: &str, units: usize) -> Vec<Value> {
    let results = world.client.get(page).await["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), units, "{page}");
    for unit in &results {
        assert_eq!(unit, &world.client.get(href(unit)).await, "{page}");
    }
    results
}

both_databases! {
    async fn a_page_that_is_shown_again_shows_what_has_changed(world: World) {
        let (client, db) = (&world.client, world.kit.pulp().db());
        let upstream = Upstream::start().await.file("a", "aa").file("b", "bb").file("c", "cc").manifest();
        let mirror = client.file_repo("isos").remote(&upstream).policy("on_demand").mirror().publish().distribute().await;
        let pages = [
            format!("{FILES}?repository_version={}", mirror.version),
            format!("{FILES}?repository_version={}&after=&limit=3", mirror.version),
            format!("{FILES}?repository_version={}&limit=3&ordering=relative_path", mirror.version),
            FILES.to_owned(),
        ];
        let look = async || {
            let mut last = Vec::new();
            for page in &pages {
                // What is kept of the first look must not outlive a change, and what is kept of the second is that of the first.
                last = shows(&world, page, 3).await;
                assert_eq!(shows(&world, page, 3).await, last);
            }
            last.sort_by_key(|unit| unit["relative_path"].as_str().unwrap().to_owned());
            last
        };
        let units = look().await;
        assert!(units.iter().all(|unit| unit["artifact"].is_null() && unit["sha512"].is_null()));

        assert_eq!(client.try_get(&mirror.path("b")).await.text(), "bb");
        // It is stored after it was sent.
        while client.get(href(&units[1])).await["artifact"].is_null() {
            tokio::task::yield_now().await;
        }
        let fetched = look().await;
        assert!(fetched[1]["artifact"].is_string() && fetched[1]["sha512"].is_string() && fetched[0]["artifact"].is_null());

        client.post(&format!("{}set_label/", href(&units[0])), json!({"key": "env", "value": "prod"})).await.with(201);
        assert_eq!(look().await[0]["pulp_labels"], json!({"env": "prod"}));
        client.post(&format!("{}set_label/", href(&units[0])), json!({"key": "env", "value": "test"})).await.with(201);
        assert_eq!(look().await[0]["pulp_labels"], json!({"env": "test"}));
        client.post(&format!("{}unset_label/", href(&units[0])), json!({"key": "env"})).await.with(201);
        assert_eq!(look().await[0]["pulp_labels"], json!({}));

        let report = Sql::new(
            "insert into core_vulnerabilityreport (pulp_id, pulp_created, vulns, content_id, pulp_domain_id) \
             select content_ptr_id, $1, $2, content_ptr_id, _pulp_domain_id from file_filecontent where relative_path = 'c'",
        );
        db.execute(report.bind(world.kit.pulp().now()).bind(json!([]))).await.unwrap();
        assert!(look().await[2]["vuln_report"].is_string());
        db.execute("delete from core_vulnerabilityreport").await.unwrap();
        assert!(look().await[2]["vuln_report"].is_null());

        db.execute("update core_contentartifact set artifact_id = null").await.unwrap();
        assert!(look().await[1]["artifact"].is_null());

        // Pages of other fields and of other lengths are others.
        let few = client.get(&format!("{}&fields=relative_path&limit=2", pages[0])).await["results"].clone();
        assert_eq!(few, json!([{"relative_path": "c"}, {"relative_path": "b"}]));
        assert_eq!(client.get(&format!("{}&fields=sha256&limit=2", pages[0])).await["results"][0], json!({"sha256": null}));
        let next = client.get(&format!("{}&after=&limit=1", pages[0])).await;
        assert_eq!(client.get(&format!("{}&after=&limit=1", pages[0])).await, next);
        assert!(next["next"].is_string() && next["results"].as_array().unwrap().len() == 1);

        // A page by key reads one unit more than it shows.
        for limits in [["after=&limit=1", "limit=2"], ["limit=3", "after=&limit=2"]] {
            for asked in limits {
                let units = asked.rsplit('=').next().unwrap().parse().unwrap();
                shows(&world, &format!("{}&{asked}", pages[0]), units).await;
            }
        }

        // A unit that comes, and one that goes.
        world.unit("d", "dd").await;
        shows(&world, FILES, 4).await;
        let other = client.create(REPOSITORIES, json!({"name": "other"})).await;
        let version = world.add(&other, &[href(&units[1])]).await;
        shows(&world, &format!("{FILES}?repository_version={version}"), 1).await;
        shows(&world, &pages[0], 3).await;
        client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        shows(&world, FILES, 3).await;
    }

    async fn a_list_of_all_units_tells_how_many_there_are(world: World) {
        let (client, db) = (&world.client, world.kit.pulp().db());
        let counted = async |list: &str| client.get(list).await["count"].as_i64().unwrap();
        let (files, all) = (format!("{FILES}?limit=1"), "content/?limit=1");
        assert_eq!((counted(&files).await, counted(all).await), (0, 0));
        let upstream = Upstream::start().await.file("a", "aa").file("b", "bb").file("c", "cc").manifest();
        // With its metadata, which is a unit that no list shows.
        client.file_repo("isos").remote(&upstream).policy("on_demand").sync().publish().await;
        assert_eq!((counted(&files).await, counted(all).await), (3, 3));
        // Several at once.
        let names: Vec<String> = (0..10).map(|number: u32| number.to_string()).collect();
        futures::future::join_all(names.iter().map(|name| world.unit(name, name))).await;
        assert_eq!((counted(&files).await, counted(all).await), (13, 13));
        assert_eq!(counted(&format!("{FILES}?limit=1&relative_path__in=a,b,1")).await, 3);
        assert_eq!(counted("content/?limit=1&pulp_type__in=file.file").await, 13);
        client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        assert_eq!((counted(&files).await, counted(all).await), (3, 3));
        Checker::new(&world.kit.database().url(), world.kit.database().dir()).await.assert().await;

        // It is not counted again for each page.
        db.execute("update core_contentcount set units = units * 100 where pulp_type = 'file.file'").await.unwrap();
        assert_eq!((counted(&files).await, counted(all).await), (300, 300));
        assert_eq!(counted(&format!("{FILES}?limit=1&relative_path__contains=a")).await, 1);
    }
}
