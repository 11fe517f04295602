//! A Pulp that is served, with workers.

use async_trait::async_trait;
use http::Method;
use pulp_core::crypto::password;
use pulp_core::model::User;
use pulp_core::settings::Settings;
use pulp_core::tasks::Workers;
use pulp_testkit::{Client, Engine, Kit, Prepare, Server};
use serde_json::{Value, json};

/// The admin’s client, and one of nobody.
pub struct World {
    pub client: Client,
    pub anybody: Client,
    pub kit: Kit,
    _workers: Workers,
    _server: Server,
}

#[async_trait]
impl Prepare for World {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.envvar_header_content_guard_allowed_vars = vec!["CARGO_PKG_NAME".to_owned(), "PULP_NO_SUCH_VARIABLE".to_owned()];
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
        let anybody = server.client();
        Some(Self { client: server.client().basic_auth("admin", "password"), anybody, kit, _workers: workers, _server: server })
    }
}

pub fn href(object: &Value) -> &str {
    object["pulp_href"].as_str().unwrap()
}

impl World {
    /// Makes something; its href.
    pub async fn make(&self, collection: &str, body: Value) -> String {
        href(&self.client.create(collection, body).await).to_owned()
    }

    /// A distribution that is guarded, and points nowhere: what may be read is 404, what may not is 403. Its href.
    pub async fn guarded(&self, base_path: &str, guard: &str) -> String {
        self.make("distributions/file/file/", json!({"name": base_path, "base_path": base_path, "content_guard": guard})).await
    }

    /// What somebody with these headers is told at a path of the content.
    pub async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self.anybody.request(Method::GET, &format!("/pulp/content/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.anybody.send(request).await;
        (answer.status.as_u16(), answer.text())
    }
}
