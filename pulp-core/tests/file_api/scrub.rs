//! Stored files are read again, slowly: what is wrong is set aside, fetched again, and told.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use pulp_core::Pulp;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::digest::Algorithm;
use pulp_core::model::save::{NewArtifact, save_artifacts};
use pulp_core::model::{ScrubState, TaskRow, TaskState};
use pulp_core::settings::Settings;
use pulp_core::storage::{ArtifactPath, S3Storage, Storage};
use pulp_core::tasks::{DispatchOptions, Scrub, Workers};
use pulp_testkit::{Engine, Kit, Prepare, S3Server, Upstream, both_databases};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{REPOSITORIES, World, href};

/// What a scrub has counted: files, findings, and how many of them were fetched again.
fn counts(task: &Value) -> [i64; 3] {
    ["scrub.files", "scrub.findings", "scrub.repaired"].map(|code| {
        let reports = task["progress_reports"].as_array().unwrap();
        let report = reports.iter().find(|report| report["code"] == code).unwrap();
        assert_eq!(report["state"], "completed");
        report["done"].as_i64().unwrap()
    })
}

impl World {
    async fn scrub(&self) -> Value {
        self.client.wait(self.client.post("scrub/run/", json!({})).await).await
    }

    /// The finding about a file.
    async fn finding(&self, file: &ArtifactPath) -> Value {
        let all = self.client.list("scrub/").await;
        let mut of_file = all.into_iter().filter(|finding| finding["file"] == file.as_str());
        let finding = of_file.next().unwrap();
        assert!(of_file.next().is_none(), "one finding tells all");
        finding
    }

    async fn in_storage(&self, file: &str) -> bool {
        self.kit.pulp().storage().size(&file.parse().unwrap()).await.is_ok()
    }

    async fn metric(&self, line: &str) {
        let text = self.kit.pulp().metrics_text().await;
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}

/// A Pulp without workers, whose scrub may read so much in a second.
async fn scrubbing(engine: Engine, bytes_per_second: u64) -> Option<Kit> {
    let mut settings = Settings::default();
    settings.orphan_protection_time = 0;
    settings.scrub_bytes_per_second = bytes_per_second;
    Kit::built(engine, |builder| builder.settings(settings)).await
}

struct Slow(Kit);

#[async_trait]
impl Prepare for Slow {
    async fn prepare(engine: Engine) -> Option<Self> {
        scrubbing(engine, 1 << 20).await.map(Self)
    }
}

/// Stores a file that came so many days ago; where it lies.
async fn stored(pulp: &Pulp, text: &str, days: i64) -> ArtifactPath {
    let spooled = pulp.spool().store(text.to_owned()).await.unwrap();
    let (digests, path) = (spooled.digests().clone(), ArtifactPath::of(&spooled.sha256().unwrap()));
    let sha256 = digests.get(Algorithm::Sha256).unwrap().to_owned();
    let artifact = NewArtifact { file: path.to_string(), size: i64::try_from(text.len()).unwrap(), digests };
    pulp.storage().adopt(spooled, &path).await.unwrap();
    let domain = pulp.default_domain().pulp_id;
    save_artifacts(pulp.db(), &[artifact], domain, pulp.now()).await.unwrap();
    let sql = Sql::new("update core_artifact set pulp_created = $1 where sha256 = $2");
    pulp.db().execute(sql.bind(pulp.now() - TimeDelta::days(days)).bind(sha256)).await.unwrap();
    path
}

async fn run(pulp: &Pulp, scrub: Scrub) -> TaskRow {
    pulp.tasks().run(scrub, DispatchOptions::default()).await.unwrap()
}

fn whole() -> Scrub {
    Scrub { whole: true, bytes_per_second: Some(0) }
}

async fn states(pulp: &Pulp) -> Vec<(String, String)> {
    pulp.db().all("select problem, state from core_scrubfinding order by problem, state").await.unwrap()
}

both_databases! {
    async fn what_a_source_still_has_is_fetched_again(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("lost", "one").file("rotten", "two").file("cut", "three").file("sound", "four").manifest();
        let address = json!({"name": "r", "url": upstream.url("PULP_MANIFEST"), "policy": "immediate"});
        let remote = client.create("remotes/file/file/", address).await;
        let repository = client.create(REPOSITORIES, json!({"name": "r", "autopublish": true})).await;
        client.create("distributions/file/file/", json!({"name": "d", "base_path": "d", "repository": href(&repository)})).await;
        client.wait(client.post(&format!("{}sync/", href(&repository)), json!({"remote": href(&remote)})).await).await;
        let (lost, rotten, cut) = (world.file("lost").await, world.file("rotten").await, world.file("cut").await);
        assert_eq!(counts(&world.scrub().await)[1..], [0, 0]);
        world.lose(&lost).await;
        world.damage(&rotten, "twO");
        world.damage(&cut, "thr");
        assert_eq!(client.try_get("/pulp/content/d/rotten").await.text(), "twO");

        let task = world.scrub().await;
        assert_eq!(task["name"], "pulpcore.app.tasks.scrub.scrub");
        assert_eq!(counts(&task)[1..], [3, 3]);
        for (path, file, problem, found_size) in
            [("lost", &lost, "missing", None), ("rotten", &rotten, "digest", Some(3)), ("cut", &cut, "size", Some(3))]
        {
            let finding = world.finding(file).await;
            assert_eq!((&finding["problem"], &finding["state"]), (&json!(problem), &json!("repaired")), "{path}");
            assert_eq!(finding["found_size"], json!(found_size), "{path}");
            assert!(finding["ended_at"].is_string() && finding["artifact"].is_string(), "{finding}");
        }
        assert!(world.finding(&rotten).await["found_sha256"].is_string());
        // What was wrong is kept for whoever wants to see it.
        assert!(world.finding(&lost).await["quarantined"].is_null());
        let aside = world.finding(&rotten).await["quarantined"].as_str().unwrap().to_owned();
        assert!(aside.starts_with("quarantine/"), "{aside}");
        let kept = world.kit.pulp().storage().local_file(&aside.parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "twO");
        for (path, text) in [("lost", "one"), ("rotten", "two"), ("cut", "three"), ("sound", "four")] {
            assert_eq!(client.try_get(&format!("/pulp/content/d/{path}")).await.text(), text);
        }
        assert_eq!(upstream.hits("sound"), 1);
        assert_eq!(counts(&world.scrub().await)[1..], [0, 0]);
        world.metric("pulp_scrub_findings_total{problem=\"digest\"} 1").await;
        world.metric("pulp_scrub_repaired_total 3").await;
        world.metric("pulp_scrub_lost_files 0").await;
        let status = client.get("scrub/status/").await;
        assert_eq!((&status["enabled"], &status["under_way"], &status["lost"]), (&json!(false), &json!(false), &json!(0)));
        assert_eq!((&status["files"], &status["bytes"]), (&status["total_files"], &status["total_bytes"]));
        assert!(status["files"].as_i64().unwrap() >= 5);
    }

    async fn what_nobody_has_is_told_once_and_never_served_wrong(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r", "autopublish": true})).await;
        let (lost, rotten) = (world.unit("lost", "one").await, world.unit("rotten", "two").await);
        world.add(&repository, &[&lost, &rotten]).await;
        client.create("distributions/file/file/", json!({"name": "d", "base_path": "d", "repository": href(&repository)})).await;
        assert_eq!(client.try_get("/pulp/content/d/rotten").await.text(), "two");
        let (lost, rotten) = (world.file("lost").await, world.file("rotten").await);
        world.lose(&lost).await;
        world.damage(&rotten, "twO");
        assert_eq!(counts(&world.scrub().await)[1..], [2, 0]);
        let answer = client.try_get("/pulp/content/d/rotten").await;
        assert!(!answer.status.is_success(), "{}", answer.status);
        for file in [&lost, &rotten] {
            assert_eq!(world.finding(file).await["state"], "lost");
        }
        // Still so: nothing new.
        assert_eq!(counts(&world.scrub().await)[1..], [0, 0]);
        assert_eq!(world.finding(&rotten).await["problem"], "digest", "what it was at first");
        assert_eq!(client.list("scrub/?state=lost").await.len(), 2);
        assert_eq!(client.get("scrub/status/").await["lost"], 2);
        world.metric("pulp_scrub_lost_files 2").await;
        // One is brought again, nothing needs the other any more.
        world.unit("again", "two").await;
        assert_eq!(client.try_get("/pulp/content/d/rotten").await.text(), "two");
        let aside = world.finding(&rotten).await["quarantined"].as_str().unwrap().to_owned();
        client.wait(client.delete(href(&repository)).await).await;
        client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        world.unit("again", "two").await;
        assert_eq!(counts(&world.scrub().await)[1..], [0, 0]);
        assert_eq!(world.finding(&lost).await["state"], "dropped");
        assert_ne!(world.finding(&rotten).await["state"], "lost");
        assert!(world.in_storage(&aside).await, "nothing is deleted");
    }

    async fn who_may_not_see_it_does_not(world: World) {
        let refused = world.client.post("scrub/run/", json!({"bytes_per_second": -1})).await.with(400);
        assert!(refused["bytes_per_second"].is_array(), "{refused}");
        assert_eq!(world.client.get("scrub/").await["count"], 0);
    }

    async fn it_is_off_unless_the_settings_say_how_fast(kit: Kit) {
        let pulp = kit.pulp();
        stored(pulp, "old", 100).await;
        assert_eq!(pulp.tasks().dispatch_scrub().await.unwrap(), None);
        // One that was dispatched before it was switched off does nothing.
        assert_eq!(run(pulp, Scrub::default()).await.state(), TaskState::Completed);
        assert_eq!(ScrubState::read(pulp.db()).await.unwrap().started_at, None);
    }

    async fn it_looks_at_what_has_been_there_for_an_interval(slow: Slow) {
        let pulp = slow.0.pulp();
        let (old, fresh) = (stored(pulp, "old", 31).await, stored(pulp, "fresh", 29).await);
        for file in [&old, &fresh] {
            std::fs::write(pulp.storage().local_file(file).unwrap(), "else").unwrap();
        }
        assert_eq!(run(pulp, Scrub::default()).await.state(), TaskState::Completed);
        let state = ScrubState::read(pulp.db()).await.unwrap();
        assert_eq!((state.files, state.is_under_way()), (1, false));
        assert!(pulp.storage().size(&old).await.is_err() && pulp.storage().size(&fresh).await.is_ok());
        // Not again before the interval has passed.
        assert_eq!(pulp.tasks().dispatch_scrub().await.unwrap(), None);
        let sql = Sql::new("update core_scrub set started_at = $1, finished_at = $1");
        pulp.db().execute(sql.bind(pulp.now() - TimeDelta::days(30))).await.unwrap();
        assert!(pulp.tasks().dispatch_scrub().await.unwrap().is_some());
    }

    async fn it_goes_on_where_the_last_one_stopped(slow: Slow) {
        let pulp = slow.0.pulp();
        for text in ["a", "b", "c"] {
            stored(pulp, text, 60).await;
        }
        let first: Uuid = pulp.db().scalar("select pulp_id from core_artifact order by pulp_id limit 1").await.unwrap();
        let sql = Sql::new("update core_scrub set started_at = $1, covers = $1, reached = $2, files = 1, bytes = 1");
        pulp.db().execute(sql.bind(pulp.now() - TimeDelta::days(1)).bind(first)).await.unwrap();
        run(pulp, Scrub::default()).await;
        let state = ScrubState::read(pulp.db()).await.unwrap();
        assert_eq!((state.files, state.bytes, state.is_under_way()), (3, 3, false));
        let looked: i64 = pulp.db().scalar("select done from core_progressreport where code = 'scrub.files'").await.unwrap();
        assert_eq!(looked, 2);
    }

    async fn however_many_processes_notice_there_is_one_at_a_time(slow: Slow) {
        let (pulp, database) = (slow.0.pulp(), slow.0.database());
        stored(pulp, "old", 60).await;
        let other = match database.engine() {
            Engine::Sqlite => pulp.clone(),
            Engine::Postgres => {
                let mut settings = Settings::default();
                settings.scrub_bytes_per_second = 1;
                Pulp::builder().settings(settings).data_dir(database.dir()).database(database.url()).build().await.unwrap()
            }
        };
        let both = (0..16).map(|number| {
            let pulp = if number % 2 == 0 { pulp.clone() } else { other.clone() };
            async move { pulp.tasks().dispatch_scrub().await.unwrap() }
        });
        let dispatched: Vec<Uuid> = futures::future::join_all(both).await.into_iter().flatten().collect();
        assert_eq!(dispatched.len(), 1, "{dispatched:?}");
        assert_eq!(pulp.tasks().dispatch_scrub().await.unwrap(), None, "it waits for a worker");
        let workers = Workers::start(pulp, 2).await.unwrap();
        assert_eq!(pulp.tasks().wait(dispatched[0]).await.unwrap().state(), TaskState::Completed);
        drop(workers);
        assert!(!ScrubState::read(pulp.db()).await.unwrap().is_under_way());
    }

    async fn a_storage_that_is_away_is_not_mistaken_for_lost_files(slow: Slow) {
        let pulp = slow.0.pulp();
        for number in 0..60 {
            let file = stored(pulp, &format!("file {number}"), 60).await;
            std::fs::remove_file(pulp.storage().local_file(&file).unwrap()).unwrap();
        }
        let task = run(pulp, Scrub::default()).await;
        assert_eq!(task.state(), TaskState::Failed);
        assert!(task.error_text().unwrap().contains("mounted"), "{:?}", task.error_text());
        assert_eq!(ScrubState::read(pulp.db()).await.unwrap().files, 50);
    }

    async fn objects_in_a_store_are_looked_at_too(kit: Kit) {
        let engine = kit.database().engine();
        let server = S3Server::start().await;
        let storage: Arc<dyn Storage> = Arc::new(S3Storage::open(server.options()).unwrap());
        let spool = tempfile::tempdir().unwrap();
        let kit = Kit::built(engine, |builder| builder.storage(storage, spool.path())).await.unwrap();
        let pulp = kit.pulp();
        let (sound, rotten, cut) = (stored(pulp, "sound", 1).await, stored(pulp, "rotten", 1).await, stored(pulp, "cut", 1).await);
        std::fs::write(server.bucket_dir().join(rotten.as_str()), "rotteN").unwrap();
        std::fs::write(server.bucket_dir().join(cut.as_str()), "cu").unwrap();
        assert_eq!(run(pulp, whole()).await.state(), TaskState::Completed);
        let lost = |problem: &str| (problem.to_owned(), "lost".to_owned());
        assert_eq!(states(pulp).await, [lost("digest"), lost("size")]);
        assert!(pulp.storage().size(&sound).await.is_ok() && pulp.storage().size(&rotten).await.is_err());
        let asides: Vec<String> = pulp.db().column("select quarantined from core_scrubfinding order by problem").await.unwrap();
        assert_eq!(std::fs::read_to_string(server.bucket_dir().join(&asides[0])).unwrap(), "rotteN");
        assert_eq!(std::fs::read_to_string(server.bucket_dir().join(&asides[1])).unwrap(), "cu");
    }
}
