//! Archives in Pulp’s own format: what they hold, and what becomes of them elsewhere.

use std::io::Read;
use std::path::{Path, PathBuf};

use pulp_testkit::{Blob, both_databases};
use serde_json::{Value, json};

use crate::world::{World, href};

const EXPORTERS: &str = "exporters/core/pulp/";
const IMPORTERS: &str = "importers/core/pulp/";

impl World {
    pub async fn pulp_exporter(&self, repositories: &[&Value]) -> String {
        let repositories: Vec<&str> = repositories.iter().map(|repository| href(repository)).collect();
        let body = json!({"name": "x", "path": self.allowed("out"), "repositories": repositories});
        href(&self.client.create(EXPORTERS, body).await).to_owned()
    }

    /// Exports, and shows the export.
    pub async fn export(&self, exporter: &str, body: Value) -> Value {
        let task = self.client.wait(self.client.post(&format!("{exporter}exports/"), body).await).await;
        self.client.get(task["created_resources"][0].as_str().unwrap()).await
    }

    pub async fn importer(&self, mapping: Value) -> String {
        let count = self.client.list(IMPORTERS).await.len();
        href(&self.client.create(IMPORTERS, json!({"name": format!("i{count}"), "repo_mapping": mapping})).await).to_owned()
    }

    /// Where a file can be imported from.
    pub fn brought(&self, file: &Path) -> PathBuf {
        let to = self.allowed(&file.file_name().unwrap().to_string_lossy());
        std::fs::copy(file, &to).unwrap();
        to
    }
}

/// The files of an export that end like this.
pub fn files(export: &Value, end: &str) -> Vec<PathBuf> {
    let files = export["output_file_info"].as_object().unwrap().keys();
    let mut files: Vec<PathBuf> =
        files.filter(|name| name.ends_with(end) || name.contains(&format!("{end}."))).map(PathBuf::from).collect();
    files.sort();
    files
}

/// Names and texts of an archive, in its order.
fn members(archive: &Path) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(std::fs::File::open(archive).unwrap());
    let read = |entry: std::io::Result<tar::Entry<'_, std::fs::File>>| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (entry.path().unwrap().to_string_lossy().into_owned(), text)
    };
    archive.entries().unwrap().map(read).collect()
}

fn completed(tasks: &[(String, String, String)]) -> usize {
    assert!(tasks.iter().all(|(_, state, _)| state == "completed"), "{tasks:?}");
    tasks.len()
}

both_databases! {
    async fn an_archive_is_laid_out_as_pulps(world: World) {
        let repository = world.repository("is/os", &[("a", "one"), ("d/b", "two")]).await;
        let exporter = world.pulp_exporter(&[&repository]).await;
        let export = world.export(&exporter, json!({"meta": {"by": "me", "checksum_type": "md5"}})).await;
        assert_eq!(export["exported_resources"], json!([repository["latest_version_href"]]));
        assert_eq!(export["params"], json!({"meta": {"by": "me", "checksum_type": "md5"}}));
        assert_eq!(world.client.get(&exporter).await["last_export"], export["pulp_href"]);
        let archive = &files(&export, ".tar")[0];
        let members = members(archive);
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "versions.json");
        assert!(names[1].starts_with("artifact/") && names[2].starts_with("artifact/"), "{names:?}");
        assert_eq!(names[3..], [
            "pulpcore.app.modelresource.ArtifactResource.json",
            "pulpcore.app.modelresource.RepositoryResource.json",
            "repository-is/os_1/pulp_file.app.modelresource.FileContentResource.json",
            "repository-is/os_1/pulp_file.app.modelresource.FileRepositoryResource.json",
            "repository-is/os_1/pulpcore.app.modelresource.ContentArtifactResource.json",
        ]);
        assert_eq!(members[0].1, "[{\"component\": \"core\", \"version\": \"3.123.1\"}, {\"component\": \"file\", \"version\": \"3.123.1\"}]");
        let domain = world.kit.pulp().default_domain().pulp_id;
        let list = |at: usize| -> Vec<Value> { serde_json::from_str(&members[at].1).unwrap() };
        let artifact = list(3).into_iter().find(|row| row["sha256"] == json!(Blob::from("one").sha256())).unwrap();
        let keys: Vec<&String> = artifact.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["file", "size", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "pulp_domain"]);
        assert_eq!((&artifact["size"], &artifact["md5"]), (&json!("3"), &json!("")));
        assert_eq!(list(4), [json!({
            "pulp_type": "file.file", "name": "is/os", "description": "", "retain_repo_versions": "", "retain_checkpoints": "",
            "user_hidden": "0", "pulp_domain": domain,
        })]);
        let unit = &list(5)[0];
        assert_eq!(unit, &json!({
            "pulp_type": "file.file", "upstream_id": unit["upstream_id"], "pulp_domain": domain, "relative_path": "a",
            "digest": Blob::from("one").sha256(), "_pulp_domain": domain,
        }));
        assert_eq!((&list(6)[0]["manifest"], &list(6)[0]["autopublish"]), (&json!("PULP_MANIFEST"), &json!("1")));
        assert_eq!(list(6)[0]["last_sync_details"], "{}");
        assert_eq!(list(7)[0], json!({"artifact": Blob::from("one").sha256(), "content": unit["upstream_id"], "relative_path": "a"}));

        let bytes = std::fs::read(archive).unwrap();
        assert_eq!(bytes.len() % 10_240, 0);
        let toc = &files(&export, "-toc.json")[0];
        let toc: Value = serde_json::from_slice(&std::fs::read(toc).unwrap()).unwrap();
        assert_eq!(toc["meta"], json!({"by": "me", "checksum_type": "crc32"}));
        let name = archive.file_name().unwrap().to_string_lossy();
        assert_eq!(toc["files"], json!({name: format!("{:x}", crc32fast::hash(&bytes))}));
    }

    async fn what_was_exported_is_imported_elsewhere(world: World) {
        let repository = world.repository("isos", &[("a", "one"), ("b", "two")]).await;
        let large = "x".repeat(3 << 20);
        world.add(href(&repository), &[("large", &large)]).await;
        let exporter = world.pulp_exporter(&[&repository]).await;
        let export = world.export(&exporter, json!({})).await;
        let there = world.another().await;
        let archive = there.brought(&files(&export, ".tar")[0]);
        let importer = there.importer(json!({})).await;
        let imports = format!("{importer}imports/");
        let body = json!({"path": archive, "create_repositories": true});
        let tasks = there.group(there.client.post(&imports, body.clone()).await).await;
        assert_eq!(completed(&tasks), 2);
        let imported = there.named("repositories/file/file/", "isos").await;
        assert_eq!((&imported["manifest"], &imported["autopublish"]), (&json!("PULP_MANIFEST"), &json!(true)));
        let version = imported["latest_version_href"].as_str().unwrap();
        assert!(version.ends_with("/versions/1/"));
        assert_eq!(there.paths(version).await, ["a", "b", "large"]);
        there.client.wait(there.client.post("distributions/file/file/",
            json!({"name": "d", "base_path": "d", "repository": href(&imported)})).await).await;
        assert_eq!(there.client.try_get("/pulp/content/d/large").await.text(), large);
        assert_eq!(there.client.try_get("/pulp/content/d/b").await.text(), "two");

        // Again: nothing has changed.
        completed(&there.group(there.client.post(&imports, body).await).await);
        assert_eq!(there.named("repositories/file/file/", "isos").await["latest_version_href"], imported["latest_version_href"]);
        let all = there.client.list(&imports).await;
        assert_eq!(all.len(), 2);
        assert_eq!(all[0]["params"], json!({"path": archive}));
        there.client.delete(href(&all[0])).await.with(204);
        let left: i64 = pulp_core::db::ExecutorExt::scalar(there.kit.pulp().db(), "select count(*) from pulp_importedunit").await.unwrap();
        assert_eq!(left, 0);
    }

    async fn chunks_are_put_together_and_a_mapping_renames(world: World) {
        let first = world.repository("one", &[("a", "one")]).await;
        let second = world.repository("two", &[("a", "one"), ("b", "two")]).await;
        let exporter = world.pulp_exporter(&[&first, &second]).await;
        let export = world.export(&exporter, json!({"chunk_size": "3KB"})).await;
        let chunks = files(&export, ".tar");
        assert!(chunks.len() > 3 && chunks[1].to_string_lossy().ends_with(".tar.0001"), "{chunks:?}");
        assert_eq!(std::fs::metadata(&chunks[1]).unwrap().len(), 3 << 10);
        let there = world.another().await;
        for chunk in &chunks {
            there.brought(chunk);
        }
        let toc = there.brought(&files(&export, "-toc.json")[0]);
        let target = there.repository("target", &[("old", "gone")]).await;
        let importer = there.importer(json!({"one": "target"})).await;
        let tasks = there.group(there.client.post(&format!("{importer}imports/"), json!({"toc": toc})).await).await;
        // What has no counterpart is passed over.
        assert_eq!(completed(&tasks), 2);
        assert_eq!(there.client.list(&format!("{importer}imports/")).await[0]["params"], json!({"path": toc}));
        let target = there.client.get(href(&target)).await;
        assert_eq!(there.paths(target["latest_version_href"].as_str().unwrap()).await, ["a"]);
        assert!(there.client.list("repositories/file/file/?name=two").await.is_empty());
        let body = json!({"toc": toc, "create_repositories": true});
        let refused = there.client.post(&format!("{importer}imports/"), body).await.with(400);
        assert_eq!(refused, json!({"non_field_errors": ["The option 'create_repositories' is not compatible with 'repo_mapping'."]}));
        let unknown = there.client.post(IMPORTERS, json!({"name": "u", "repo_mapping": {"a": "nope", "b": "target"}})).await.with(400);
        assert_eq!(unknown, json!(["Failed to find repositories from repo_mapping: names: ['nope']"]));
    }

    async fn an_increment_has_new_artifacts_and_all_units(world: World) {
        let client = &world.client;
        let repository = world.repository("isos", &[("a", "one")]).await;
        let exporter = world.pulp_exporter(&[&repository]).await;
        let exports = format!("{exporter}exports/");
        let refused = client.post(&exports, json!({"full": false})).await.with(400);
        assert_eq!(refused, json!({"non_field_errors": [
            "Incremental export can only be requested when there is a previous export or start_versions= has been specified."
        ]}));
        let whole = world.export(&exporter, json!({})).await;
        world.add(href(&repository), &[("b", "two")]).await;
        let first = &repository["latest_version_href"];
        let increment = world.export(&exporter, json!({"full": false})).await;
        let named = world.export(&exporter, json!({"full": false, "start_versions": [first]})).await;
        assert_eq!(named["params"], json!({"full": false, "start_versions": [first]}));
        for export in [&increment, &named] {
            let members = members(&files(export, ".tar")[0]);
            assert_eq!(members.iter().filter(|(name, _)| name.starts_with("artifact/")).count(), 1);
            let units: Vec<Value> = serde_json::from_str(&members.iter().find(|(name, _)| name.contains("FileContent")).unwrap().1).unwrap();
            assert_eq!(units.len(), 2);
        }
        // Without what came before it is not complete, and with it, it is.
        let there = world.another().await;
        let importer = there.importer(json!({})).await;
        let (whole, increment) = (there.brought(&files(&whole, ".tar")[0]), there.brought(&files(&increment, ".tar")[0]));
        let imports = format!("{importer}imports/");
        let import = |path: PathBuf| there.client.post(&imports, json!({"path": path, "create_repositories": true}));
        let tasks = there.group(import(increment.clone()).await).await;
        assert!(tasks.iter().any(|(_, state, error)| state == "failed" && error.contains("which it has not")), "{tasks:?}");
        completed(&there.group(import(whole).await).await);
        completed(&there.group(import(increment).await).await);
        let imported = there.named("repositories/file/file/", "isos").await;
        assert_eq!(there.paths(imported["latest_version_href"].as_str().unwrap()).await, ["a", "b"]);
    }

    async fn an_export_is_asked_for_properly(world: World) {
        let client = &world.client;
        let (one, two) = (world.repository("one", &[("a", "one")]).await, world.repository("two", &[("a", "one")]).await);
        let exporter = world.pulp_exporter(&[&one]).await;
        let (of_one, of_two) = (&one["latest_version_href"], &two["latest_version_href"]);
        let belong = "Requested RepositoryVersions must belong to the Repositories named by the Exporter!";
        let number = |of: usize| format!("Number of versions (1) does not match the number of Repositories ({of}) for the owning  Exporter!");
        let cases = [
            (json!({"versions": [of_two]}), json!({"versions": [belong]})),
            (json!({"versions": []}), json!({"versions": [number(0)]})),
            (json!({"versions": [of_one, of_two]}), json!({"versions": [number(2)]})),
            (json!({"full": false, "start_versions": [of_two]}), json!({"start_versions": [belong]})),
            (json!({"start_versions": [of_one]}),
                json!({"non_field_errors": ["start_versions is only valid for incremental exports (full=False)"]})),
            (json!({"chunk_size": "5"}), json!({"chunk_size": ["chunk_size '5' is not valid (valid units are B/KB/MB/GB/TB)"]})),
            (json!({"meta": [1]}), json!({"meta": ["Expected a dictionary of items but got type \"list\"."]})),
        ];
        for (body, expected) in cases {
            assert_eq!(client.post(&format!("{exporter}exports/"), body).await.with(400), expected);
        }
        client.wait(client.patch(&exporter, json!({"repositories": [href(&one), href(&two)]})).await).await;
        assert_eq!(client.get(&exporter).await["repositories"].as_array().unwrap().len(), 2);
        let export = world.export(&exporter, json!({"versions": [of_two, of_one]})).await;
        assert_eq!(export["exported_resources"].as_array().unwrap().len(), 2);
        client.wait(client.delete(href(&two)).await).await;
        assert_eq!(client.get(&exporter).await["repositories"], json!([href(&one)]));
        assert_eq!(client.get(href(&export)).await["exported_resources"], json!([of_one]));
    }
}
