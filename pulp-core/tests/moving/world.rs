//! A Pulp that is served, with workers, and a directory that it may read and write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use pulp_core::crypto::password;
use pulp_core::model::User;
use pulp_core::settings::Settings;
use pulp_core::tasks::Workers;
use pulp_testkit::{Answer, Client, Engine, Kit, Prepare, Server};
use serde_json::{Value, json};

pub struct World {
    pub client: Client,
    pub server: Server,
    pub kit: Kit,
    _workers: Workers,
    dir: tempfile::TempDir,
}

#[async_trait]
impl Prepare for World {
    async fn prepare(engine: Engine) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        std::fs::create_dir(dir.path().join("allowed")).unwrap();
        settings.allowed_export_paths = vec![dir.path().join("allowed")];
        settings.allowed_import_paths = vec![dir.path().join("allowed")];
        let kit = Kit::built(engine, |builder| builder.settings(settings)).await?;
        let hash = password::make("password", 1_000).unwrap();
        User::create_superuser(kit.pulp().db(), "admin", &hash, kit.pulp().now()).await.unwrap();
        let (api, content) = (kit.pulp().api(), kit.pulp().content());
        let server = Server::start(move |request| {
            let (api, content) = (api.clone(), content.clone());
            async move {
                if request.uri().path().starts_with("/pulp/content/") { content.handle(request).await } else { api.handle(request).await }
            }
        })
        .await;
        let workers = Workers::start(kit.pulp(), 2).await.unwrap();
        Some(Self { client: server.client().basic_auth("admin", "password"), server, kit, _workers: workers, dir })
    }
}

pub fn href(object: &Value) -> &str {
    object["pulp_href"].as_str().unwrap()
}

impl World {
    /// Another Pulp like this one.
    pub async fn another(&self) -> Self {
        Self::prepare(self.kit.database().engine()).await.unwrap()
    }

    /// A path below the directory that it may use.
    pub fn allowed(&self, path: &str) -> PathBuf {
        self.dir.path().join("allowed").join(path)
    }

    /// A path beside it.
    pub fn beside(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A repository with these files.
    pub async fn repository(&self, name: &str, files: &[(&str, &str)]) -> Value {
        let repository = self.client.create("repositories/file/file/", json!({"name": name, "autopublish": true})).await;
        self.add(href(&repository), files).await;
        self.client.get(href(&repository)).await
    }

    /// Adds files to a repository, in one version.
    pub async fn add(&self, repository: &str, files: &[(&str, &str)]) {
        let mut units = Vec::new();
        for (path, text) in files {
            let answer = self.client.post_form("content/file/files/", &[("relative_path", path)], Some(text.as_bytes())).await;
            units.push(self.client.wait(answer).await["result"]["pulp_href"].clone());
        }
        self.client.wait(self.client.post(&format!("{repository}modify/"), json!({"add_content_units": units})).await).await;
    }

    /// The tasks of a group that have ended, by the last part of their names, sorted; each with its state and why it failed.
    pub async fn group(&self, answer: Answer) -> Vec<(String, String, String)> {
        let group = answer.with(202)["task_group"].as_str().unwrap().to_owned();
        for _ in 0..600 {
            let shown = self.client.get(&group).await;
            let open = ["waiting", "running", "canceling"].iter().any(|state| shown[state] != 0);
            if shown["all_tasks_dispatched"] == true && !open {
                let mut tasks = Vec::new();
                for task in self.client.list(&format!("tasks/?task_group={group}")).await {
                    let name = task["name"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
                    let error = task["error"]["description"].as_str().unwrap_or_default().to_owned();
                    tasks.push((name, task["state"].as_str().unwrap().to_owned(), error));
                }
                tasks.sort();
                return tasks;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the tasks of {group} do not end");
    }

    /// The paths of a version.
    pub async fn paths(&self, version: &str) -> Vec<String> {
        let units = self.client.list(&format!("content/file/files/?repository_version={version}&ordering=relative_path")).await;
        units.iter().map(|unit| unit["relative_path"].as_str().unwrap().to_owned()).collect()
    }

    /// The one object of a list with this name.
    pub async fn named(&self, collection: &str, name: &str) -> Value {
        let mut found = self.client.list(&format!("{collection}?name={name}")).await;
        assert_eq!(found.len(), 1, "{collection} {name}");
        found.remove(0)
    }
}

/// The files below a directory, with their bytes.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    fn walk(at: &Path, prefix: &str, into: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), into);
            } else {
                into.insert(name, std::fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
    }
    let mut into = BTreeMap::new();
    walk(root, "", &mut into);
    into
}
