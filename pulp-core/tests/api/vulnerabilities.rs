//! Reports of known vulnerabilities, asked of a database that the tests are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::Response;
use pulp_core::body::Body;
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Prepare, Server, both_databases};
use serde_json::{Value as Json, json};

use crate::world::World;

/// What is known of books by their titles; pages are lists.
type Known = Arc<Mutex<HashMap<&'static str, Vec<Json>>>>;

struct Scanned {
    world: World,
    known: Known,
    asked: Arc<Mutex<Vec<Json>>>,
    _server: Server,
}

#[async_trait]
impl Prepare for Scanned {
    async fn prepare(engine: Engine) -> Option<Self> {
        let (known, asked) = (Known::default(), Arc::<Mutex<Vec<Json>>>::default());
        let server = {
            let (known, asked) = (Arc::clone(&known), Arc::clone(&asked));
            Server::start(move |request| {
                let (known, asked) = (Arc::clone(&known), Arc::clone(&asked));
                async move {
                    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/query"));
                    let question: Json = serde_json::from_slice(&request.into_body().read(1 << 16).await.unwrap()).unwrap();
                    asked.lock().unwrap().push(question.clone());
                    let known = known.lock().unwrap();
                    let pages = known.get(question["package"]["name"].as_str().unwrap()).cloned().unwrap_or_default();
                    let page: usize = question["page_token"].as_str().map_or(0, |token| token.parse().unwrap());
                    let mut answer = pages.get(page).map_or_else(|| json!({}), |page| json!({"vulns": page}));
                    if page + 1 < pages.len() {
                        answer["next_page_token"] = json!((page + 1).to_string());
                    }
                    let status = if answer["vulns"][0] == "down" { 400 } else { 200 };
                    Response::builder().status(status).body(Body::from(answer.to_string())).unwrap()
                }
            })
            .await
        };
        let mut settings = Settings::default();
        settings.vulnerability_source_url = format!("{}/v1/query", server.url());
        Some(Self { world: World::with(engine, settings).await?, known, asked, _server: server })
    }
}

impl Scanned {
    async fn scan(&self, version: &str) -> Json {
        let task = self.world.post(&format!("{version}scan/"), json!({})).await;
        self.world.ended(&self.world.task(&task)).await
    }

    fn tell(&self, title: &'static str, pages: Vec<Json>) {
        self.known.lock().unwrap().insert(title, pages);
    }
}

both_databases! {
    async fn a_version_is_scanned_and_its_units_tell(scanned: Scanned) {
        let world = &scanned.world;
        scanned.tell("Wrong", vec![json!([{"id": "V-1"}, {"id": "V-2"}]), json!([{"id": "V-3"}])]);
        let repository = world.repository("shelf").await;
        let books = world.books(&["Right", "Wrong", "Elsewhere"]).await;
        let version = world.version(&repository, &books[..2], &[]).await;
        let task = scanned.scan(&version).await;
        assert_eq!((&task["state"], &task["name"]), (&json!("completed"), &json!("pulpcore.app.tasks.vulnerability_report.check_content")));
        assert_eq!(task["progress_reports"][0]["done"], 2);
        let mut asked: Vec<String> = scanned.asked.lock().unwrap().iter().map(Json::to_string).collect();
        asked.sort();
        assert_eq!(
            asked,
            [
                r#"{"package":{"name":"Right","ecosystem":"Shelf"},"version":"1"}"#,
                r#"{"package":{"name":"Wrong","ecosystem":"Shelf"},"version":"1","page_token":"1"}"#,
                r#"{"package":{"name":"Wrong","ecosystem":"Shelf"},"version":"1"}"#,
            ]
        );
        let reports = world.get("vuln_report/").await.with(200);
        assert_eq!(reports["count"], 1);
        let report = &reports["results"][0];
        assert_eq!(report["vulns"], json!([{"id": "V-1"}, {"id": "V-2"}, {"id": "V-3"}]));
        assert_eq!(report["repo_versions"], json!([version]));
        let unit = world.get(report["content"].as_str().unwrap()).await.with(200);
        assert_eq!((&unit["title"], &unit["vuln_report"]), (&json!("Wrong"), &report["pulp_href"]));

        // The version's own link finds them, other versions none.
        let link = world.get(&version).await.with(200)["vuln_report"].as_str().unwrap().to_owned();
        assert_eq!(world.get(&link).await.with(200)["count"], 1);
        let next = world.version(&repository, &books[2..], &[]).await;
        assert_eq!(world.get(&format!("vuln_report/?repo_versions={next}")).await.with(200)["count"], 0);
        assert_eq!(world.get("vuln_report/?repo_versions=x").await.with(400), json!(["URI couldn't be resolved: x"]));
        // A later look replaces what was known, and the report is of both versions.
        scanned.tell("Wrong", vec![]);
        scanned.tell("Elsewhere", vec![json!([{"id": "V-9"}])]);
        scanned.scan(&next).await;
        assert_eq!(world.get(report["pulp_href"].as_str().unwrap()).await.with(200)["vulns"], json!([]));
        assert_eq!(world.get("vuln_report/").await.with(200)["count"], 2);
        world.delete(report["pulp_href"].as_str().unwrap()).await.with(204);
        assert_eq!(world.get("vuln_report/").await.with(200)["count"], 1);
    }

    async fn a_source_that_refuses_fails_the_scan(scanned: Scanned) {
        let world = &scanned.world;
        scanned.tell("Wrong", vec![json!(["down"])]);
        let repository = world.repository("shelf").await;
        let books = world.books(&["Wrong"]).await;
        let version = world.version(&repository, &books, &[]).await;
        let task = scanned.scan(&version).await;
        assert_eq!(task["state"], "failed");
        assert!(task["error"]["description"].as_str().unwrap().contains("400"), "{task:#}");
        assert_eq!(world.get("vuln_report/").await.with(200)["count"], 0);
        assert_eq!(world.post(&format!("{repository}versions/7/scan/"), json!({})).await.status, 404);
    }
}
