//! Exports to a file system.

use std::os::unix::fs::{MetadataExt, symlink};

use pulp_testkit::{Upstream, both_databases};
use serde_json::{Value, json};

use crate::world::{World, href, tree};

const EXPORTERS: &str = "exporters/core/filesystem/";

impl World {
    async fn exporter(&self, name: &str, path: &str, method: &str) -> String {
        let body = json!({"name": name, "path": self.allowed(path), "method": method});
        href(&self.client.create(EXPORTERS, body).await).to_owned()
    }

    async fn publication(&self, repository: &Value) -> String {
        let list = format!("publications/file/file/?repository={}", href(repository));
        href(&self.client.list(&list).await[0]).to_owned()
    }
}

both_databases! {
    async fn a_publication_is_written_whole_and_once(world: World) {
        let client = &world.client;
        let repository = world.repository("r", &[("a", "one"), ("d/e/b", "two")]).await;
        let publication = world.publication(&repository).await;
        let exporter = world.exporter("x", "deep/out/", "write").await;
        let task = client.wait(client.post(&format!("{exporter}exports/"), json!({"publication": publication})).await).await;
        assert_eq!(task["name"], "pulpcore.app.tasks.export.fs_publication_export");
        let files = tree(&world.allowed("deep/out"));
        assert_eq!(files.keys().collect::<Vec<_>>(), ["PULP_MANIFEST", "a", "d/e/b"]);
        assert_eq!(files["d/e/b"], "two");

        let made = task["created_resources"][0].as_str().unwrap();
        let export = client.get(made).await;
        assert_eq!(export["exported_resources"], json!([publication]));
        assert_eq!(export["task"], task["pulp_href"]);
        let key = publication.trim_end_matches('/').rsplit('/').next().unwrap();
        assert_eq!(export["params"], json!({"publication": key}));

        // What is there is left alone.
        let error = client.failure(client.post(&format!("{exporter}exports/"), json!({"publication": publication})).await).await;
        assert!(error.starts_with("[Errno 17] File exists"), "{error}");
        assert_eq!(tree(&world.allowed("deep")).len(), 3);
        assert_eq!(client.list(&format!("{exporter}exports/")).await.len(), 2);
        client.delete(made).await.with(204);
        assert_eq!(client.try_get(made).await.with(404)["detail"], "No FilesystemExport matches the given query.");
    }

    async fn links_lead_to_the_storage(world: World) {
        let client = &world.client;
        let repository = world.repository("r", &[("a", "one")]).await;
        let version = repository["latest_version_href"].as_str().unwrap();
        for method in ["hardlink", "symlink"] {
            let exporter = world.exporter(method, method, method).await;
            client.wait(client.post(&format!("{exporter}exports/"), json!({"repository_version": version})).await).await;
            assert_eq!(std::fs::read_to_string(world.allowed(method).join("a")).unwrap(), "one");
        }
        assert_eq!(std::fs::metadata(world.allowed("hardlink/a")).unwrap().nlink(), 2);
        assert!(std::fs::read_link(world.allowed("symlink/a")).unwrap().is_absolute());
    }

    async fn what_the_recipient_has_is_left_out(world: World) {
        let client = &world.client;
        let repository = world.repository("r", &[("a", "one"), ("b", "two")]).await;
        let first = repository["latest_version_href"].as_str().unwrap().to_owned();
        world.add(href(&repository), &[("c", "three")]).await;
        let second = client.get(href(&repository)).await["latest_version_href"].as_str().unwrap().to_owned();
        let other = world.repository("other", &[("x", "y")]).await;
        let cases = [
            ("version", json!({"repository_version": second, "start_repository_version": first}), &["c"][..]),
            ("published", json!({"publication": world.publication(&repository).await, "start_repository_version": first}), &["PULP_MANIFEST", "c"]),
            // The recipient may have got it from elsewhere.
            ("elsewhere", json!({"repository_version": first, "start_repository_version": other["latest_version_href"]}), &["a", "b"]),
        ];
        for (name, body, expected) in cases {
            let exporter = world.exporter(name, name, "write").await;
            client.wait(client.post(&format!("{exporter}exports/"), body).await).await;
            assert_eq!(tree(&world.allowed(name)).keys().collect::<Vec<_>>(), expected, "{name}");
        }
    }

    async fn nothing_is_written_elsewhere(world: World) {
        let client = &world.client;
        let repository = world.repository("r", &[("a", "one")]).await;
        let version = &repository["latest_version_href"];
        std::fs::create_dir(world.beside("outside")).unwrap();
        symlink(world.beside("outside"), world.allowed("way-out")).unwrap();
        let refused = [
            world.beside("outside/x"),
            world.allowed("../outside/x"),
            world.allowed("way-out/x"),
            world.beside("allowed-too/x"),
            "relative".into(),
        ];
        for path in refused {
            let answer = client.post(EXPORTERS, json!({"name": "x", "path": path})).await.with(400);
            assert_eq!(answer, json!({"path": [format!("Path '{}' is not an allowed export path", path.display())]}));
        }
        // A directory that becomes a link after the exporter was made.
        let exporter = world.exporter("x", "later/x", "write").await;
        symlink(world.beside("outside"), world.allowed("later")).unwrap();
        let error = client.failure(client.post(&format!("{exporter}exports/"), json!({"repository_version": version})).await).await;
        assert!(error.contains("is not an allowed export path"), "{error}");
        assert!(tree(&world.beside("outside")).is_empty());
    }

    async fn an_export_names_one_thing(world: World) {
        let client = &world.client;
        let repository = world.repository("r", &[("a", "one")]).await;
        let (version, publication) = (&repository["latest_version_href"], world.publication(&repository).await);
        let exporter = world.exporter("x", "x", "write").await;
        for body in [json!({}), json!({"publication": publication, "repository_version": version})] {
            let answer = client.post(&format!("{exporter}exports/"), body).await.with(400);
            assert_eq!(answer, json!({"non_field_errors": ["publication or repository_version must either be supplied but not both."]}));
        }
        client.wait(client.patch(&exporter, json!({"path": world.allowed("y")})).await).await;
        assert_eq!(client.get(&exporter).await["path"], json!(world.allowed("y")));
        client.wait(client.delete(&exporter).await).await;
        assert_eq!(client.try_get(&format!("{exporter}exports/")).await.with(404)["detail"], "No FilesystemExporter matches the given query.");
    }

    async fn lazy_files_are_read_from_this_host_and_not_from_others(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("a", "one").manifest();
        let lazy = client.file_repo("lazy").remote(&upstream).policy("on_demand").sync().await;
        let exporter = world.exporter("lazy", "lazy", "write").await;
        let error = client.failure(client.post(&format!("{exporter}exports/"), json!({"repository_version": lazy.version})).await).await;
        assert_eq!(error, "Cannot export artifacts that haven't been downloaded.");
        assert!(!world.allowed("lazy").exists());

        let source = world.allowed("source");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("a"), "local").unwrap();
        let line = pulp_testkit::Blob::from("local").manifest_line("a");
        std::fs::write(source.join("PULP_MANIFEST"), line).unwrap();
        let remote = json!({"name": "l", "url": format!("file://{}/PULP_MANIFEST", source.display()), "policy": "streamed"});
        let remote = client.create("remotes/file/file/", remote).await;
        let local = client.create("repositories/file/file/", json!({"name": "l"})).await;
        client.wait(client.post(&format!("{}sync/", href(&local)), json!({"remote": href(&remote)})).await).await;
        let version = client.get(href(&local)).await["latest_version_href"].clone();
        let exporter = world.exporter("local", "local", "write").await;
        client.wait(client.post(&format!("{exporter}exports/"), json!({"repository_version": version})).await).await;
        assert_eq!(tree(&world.allowed("local"))["a"], "local");
    }
}
