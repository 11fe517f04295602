//! Files that were lost or damaged behind Pulp’s back.

use pulp_core::storage::ArtifactPath;
use pulp_testkit::{Upstream, both_databases};
use serde_json::{Value, json};

use super::world::{FILES, REPOSITORIES, World, href};

/// What a repair has counted: missing, corrupted, repaired.
fn counts(task: &Value) -> [i64; 3] {
    ["repair.missing", "repair.corrupted", "repair.repaired"].map(|code| {
        let reports = task["progress_reports"].as_array().unwrap();
        let report = reports.iter().find(|report| report["code"] == code).unwrap();
        assert_eq!(report["state"], "completed");
        report["done"].as_i64().unwrap()
    })
}

impl World {
    /// Where the file of a unit lies.
    pub async fn file(&self, path: &str) -> ArtifactPath {
        let unit = &self.client.list(&format!("{FILES}?relative_path={path}")).await[0];
        let artifact = self.client.get(unit["artifact"].as_str().unwrap()).await;
        artifact["file"].as_str().unwrap().parse().unwrap()
    }

    pub fn damage(&self, file: &ArtifactPath, with: &str) {
        std::fs::write(self.kit.pulp().storage().local_file(file).unwrap(), with).unwrap();
    }

    pub async fn lose(&self, file: &ArtifactPath) {
        self.kit.pulp().storage().delete(file).await.unwrap();
    }

    async fn repair(&self, path: &str, body: Value) -> Value {
        self.client.wait(self.client.post(path, body).await).await
    }
}

both_databases! {
    async fn what_a_source_still_has_is_fetched_again(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("lost", "one").file("rotten", "two").file("sound", "three").manifest();
        let address = json!({"name": "r", "url": upstream.url("PULP_MANIFEST"), "policy": "immediate"});
        let remote = client.create("remotes/file/file/", address).await;
        let repository = client.create(REPOSITORIES, json!({"name": "r", "autopublish": true})).await;
        client.create("distributions/file/file/", json!({"name": "d", "base_path": "d", "repository": href(&repository)})).await;
        client.wait(client.post(&format!("{}sync/", href(&repository)), json!({"remote": href(&remote)})).await).await;
        let (lost, rotten) = (world.file("lost").await, world.file("rotten").await);
        world.lose(&lost).await;
        // As long as it was: only its digest tells.
        world.damage(&rotten, "owt");
        assert_eq!(client.try_get("/pulp/content/d/rotten").await.text(), "owt");

        let version = format!("{}versions/1/repair/", href(&repository));
        let task = world.repair(&version, json!({"verify_checksums": false})).await;
        assert_eq!(task["name"], "pulpcore.app.tasks.repository.repair_version");
        assert_eq!(counts(&task), [1, 0, 1]);
        assert_eq!(client.try_get("/pulp/content/d/lost").await.text(), "one");
        assert_eq!(counts(&world.repair(&version, json!({"verify_checksums": false})).await), [0, 0, 0]);
        // Checksums are compared if nothing is said.
        assert_eq!(counts(&world.repair(&version, json!({})).await), [0, 1, 1]);
        assert_eq!(client.try_get("/pulp/content/d/rotten").await.text(), "two");
        assert_eq!(counts(&world.repair(&version, json!({})).await), [0, 0, 0]);
        assert_eq!(upstream.hits("sound"), 1);
    }

    async fn what_nobody_has_is_told_and_not_served_wrong(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r", "autopublish": true})).await;
        let (lost, rotten) = (world.unit("lost", "one").await, world.unit("rotten", "two").await);
        world.add(&repository, &[&lost, &rotten]).await;
        client.create("distributions/file/file/", json!({"name": "d", "base_path": "d", "repository": href(&repository)})).await;
        let (lost, rotten) = (world.file("lost").await, world.file("rotten").await);
        world.lose(&lost).await;
        world.damage(&rotten, "longer than it was");
        let task = world.repair("repair/", json!({"verify_checksums": true})).await;
        assert_eq!(task["name"], "pulpcore.app.tasks.repository.repair_all_artifacts");
        assert_eq!(counts(&task), [1, 1, 0]);
        assert!(world.kit.pulp().storage().size(&rotten).await.is_err(), "better none than a wrong one");
        assert_eq!(counts(&world.repair("repair/", json!({})).await), [2, 0, 0]);
        // Whoever brings it again repairs it.
        world.unit("again", "two").await;
        assert_eq!(client.try_get("/pulp/content/d/rotten").await.text(), "two");
        let refused = client.post("repair/", json!({"verify_checksums": "x"})).await.with(400);
        assert_eq!(refused, json!({"verify_checksums": ["Must be a valid boolean."]}));
        client.post(&format!("{}versions/7/repair/", href(&repository)), json!({})).await.with(404);
    }
}
