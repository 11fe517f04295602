//! What depends on a remote, and what becomes of it when the remote is deleted.

use async_trait::async_trait;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::settings::Settings;
use pulp_testkit::{Client, Engine, Prepare, Upstream, both_databases};
use serde_json::{Value, json};

use super::world::{REPOSITORIES, World, href};

const REMOTES: &str = "remotes/file/file/";

/// A Pulp that keeps the sources of deleted remotes.
struct Keeping(World);

#[async_trait]
impl Prepare for Keeping {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.keep_sources_of_deleted_remotes = true;
        World::with(engine, settings).await.map(Self)
    }
}

impl World {
    async fn remote(&self, name: &str, upstream: &Upstream) -> Value {
        let body = json!({"name": name, "url": upstream.url("PULP_MANIFEST"), "policy": "on_demand", "username": "u", "password": "p"});
        self.client.create(REMOTES, body).await
    }

    /// A repository that is synced from a remote and served at its name.
    async fn synced(&self, name: &str, remote: &Value) -> Value {
        let repository = self.client.create(REPOSITORIES, json!({"name": name, "autopublish": true, "remote": href(remote)})).await;
        self.client.wait(self.client.post(&format!("{}sync/", href(&repository)), json!({})).await).await;
        let body = json!({"name": name, "base_path": name, "repository": href(&repository)});
        self.client.create("distributions/file/file/", body).await;
        repository
    }

    async fn delete(&self, object: &Value) {
        let answer = self.client.delete(href(object)).await;
        if answer.status == 202 {
            self.client.wait(answer).await;
        } else {
            answer.with(204);
        }
    }

    async fn count(&self, table: &str) -> i64 {
        self.kit.pulp().db().scalar(Sql::new(format!("select count(*) from {table}"))).await.unwrap()
    }

    async fn clean(&self) {
        self.client.wait(self.client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
    }

    /// Waits until a file that was fetched is noted as stored.
    async fn stored(&self, path: &str) {
        let sql = format!("core_contentartifact where relative_path = '{path}' and artifact_id is not null");
        for _ in 0..2_000 {
            if self.count(&sql).await > 0 {
                return;
            }
        }
        panic!("{path} was not stored");
    }
}

async fn dependents(client: &Client, remote: &Value) -> Value {
    client.get(&format!("{}dependents/", href(remote))).await
}

/// What an answer says of the losers of a kind: names, units, files, bytes, files of unknown size.
fn losers(answer: &Value, kind: &str) -> Vec<(String, i64, i64, i64, i64)> {
    let number = |one: &Value, name: &str| one[name].as_i64().unwrap();
    let of = |one: &Value| {
        assert!(one["pulp_href"].as_str().unwrap().starts_with("/pulp/api/v3/") && one["prn"].as_str().unwrap().starts_with("prn:file."));
        let name = one["name"].as_str().unwrap().to_owned();
        (name, number(one, "units"), number(one, "artifacts"), number(one, "bytes"), number(one, "artifacts_of_unknown_size"))
    };
    answer[kind].as_array().unwrap().iter().map(of).collect()
}

both_databases! {
    async fn it_is_told_who_would_lose_what(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("a", "aaa").file("b", "bbbbb").file("c", "c").manifest();
        let remote = world.remote("remote", &upstream).await;
        let nothing = dependents(client, &remote).await;
        assert_eq!((&nothing["units"], &nothing["repositories"], &nothing["distributions"]), (&json!(0), &json!([]), &json!([])));
        let one = world.synced("one", &remote).await;
        world.synced("two", &remote).await;
        client.create(REPOSITORIES, json!({"name": "unconcerned"})).await;
        // One file is stored, and one has another source.
        assert_eq!(client.try_get("/pulp/content/one/a").await.text(), "aaa");
        world.stored("a").await;
        let other = Upstream::start().await.file("b", "bbbbb").manifest();
        let other = world.remote("other", &other).await;
        world.synced("three", &other).await;
        let lost = dependents(client, &remote).await;
        assert_eq!((&lost["units"], &lost["artifacts"], &lost["bytes"], &lost["repository_count"]), (&json!(1), &json!(1), &json!(1), &json!(2)));
        let expected: Vec<_> = ["one", "two"].map(|name| (name.to_owned(), 1, 1, 1, 0)).to_vec();
        assert_eq!(losers(&lost, "repositories"), expected);
        assert_eq!(losers(&lost, "distributions"), expected);
        assert_eq!(lost["distributions"][0]["base_path"], "one");
        assert_eq!(dependents(client, &other).await["artifacts"], 0);
        // An older version still has it; what is served has not.
        let unit = client.list(&format!("content/file/files/?relative_path=c&repository_version={}versions/1/", href(&one))).await;
        let modify = format!("{}modify/", href(&one));
        client.wait(client.post(&modify, json!({"remove_content_units": [href(&unit[0])]})).await).await;
        let lost = dependents(client, &remote).await;
        assert_eq!(losers(&lost, "repositories"), expected);
        assert_eq!(losers(&lost, "distributions"), expected[1..]);
        // Whoever has it under another name has it, too; and a distribution that pulls through loses whatever it could ask for.
        world.unit("another", "c").await;
        client.create("distributions/file/file/", json!({"name": "pulls", "base_path": "pulls"})).await;
        let point = Sql::new("update core_distribution set remote_id = (select pulp_id from core_remote where name = 'remote') where name = 'pulls'");
        world.kit.pulp().db().execute(point).await.unwrap();
        let lost = dependents(client, &remote).await;
        assert_eq!((&lost["artifacts"], &lost["repositories"]), (&json!(0), &json!([])));
        assert_eq!(losers(&lost, "distributions"), [("pulls".to_owned(), 0, 0, 0, 0)]);
        assert_eq!(lost["distributions"][0]["pull_through"], true);
        client.try_get(&format!("{REMOTES}00000000-0000-7000-8000-000000000000/dependents/")).await.with(404);
    }

    async fn only_what_the_asker_may_see_is_named(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await.file("a", "aaa").manifest();
        let remote = world.remote("remote", &upstream).await;
        let one = world.synced("one", &remote).await;
        world.synced("two", &remote).await;
        client.post("users/", json!({"username": "ann", "password": "a-long-passphrase"})).await.with(201);
        let ann = Client::new(client.base_url()).basic_auth("ann", "a-long-passphrase");
        ann.try_get(&format!("{}dependents/", href(&remote))).await.with(404);
        for (object, role) in [(&remote, "file.fileremote_viewer"), (&one, "file.filerepository_viewer")] {
            client.post(&format!("{}add_role/", href(object)), json!({"role": role, "users": ["ann"]})).await.with(201);
        }
        let seen = dependents(&ann, &remote).await;
        assert_eq!((&seen["units"], &seen["repository_count"]), (&json!(1), &json!(1)));
        assert_eq!(losers(&seen, "repositories"), [("one".to_owned(), 1, 1, 3, 0)]);
        assert_eq!(seen["distributions"], json!([]));
    }

    async fn without_the_setting_the_sources_go_with_the_remote(world: World) {
        let upstream = Upstream::start().await.file("a", "aaa").manifest();
        let remote = world.remote("remote", &upstream).await;
        world.synced("one", &remote).await;
        world.delete(&remote).await;
        assert_eq!(world.client.try_get("/pulp/content/one/a").await.status, 404);
        assert_eq!((world.count("core_remote").await, world.count("core_remoteartifact").await), (0, 0));
    }

    async fn a_deleted_remote_is_fetched_from_until_nothing_needs_it(keeping: Keeping) {
        let world = &keeping.0;
        let client = &world.client;
        let upstream = Upstream::start().await.file("a", "aaa").file("b", "bbb").file("c", "ccc").manifest();
        let remote = world.remote("remote", &upstream).await;
        let one = world.synced("one", &remote).await;
        assert_eq!(client.try_get("/pulp/content/one/a").await.text(), "aaa");
        world.stored("a").await;
        world.delete(&remote).await;
        // Nobody sees it any more.
        client.try_get(href(&remote)).await.with(404);
        client.try_get(&format!("{}dependents/", href(&remote))).await.with(404);
        client.delete(href(&remote)).await.with(404);
        client.patch(href(&remote), json!({"name": "x"})).await.with(404);
        for list in ["remotes/", REMOTES] {
            assert_eq!(client.list(list).await, Vec::<Value>::new());
        }
        assert_eq!(client.get(href(&one)).await["remote"], Value::Null);
        for named in [href(&remote).to_owned(), remote["prn"].as_str().unwrap().to_owned()] {
            let refused = client.patch(href(&one), json!({"remote": named})).await.with(400);
            assert_eq!(refused, json!({"remote": ["Invalid hyperlink - Object does not exist."]}));
        }
        // Its name is free.
        let again = world.remote("remote", &upstream).await;
        world.delete(&again).await;
        assert_eq!(world.count("core_remote").await, 1, "a remote that nothing needs goes at once");
        // What is stored needs no source.
        assert_eq!(world.count("core_remoteartifact").await, 2);
        // It is asked with its own credentials.
        assert_eq!(client.try_get("/pulp/content/one/b").await.text(), "bbb");
        let asked = upstream.requests().into_iter().rev().find(|request| request.path.trim_start_matches('/') == "b").unwrap();
        assert_eq!(asked.header("authorization"), Some("Basic dTpw"));
        world.stored("b").await;
        world.clean().await;
        assert_eq!((world.count("core_remote").await, world.count("core_remoteartifact").await), (1, 1), "c is still to be fetched");
        world.delete(&one).await;
        world.clean().await;
        assert_eq!((world.count("core_remote").await, world.count("core_remoteartifact").await), (0, 0));
    }

    async fn a_remote_that_an_alternate_content_source_needs_stays(keeping: Keeping) {
        let world = &keeping.0;
        let upstream = Upstream::start().await.file("a", "aaa").manifest();
        let remote = world.remote("remote", &upstream).await;
        world.synced("one", &remote).await;
        world.client.create("acs/file/file/", json!({"name": "near", "remote": href(&remote)})).await;
        let answer = world.client.delete(href(&remote)).await;
        if answer.status == 202 {
            world.client.failure(answer).await;
        } else {
            assert!(answer.status.as_u16() >= 400, "{answer:?}");
        }
        assert_eq!(world.client.get(href(&remote)).await["name"], "remote");
    }
}
