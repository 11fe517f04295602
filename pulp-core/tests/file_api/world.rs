//! A Pulp that is served, and what the tests ask of it.

use async_trait::async_trait;
use pulp_core::crypto::password;
use pulp_core::model::User;
use pulp_core::settings::Settings;
use pulp_core::tasks::Workers;
use pulp_testkit::client::created;
use pulp_testkit::{Client, Engine, Kit, Prepare, Server};
use serde_json::{Value, json};

/// A Pulp that is served, with workers, and a client of its admin.
pub struct World {
    pub client: Client,
    _workers: Workers,
    _server: Server,
    pub kit: Kit,
}

#[async_trait]
impl Prepare for World {
    async fn prepare(engine: Engine) -> Option<Self> {
        Self::with(engine, Settings::default()).await
    }
}

impl World {
    /// One with these settings.
    pub async fn with(engine: Engine, settings: Settings) -> Option<Self> {
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
        Some(Self { client: server.client().basic_auth("admin", "password"), _workers: workers, _server: server, kit })
    }
}

pub const REPOSITORIES: &str = "repositories/file/file/";
pub const FILES: &str = "content/file/files/";

/// The href of an object.
pub fn href(object: &Value) -> &str {
    object["pulp_href"].as_str().unwrap()
}

/// The paths that a version has, sorted.
pub async fn paths(client: &Client, version: &str) -> Vec<String> {
    let units = client.list(&format!("{FILES}?repository_version={version}&ordering=relative_path")).await;
    units.iter().map(|unit| unit["relative_path"].as_str().unwrap().to_owned()).collect()
}

impl World {
    /// Makes a unit of the type; its href.
    pub async fn unit(&self, path: &str, text: &str) -> String {
        let made = self.client.post_form(&format!("{FILES}upload/"), &[("relative_path", path)], Some(text.as_bytes())).await;
        href(&made.with(201)).to_owned()
    }

    /// Adds units to a repository; the href of the version.
    pub async fn add(&self, repository: &Value, units: &[&str]) -> String {
        let modify = format!("{}modify/", href(repository));
        created(&self.client.wait(self.client.post(&modify, json!({"add_content_units": units})).await).await, "versions")
    }

    /// The numbers of a repository’s versions, the newest first.
    pub async fn numbers(&self, repository: &Value) -> Vec<i64> {
        let versions = self.client.list(&format!("{}versions/", href(repository))).await;
        versions.iter().map(|version| version["number"].as_i64().unwrap()).collect()
    }

    /// Changes an object, by a task or at once.
    pub async fn patch(&self, object: &str, body: Value) {
        let answer = self.client.patch(object, body).await;
        if answer.status == 202 {
            self.client.wait(answer).await;
        } else {
            answer.ok();
        }
    }
}
