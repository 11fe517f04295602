//! Files that a killed process left without a row.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::settings::Settings;
use pulp_testkit::{Checker, Engine, Prepare, both_databases};
use serde_json::json;
use uuid::Uuid;

use crate::world::World;

const OLD: Duration = Duration::from_secs(2 * 3_600);

fn age(file: &Path) {
    File::options().write(true).open(file).unwrap().set_modified(SystemTime::now() - OLD).unwrap();
}

fn write(file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "litter").unwrap();
}

/// The same with domains on.
struct Domains(World);

#[async_trait::async_trait]
impl Prepare for Domains {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.domain_enabled = true;
        // No cleanup but those that are asked for: the first looks at everything.
        settings.orphan_protection_time = 0;
        Some(Self(World::with(engine, settings).await?))
    }
}

both_databases! {
    async fn an_orphan_cleanup_removes_files_that_have_no_row(world: World) {
        let (client, media) = (&world.client, world.kit.database().dir().join("media"));
        let unit = world.unit("kept", "kept").await;
        let repository = client.create(crate::world::REPOSITORIES, json!({"name": "r"})).await;
        world.add(&repository, &[&unit]).await;
        let upload = client.create("uploads/", json!({"size": 3})).await;
        client.put_chunk(upload["pulp_href"].as_str().unwrap(), 0, 3, b"abc").await.ok();
        let db = world.kit.pulp().db();
        let mut kept: Vec<String> = db.column("select file from core_artifact union all select file from core_uploadchunk").await.unwrap();
        assert_eq!(kept.len(), 2);
        kept.iter().for_each(|file| age(&media.join(file)));

        let rest = "0".repeat(62);
        let litter = [
            format!("artifact/ab/{rest}"),
            format!("artifact/{}/ab/{rest}", Uuid::nil()),
            format!("upload/{}/{}", Uuid::nil(), Uuid::nil()),
        ];
        // Young, or none of ours.
        kept.extend([format!("artifact/cd/{rest}"), format!("upload/{}/{}", Uuid::nil(), Uuid::now_v7()), "artifact/readme".to_owned()]);
        litter.iter().chain(&kept[2..]).for_each(|file| write(&media.join(file)));
        litter.iter().chain(&kept[4..]).for_each(|file| age(&media.join(file)));
        age(&media.join("artifact/readme"));
        fs::File::options().write(true).open(media.join(&kept[3])).unwrap().set_modified(SystemTime::now()).unwrap();
        let there = |files: &[String]| -> Vec<bool> { files.iter().map(|file| media.join(file).exists()).collect() };

        // Two hours are less than the protection time by default; and single units are no reason to look everywhere.
        client.wait(client.post("orphans/cleanup/", json!({})).await).await;
        client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0, "content_hrefs": [unit]})).await).await;
        // Everything was looked at, and nobody has died since: there is no reason to walk through the storage.
        let all = async || client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        all().await;
        assert_eq!(there(&litter), [true; 3]);
        let dead = Sql::new(
            "insert into core_appstatus (pulp_id, pulp_created, app_type, name, versions, ttl, last_heartbeat) values ($1, $2, 'worker', 'dead', $3, 30, $2)",
        );
        let past = world.kit.pulp().now() - chrono::TimeDelta::hours(2);
        db.execute(dead.bind(Uuid::now_v7()).bind(past).bind(json!({}))).await.unwrap();
        world.kit.pulp().tasks().reap().await.unwrap();
        // What it has left is too young for this one, which does not make it forgotten.
        client.wait(client.post("orphans/cleanup/", json!({})).await).await;
        assert_eq!(there(&litter), [true; 3]);
        all().await;
        assert_eq!((there(&litter), there(&kept)), (vec![false; 3], vec![true; 5]));
        let checker = Checker::new(&world.kit.database().url(), world.kit.database().dir()).await;
        let left: Vec<String> = checker.check().await.into_iter().map(|finding| finding.what).collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }

    async fn each_domain_has_its_own_litter(domains: Domains) {
        let World { client, kit, .. } = &domains.0;
        let media = kit.database().dir().join("media");
        let domain = kit.pulp().default_domain().pulp_id;
        let rest = "0".repeat(62);
        let (ours, theirs) = (media.join(format!("artifact/{domain}/ab/{rest}")), media.join(format!("artifact/{}/ab/{rest}", Uuid::now_v7())));
        for file in [&ours, &theirs] {
            write(file);
            age(file);
        }
        let cleanup = client.post("/pulp/default/api/v3/orphans/cleanup/", json!({"orphan_protection_time": 0})).await;
        client.wait(cleanup).await;
        assert_eq!((ours.exists(), theirs.exists()), (false, true));
    }
}
