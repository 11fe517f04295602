//! The record of changes: what is in it, who may read it, how long it is kept.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Request};
use pulp_core::api::RemoteAddress;
use pulp_core::body::Body;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::{Value as Json, json};

use super::world::{REPOSITORIES, World, basic};

/// A Pulp that keeps records for a day.
struct Forgetful(World);

#[async_trait::async_trait]
impl Prepare for Forgetful {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.audit_retention_days = 1;
        World::with(engine, settings).await.map(Self)
    }
}

impl World {
    /// The records that a query finds, the latest first.
    async fn records(&self, query: &str) -> Vec<Json> {
        self.get(&format!("audit/?{query}")).await.with(200)["results"].as_array().unwrap().clone()
    }
}

both_databases! {
    async fn each_change_is_on_record(world: World) {
        let repository = world.repository("a").await;
        world.get(&repository).await.with(200);
        world.get(REPOSITORIES).await.with(200);
        let changed = world.patch(&repository, json!({"description": "secret-text"})).await;
        let task = world.task(&changed);
        world.post(&format!("{repository}set_label/"), json!({"key": "k", "value": "secret-text"})).await.with(201);
        world.post("users/", json!({"username": "ann", "password": "secret-text-9"})).await.with(201);
        world.post(REPOSITORIES, json!({"name": "a"})).await.with(400);
        world.delete(&repository).await;
        let records = world.records("").await;
        let told: Vec<_> = records.iter().map(|record| (record["method"].as_str().unwrap(), record["operation"].as_str().unwrap(), record["status"].as_i64().unwrap(), record["object"].as_str())).collect();
        assert_eq!(told, [
            ("DELETE", "repositories/shelf/shelf/{id}/", 202, Some(repository.as_str())),
            ("POST", "repositories/shelf/shelf/", 400, None),
            ("POST", "users/", 201, Some("/pulp/api/v3/users/2/")),
            ("POST", "repositories/shelf/shelf/{id}/set_label/", 201, Some(repository.as_str())),
            ("PATCH", "repositories/shelf/shelf/{id}/", 202, Some(repository.as_str())),
            ("POST", "repositories/shelf/shelf/", 201, Some(repository.as_str())),
        ]);
        assert_eq!(records[4]["task"], json!(task));
        assert!(records.iter().all(|record| record["username"] == "admin" && record["authentication"] == "password"));
        assert!(!json!(records).to_string().contains("secret-text"));
    }

    async fn who_asked_and_from_where_is_on_record(world: World) {
        let ann = world.person("ann").await;
        let refused = ann.ask(Method::DELETE, "orphans/", None).await;
        refused.with(403);
        let record = world.records("username=ann").await.remove(0);
        assert_eq!((&record["status"], &record["path"], &record["remote_address"], &record["token"]), (&json!(403), &json!("/pulp/api/v3/orphans/"), &Json::Null, &Json::Null));
        assert_eq!(record["correlation_id"].as_str(), refused.header("correlation-id"));
        // Nobody in particular leaves no record: everybody could fill it.
        world.send(Method::DELETE, "orphans/", &[], "").await.with(401);
        let made = world.post("tokens/", json!({"name": "ci"})).await.with(201);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let request = Request::post("/pulp/api/v3/tasks/purge/").header("authorization", format!("Bearer {}", made["token"].as_str().unwrap()));
        let request = request.header("x-forwarded-for", "203.0.113.9").header("content-type", "application/json").extension(RemoteAddress(address));
        world.api.handle(request.body(Body::from("{}")).unwrap()).await;
        let record = world.records("authentication=token").await.remove(0);
        assert_eq!((&record["remote_address"], &record["forwarded_for"], &record["operation"]), (&json!("192.0.2.7"), &json!("203.0.113.9"), &json!("tasks/purge/")));
        assert!(made["pulp_href"].as_str().unwrap().contains(record["token"].as_str().unwrap()));
        assert!(record["task"].is_string());
        assert_eq!(world.records("operation=tokens/").await[0]["object"], made["pulp_href"]);
        // It outlives who it is about.
        let ann = world.get("users/?username=ann").await.with(200)["results"][0]["pulp_href"].as_str().unwrap().to_owned();
        world.delete(&ann).await.with(204);
        assert_eq!(world.records("username=ann").await.len(), 1);
    }

    async fn a_client_that_goes_away_leaves_a_record_too(world: World) {
        let endless = Body::stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        let request = Request::post("/pulp/api/v3/repositories/shelf/shelf/").header("authorization", basic("admin", "password"));
        let request = request.header("content-type", "application/json").body(endless).unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), world.api.handle(request)).await.is_err());
        let record = world.records("").await.remove(0);
        assert_eq!((&record["operation"], &record["status"]), (&json!("repositories/shelf/shelf/"), &Json::Null));
    }

    async fn records_are_found_by_what_they_say(world: World) {
        let (a, b) = (world.repository("a").await, world.repository("b").await);
        world.delete(&a).await;
        for (query, count) in [
            (format!("object={a}"), 2),
            (format!("object={b}"), 1),
            (format!("object__in={a},{b}"), 3),
            ("method=DELETE".to_owned(), 1),
            ("operation=repositories/shelf/shelf/".to_owned(), 2),
            ("operation__startswith=repositories/".to_owned(), 3),
            ("operation__contains=remotes".to_owned(), 0),
            ("status=201".to_owned(), 2),
            ("status__gte=400".to_owned(), 0),
            ("username=nobody".to_owned(), 0),
            ("pulp_created__gt=2000-01-01T00:00:00Z".to_owned(), 3),
            ("pulp_created__lt=2000-01-01T00:00:00Z".to_owned(), 0),
        ] {
            assert_eq!(world.records(&query).await.len(), count, "{query}");
        }
        let first = world.records("ordering=pulp_id&limit=1").await.remove(0);
        let href = first["pulp_href"].as_str().unwrap();
        assert_eq!(world.get(href).await.with(200), first);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for path in ["audit/", href] {
                world.call(method.clone(), path, Some(json!({}))).await.with(405);
            }
        }
    }

    async fn the_record_is_for_administrators(world: World) {
        world.repository("a").await;
        let ann = world.person("ann").await;
        ann.ask(Method::GET, "audit/", None).await.with(403);
        let href = world.records("").await[0]["pulp_href"].as_str().unwrap().to_owned();
        ann.ask(Method::GET, &href, None).await.with(403);
    }

    async fn what_was_noted_is_written_when_the_process_stops(world: World) {
        world.repository("a").await;
        world.pulp().flush_audit().await;
        assert_eq!(world.pulp().db().scalar::<i64>("select count(*) from core_auditrecord").await.unwrap(), 1);
    }

    async fn what_could_not_be_written_is_written_later(world: World) {
        let db = world.pulp().db();
        db.execute(Sql::new("alter table core_auditrecord rename to away")).await.unwrap();
        world.repository("a").await;
        world.pulp().flush_audit().await;
        db.execute(Sql::new("alter table away rename to core_auditrecord")).await.unwrap();
        world.repository("b").await;
        assert_eq!(world.records("").await.len(), 2);
    }

    async fn records_are_kept_as_long_as_the_settings_say(forgetful: Forgetful) {
        let world = &forgetful.0;
        world.repository("a").await;
        world.repository("b").await;
        world.pulp().flush_audit().await;
        let earlier = world.pulp().now() - chrono::TimeDelta::days(2);
        let one = "update core_auditrecord set pulp_created = $1 where object = (select min(object) from core_auditrecord)";
        world.pulp().db().execute(Sql::new(one).bind(earlier)).await.unwrap();
        let housekeeping = world.pulp().tasks().housekeeping().find(|reconciler| reconciler.name() == "audit").unwrap();
        housekeeping.run(world.pulp()).await.unwrap();
        assert_eq!(world.records("").await.len(), 1);
    }

    async fn records_are_kept_for_ever_unless_the_settings_say_otherwise(world: World) {
        world.repository("a").await;
        world.pulp().flush_audit().await;
        world.pulp().db().execute(Sql::new("update core_auditrecord set pulp_created = $1").bind(world.pulp().now() - chrono::TimeDelta::days(9_999))).await.unwrap();
        let housekeeping = world.pulp().tasks().housekeeping().find(|reconciler| reconciler.name() == "audit").unwrap();
        housekeeping.run(world.pulp()).await.unwrap();
        assert_eq!(world.records("").await.len(), 1);
    }
}
