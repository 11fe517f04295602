//! Domains: tenants of one Pulp.

use http::Method;
use pulp_core::crypto::password;
use pulp_core::model::User;
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Kit, Prepare, both_databases};
use serde_json::{Value as Json, json};

use super::world::{Answer, DISTRIBUTIONS, REMOTES, REPOSITORIES, Shelf, World, basic};

/// A Pulp with domains.
struct Tenants(World);

#[async_trait::async_trait]
impl Prepare for Tenants {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.domain_enabled = true;
        settings.allowed_export_paths = vec![std::env::temp_dir()];
        let kit = Kit::built(engine, |builder| builder.plugin(Shelf).settings(settings)).await?;
        let hash = password::make("password", 1_000).unwrap();
        User::create_superuser(kit.pulp().db(), "admin", &hash, kit.pulp().now()).await.unwrap();
        let api = kit.pulp().api();
        Some(Self(World { kit, api }))
    }
}

const FILES: &str = "pulpcore.app.models.storage.FileSystem";

impl Tenants {
    /// Asks below a domain.
    async fn ask(&self, method: Method, domain: &str, path: &str, body: Option<Json>) -> Answer {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/pulp/{domain}/api/v3/{path}") };
        self.0.call(method, &path, body).await
    }

    async fn get(&self, domain: &str, path: &str) -> Answer {
        self.ask(Method::GET, domain, path, None).await
    }

    async fn post(&self, domain: &str, path: &str, body: Json) -> Answer {
        self.ask(Method::POST, domain, path, Some(body)).await
    }

    /// Makes a domain; its href.
    async fn domain(&self, name: &str) -> String {
        let body = json!({"name": name, "storage_class": FILES, "storage_settings": {"location": ""}});
        self.post("default", "domains/", body).await.with(201)["pulp_href"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, answer: &Answer) -> Json {
        let task = answer.with(202)["task"].as_str().unwrap().to_owned();
        self.0.ended(&task).await
    }

    /// Stores a file as an artifact of a domain.
    async fn artifact(&self, domain: &str, bytes: &[u8]) -> Json {
        self.0.form(Method::POST, &format!("/pulp/{domain}/api/v3/artifacts/"), &[], Some(bytes), None).await.with(201)
    }
}

both_databases! {
    async fn nothing_is_shared_between_domains(tenants: Tenants) {
        tenants.domain("acme").await;
        let own = tenants.post("acme", REPOSITORIES, json!({"name": "a"})).await.with(201);
        let other = tenants.post("default", REPOSITORIES, json!({"name": "a"})).await.with(201);
        let href = own["pulp_href"].as_str().unwrap();
        assert!(href.starts_with("/pulp/acme/api/v3/"), "{href}");
        for (domain, wanted) in [("acme", href), ("default", other["pulp_href"].as_str().unwrap())] {
            for list in [REPOSITORIES, "repositories/"] {
                let list = tenants.get(domain, list).await.with(200);
                assert_eq!((&list["count"], list["results"][0]["pulp_href"].as_str()), (&json!(1), Some(wanted)));
            }
        }
        // The key of the one is nothing in the other.
        tenants.get("default", &href.replace("/acme/", "/default/")).await.with(404);
        tenants.get("nope", REPOSITORIES).await.with(404);
        tenants.0.get("/pulp/api/v3/tasks/").await.with(404);
        assert_eq!(tenants.get("acme", &format!("{REPOSITORIES}?pulp_href__in={}", other["pulp_href"].as_str().unwrap())).await.with(200)["count"], 0);
    }

    async fn objects_of_another_domain_cannot_be_named(tenants: Tenants) {
        tenants.domain("acme").await;
        let remote = tenants.post("default", REMOTES, json!({"name": "r", "url": "http://upstream.example/"})).await.with(201);
        let wanted = json!({"non_field_errors": ["Objects must all be a part of the acme domain."]});
        for name in [&remote["pulp_href"], &remote["prn"]] {
            assert_eq!(tenants.post("acme", REPOSITORIES, json!({"name": "a", "remote": name})).await.with(400), wanted);
        }
        let own = tenants.post("acme", REPOSITORIES, json!({"name": "a"})).await.with(201)["pulp_href"].as_str().unwrap().to_owned();
        assert_eq!(tenants.post("acme", &format!("{own}echo/"), json!({"word": "x", "remote": remote["pulp_href"]})).await.with(400), wanted);
        assert_eq!(tenants.get("acme", &format!("{REPOSITORIES}?remote={}", remote["pulp_href"].as_str().unwrap())).await.with(200)["count"], 0);
    }

    async fn versions_of_another_domain_are_not_the_exporter_s(tenants: Tenants) {
        tenants.domain("acme").await;
        let mut repositories = Vec::new();
        for domain in ["default", "acme"] {
            let made = tenants.post(domain, REPOSITORIES, json!({"name": "a"})).await.with(201);
            repositories.push(made["pulp_href"].as_str().unwrap().to_owned());
        }
        let exporter = json!({"name": "e", "path": std::env::temp_dir(), "repositories": [repositories[1]]});
        let exporter = tenants.post("acme", "exporters/core/pulp/", exporter).await.with(201)["pulp_href"].as_str().unwrap().to_owned();
        let elsewhere = format!("{}versions/0/", repositories[0]);
        let said = json!(["Requested RepositoryVersions must belong to the Repositories named by the Exporter!"]);
        let body = json!({"versions": [elsewhere], "start_versions": [elsewhere], "full": false});
        let refused = tenants.post("acme", &format!("{exporter}exports/"), body).await.with(400);
        assert_eq!(refused, json!({"versions": said, "start_versions": said}));
    }

    async fn what_is_in_no_domain_has_one_href(tenants: Tenants) {
        tenants.domain("acme").await;
        for path in ["users/", "roles/", "access_policies/", "domains/"] {
            let list = tenants.get("acme", path).await.with(200);
            for object in list["results"].as_array().unwrap() {
                assert!(object["pulp_href"].as_str().unwrap().starts_with(&format!("/pulp/default/api/v3/{path}")), "{object}");
            }
        }
        assert_eq!(tenants.get("acme", "login/").await.with(200)["pulp_href"], "/pulp/default/api/v3/users/1/");
    }

    async fn a_role_in_a_domain_counts_there_alone(tenants: Tenants) {
        let acme = tenants.domain("acme").await;
        for domain in ["acme", "default"] {
            tenants.post(domain, REPOSITORIES, json!({"name": "a"})).await.with(201);
        }
        let made = tenants.post("default", "users/", json!({"username": "ann", "password": "correct-horse-9"})).await.with(201);
        let roles = format!("users/{}/roles/", made["id"]);
        for role in ["shelf.shelfrepository_viewer", "shelf.shelfrepository_creator"] {
            tenants.post("default", &roles, json!({"role": role, "content_object": null, "domain": acme})).await.with(201);
        }
        let authorization = basic("ann", "correct-horse-9");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let ask = async |method: Method, path: &str, body: &str| tenants.0.send(method, path, &headers, body.to_owned()).await;
        assert_eq!(ask(Method::GET, "/pulp/acme/api/v3/repositories/shelf/shelf/", "").await.with(200)["count"], 1);
        assert_eq!(ask(Method::GET, "/pulp/default/api/v3/repositories/shelf/shelf/", "").await.with(200)["count"], 0);
        ask(Method::POST, "/pulp/acme/api/v3/repositories/shelf/shelf/", "{\"name\": \"b\"}").await.with(201);
        ask(Method::POST, "/pulp/default/api/v3/repositories/shelf/shelf/", "{\"name\": \"b\"}").await.with(403);
        assert_eq!(ask(Method::GET, "/pulp/default/api/v3/domains/", "").await.with(200)["count"], 0);
    }

    async fn domains_are_made_changed_and_removed(tenants: Tenants) {
        let refused = [
            (json!({}), json!({"name": ["This field is required."], "storage_class": ["This field is required."], "storage_settings": ["This field is required."]})),
            (json!({"name": "a b", "storage_class": FILES, "storage_settings": {"location": ""}}), json!({"name": ["Enter a valid \"slug\" consisting of letters, numbers, underscores or hyphens."]})),
            (json!({"name": "api", "storage_class": FILES, "storage_settings": {"location": ""}}), json!({"name": ["Name can not be 'api' or 'content'."]})),
            (json!({"name": "default", "storage_class": FILES, "storage_settings": {"location": ""}}), json!({"name": ["This field must be unique."]})),
            (json!({"name": "a", "storage_class": FILES, "storage_settings": {}}), json!({"storage_settings": {"location": ["This field is required."]}})),
            (json!({"name": "a", "storage_class": FILES, "storage_settings": {"x": 1}}), json!({"storage_settings": {"x": "Unexpected field"}})),
            (json!({"name": "a", "storage_class": FILES, "storage_settings": "x"}), json!({"storage_settings": ["Improper JSON string passed in"]})),
            (json!({"name": "a", "storage_class": "storages.backends.azure_storage.AzureStorage", "storage_settings": {}}), json!({"storage_class": ["Backend is not installed on Pulp."]})),
        ];
        for (body, wanted) in refused {
            assert_eq!(tenants.post("default", "domains/", body).await.with(400), wanted);
        }
        let href = tenants.domain("acme").await;
        let shown = tenants.get("default", &href).await.with(200);
        assert_eq!(shown["storage_settings"], json!({"hidden_fields": [], "location": "", "base_url": "", "file_permissions_mode": 420, "directory_permissions_mode": null}));
        let changed = tenants.ask(Method::PATCH, "default", &href, Some(json!({"description": "x"}))).await;
        assert_eq!(tenants.ended(&changed).await["state"], "completed");
        tenants.ask(Method::PATCH, "default", &href, Some(json!({"storage_settings": {"location": ""}}))).await.with(200);
        // In use, it stays.
        let repository = tenants.post("acme", REPOSITORIES, json!({"name": "a"})).await.with(201)["pulp_href"].as_str().unwrap().to_owned();
        tenants.artifact("acme", b"left behind").await;
        let failed = tenants.ended(&tenants.ask(Method::DELETE, "default", &href, None).await).await;
        assert_eq!(failed["state"], "failed", "{failed}");
        let gone = tenants.ask(Method::DELETE, "acme", &repository, None).await;
        assert_eq!(tenants.ended(&gone).await["state"], "completed");
        let gone = tenants.ended(&tenants.ask(Method::DELETE, "acme", &href, None).await).await;
        assert_eq!(gone["state"], "completed", "{gone}");
        tenants.get("default", &href).await.with(404);
        tenants.get("acme", REPOSITORIES).await.with(404);
    }

    async fn the_default_domain_stays_as_it_is(tenants: Tenants) {
        let href = tenants.get("default", "domains/?name=default").await.with(200)["results"][0]["pulp_href"].as_str().unwrap().to_owned();
        assert_eq!(tenants.ask(Method::PATCH, "default", &href, Some(json!({"description": "x"}))).await.with(400), json!(["Default domain can not be updated."]));
        assert_eq!(tenants.ask(Method::DELETE, "default", &href, None).await.with(400), json!(["Default domain can not be deleted."]));
        assert_eq!(tenants.post("default", "domains/migrate/", json!({})).await.with(400), json!(["Default domain can not be migrated."]));
        tenants.post("default", &format!("{href}set_label/"), json!({"key": "a", "value": "b"})).await.with(201);
    }

    async fn each_domain_has_its_own_storage(tenants: Tenants) {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let body = json!({"name": "acme", "storage_class": FILES, "storage_settings": {"MEDIA_ROOT": one.path()}});
        let href = tenants.post("default", "domains/", body).await.with(201)["pulp_href"].as_str().unwrap().to_owned();
        let artifact = tenants.artifact("acme", b"hello").await;
        let file = artifact["file"].as_str().unwrap();
        assert_eq!(std::fs::read(one.path().join(file)).unwrap(), b"hello");
        // The same file is another artifact elsewhere.
        tenants.artifact("default", b"hello").await;
        let again = tenants.0.form(Method::POST, "/pulp/acme/api/v3/artifacts/", &[], Some(b"hello"), None).await;
        assert_eq!(again.status, 400);
        let body = json!({"storage_class": FILES, "storage_settings": {"location": two.path()}});
        let moved = tenants.ended(&tenants.post("acme", "domains/migrate/", body).await).await;
        assert_eq!(moved["state"], "completed", "{moved}");
        let reports: Vec<(&Json, &Json)> = moved["progress_reports"].as_array().unwrap().iter().map(|report| (&report["code"], &report["done"])).collect();
        assert!(reports.contains(&(&json!("migrate"), &json!(1))) && reports.contains(&(&json!("update"), &json!(1))), "{reports:?}");
        assert_eq!(std::fs::read(two.path().join(file)).unwrap(), b"hello");
        assert_eq!(tenants.get("default", &href).await.with(200)["storage_settings"]["location"], json!(two.path()));
        let bad = json!({"storage_class": FILES, "storage_settings": {"location": two.path(), "random": 1}});
        assert_eq!(tenants.post("acme", "domains/migrate/", bad).await.with(400), json!({"storage_settings": {"random": "Unexpected field"}}));
        // New files go there.
        let other = tenants.artifact("acme", b"more").await;
        assert!(two.path().join(other["file"].as_str().unwrap()).exists());
    }

    async fn secrets_of_a_storage_are_not_told(tenants: Tenants) {
        let settings = json!({"access_key": "key-of-acme", "secret_key": "word-of-acme", "bucket_name": "b"});
        let made = tenants.post("default", "domains/", json!({"name": "acme", "storage_class": "storages.backends.s3.S3Storage", "storage_settings": settings})).await;
        if made.status == 400 {
            // Built without it.
            assert_eq!(made.json(), json!({"storage_class": ["Backend is not installed on Pulp."]}));
            return;
        }
        let text = made.with(201).to_string();
        assert!(!text.contains("of-acme"), "{text}");
        use pulp_core::db::ExecutorExt;
        let stored: String = tenants.0.pulp().db().scalar("select cast(storage_settings as text) from core_domain where name = 'acme'").await.unwrap();
        assert!(!stored.contains("of-acme"), "{stored}");
    }

    async fn distributions_are_each_domain_s_own(tenants: Tenants) {
        tenants.domain("acme").await;
        for domain in ["acme", "default"] {
            let made = tenants.post(domain, DISTRIBUTIONS, json!({"name": "d", "base_path": "same/path"})).await;
            assert_eq!(tenants.ended(&made).await["state"], "completed");
            let list = tenants.get(domain, DISTRIBUTIONS).await.with(200);
            assert_eq!(list["results"][0]["base_url"], format!("/pulp/content/{domain}/same/path/"));
        }
        let content = async |path: &str| {
            let request = http::Request::get(format!("/pulp/content/{path}")).body(()).unwrap();
            tenants.0.pulp().content().handle(request).await
        };
        assert_eq!(content("acme").await.headers()["location"], "/pulp/content/acme/");
        assert_eq!(content("acme/").await.status(), 200);
        assert_eq!(content("nobody").await.status(), 404);
    }
}
