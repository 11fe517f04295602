//! A Pulp with a plugin of the tests’ own, and calls of its API.

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use pulp_core::api::Api;
use pulp_core::body::Body;
use pulp_core::clock::{Clock, SystemClock};
use pulp_core::crypto::password;
use pulp_core::db::{Db, ExecutorExt, Sql};
use pulp_core::ids::{Prn, new_id};
use pulp_core::model::{RepositoryVersion, User};
use pulp_core::plugin::{Plugin, PluginDescriptor, Registry};
use pulp_core::resource::{Action, ActionHandler, Context, Field, Filter, FilterKind, Input, Lookup, Reply, Resource, Returns, bases};
use pulp_core::settings::Settings;
use pulp_core::tasks::{LogLevel, Resources, Task, TaskContext, TaskOutput};
use pulp_core::version::{AddAndRemove, Members, Package, RepositoryType};
use pulp_core::{Pulp, Result};
use pulp_migrations::{Migration, MigrationSet};
use pulp_testkit::{Engine, Kit, Prepare};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A content type of shelves: what a third party would write.
pub struct Shelf;

const TABLES: &str = "
create table shelf_shelfrepository (repository_ptr_id KEY primary key references core_repository (pulp_id) on delete cascade, autopublish boolean not null default false, manifest text);
create table shelf_shelfremote (remote_ptr_id KEY primary key references core_remote (pulp_id) on delete cascade);
create table shelf_shelfdistribution (distribution_ptr_id KEY primary key references core_distribution (pulp_id) on delete cascade);
create table shelf_book (content_ptr_id KEY primary key, title text not null unique);
";

static MIGRATIONS: std::sync::LazyLock<&'static [Migration]> = std::sync::LazyLock::new(|| {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    Box::leak(Box::new([Migration {
        name: "0001_initial",
        postgres: leak(TABLES.replace("KEY", "uuid")),
        sqlite: leak(TABLES.replace("KEY", "blob")),
    }]))
});

pub const REPOSITORIES: &str = "repositories/shelf/shelf/";
pub const REMOTES: &str = "remotes/shelf/shelf/";
pub const DISTRIBUTIONS: &str = "distributions/shelf/shelf/";

/// The rules of shelves: none. Their books are packages of which vulnerabilities may be known.
struct Rules;

#[async_trait]
impl RepositoryType for Rules {
    fn pulp_type(&self) -> &'static str {
        "shelf.shelf"
    }

    fn model(&self) -> &'static str {
        "shelf.shelfrepository"
    }

    fn collection(&self) -> &'static str {
        "repositories/shelf/shelf"
    }

    fn unit_types(&self) -> &'static [&'static str] {
        &["shelf.book"]
    }

    fn has_packages(&self) -> bool {
        true
    }

    async fn packages(&self, db: &Db, version: &RepositoryVersion, after: Uuid, limit: i64) -> Result<Vec<Package>> {
        let mut sql = Sql::new("select content_ptr_id, title from shelf_book where content_ptr_id > ");
        sql.push_bind(after);
        sql.push(" and content_ptr_id in (select rc.content_id from core_repositorycontent rc");
        Members::of(version).push_where(&mut sql);
        sql.push(") order by content_ptr_id limit ").push_bind(limit);
        let books: Vec<(Uuid, String)> = db.all(sql).await?;
        let package = |(content, name)| Package { content, ecosystem: "Shelf".to_owned(), name, version: "1".to_owned() };
        Ok(books.into_iter().map(package).collect())
    }
}

impl Plugin for Shelf {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor { label: "shelf", version: "1.2.3", package: "pulp-shelf", module: "pulp_shelf.app", domain_compatible: true }
    }

    fn migrations(&self) -> MigrationSet {
        MigrationSet { component: "shelf", migrations: *MIGRATIONS }
    }

    fn register(&self, registry: &mut Registry) {
        registry.repository(Rules);
        registry.task::<Count>();
        registry.resource(
            Resource::repository("repositories/shelf/shelf", "shelf.shelf", "shelf.ShelfRepository")
                .detail("shelf_shelfrepository", "repository_ptr_id")
                .field(Field::boolean("autopublish").default(false))
                .field(Field::text("manifest").nullable().default("LIST"))
                .action(
                    Action::post("echo", Echo)
                        .body("Echo", [Field::text("word").required(), Field::href("remote", pulp_core::resource::Target::REMOTE)])
                        .returns(Returns::Component(200, "Echo")),
                ),
        );
        registry.resource(
            Resource::remote("remotes/shelf/shelf", "shelf.shelf", "shelf.ShelfRemote")
                .detail("shelf_shelfremote", "remote_ptr_id")
                .field(bases::policy(&["immediate", "on_demand", "streamed"])),
        );
        registry.resource(
            Resource::distribution("distributions/shelf/shelf", "shelf.shelf", "shelf.ShelfDistribution")
                .detail("shelf_shelfdistribution", "distribution_ptr_id")
                .field(bases::repository())
                .field(bases::repository_version())
                .field(bases::publication()),
        );
        registry.resource(
            Resource::content("content/shelf/books", "shelf.book", "shelf.Book", Echo)
                .detail("shelf_book", "content_ptr_id")
                .field(Field::text("title").required())
                .ordered_by(["title"])
                .filter(Filter::new("title", FilterKind::Text, Lookup::NAME).in_detail()),
        );
    }
}

/// Counts, with a pause after each.
#[derive(Debug, Serialize, Deserialize)]
pub struct Count {
    pub to: i64,
    pub pause_ms: u64,
}

#[async_trait]
impl Task for Count {
    const NAME: &'static str = "shelf.count";

    fn resources(&self) -> Resources {
        Resources::none()
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let report = cx.progress("Counting", "shelf.counting").total(self.to);
        for _ in 0..self.to {
            report.increment();
            cx.log(LogLevel::Warning, format!("{} of {}", report.done(), self.to));
            tokio::time::sleep(std::time::Duration::from_millis(self.pause_ms)).await;
        }
        let checked = cx.progress("Checking", "shelf.checking");
        checked.increment();
        Ok(TaskOutput { result: Some(json!(self.to)) })
    }
}

/// Answers with what it got.
struct Echo;

#[async_trait]
impl ActionHandler for Echo {
    async fn handle(&self, _: &Context, id: Option<Uuid>, input: Input) -> Result<Reply> {
        Ok(Reply::Json(StatusCode::OK, json!({"id": id, "word": input.text("word"), "remote": input.id("remote")})))
    }
}

/// A response, read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", self.bytes))
    }

    /// The body, of an answer with this status.
    #[track_caller]
    pub fn with(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        if self.bytes.is_empty() { Json::Null } else { self.json() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A Pulp, its API, and an admin whose password is `password`.
pub struct World {
    pub kit: Kit,
    pub api: Api,
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
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
        Self::at(engine, settings, SystemClock).await
    }

    /// One with these settings and this clock.
    pub async fn at(engine: Engine, settings: Settings, clock: impl Clock + 'static) -> Option<Self> {
        let kit = Kit::built(engine, |builder| builder.plugin(Shelf).settings(settings).clock(clock)).await?;
        // A real password takes a million rounds.
        let hash = password::make("password", 1_000).unwrap();
        User::create_superuser(kit.pulp().db(), "admin", &hash, kit.pulp().now()).await.unwrap();
        let api = kit.pulp().api();
        Some(Self { kit, api })
    }
}

impl World {
    pub fn pulp(&self) -> &Pulp {
        self.kit.pulp()
    }

    /// Sends a request; paths without a slash at their start lie below the base.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/pulp/api/v3/{path}") };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.api.handle(request.body(Body::from(body.into())).unwrap()).await;
        let (parts, body) = response.into_parts();
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes: body.read(1 << 24).await.unwrap() }
    }

    /// Sends JSON as the admin.
    pub async fn call(&self, method: Method, path: &str, body: Option<Json>) -> Answer {
        let authorization = basic("admin", "password");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json"), ("host", "pulp.example")];
        self.send(method, path, &headers, body.map(|body| body.to_string()).unwrap_or_default()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Json) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Json) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Json) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Sends a form with a file, as the admin.
    pub async fn form(&self, method: Method, path: &str, fields: &[(&str, &str)], file: Option<&[u8]>, range: Option<&str>) -> Answer {
        let mut body: Vec<u8> = Vec::new();
        for (name, value) in fields {
            body.extend(format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes());
        }
        if let Some(file) = file {
            body.extend(b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n");
            body.extend(file);
            body.extend(b"\r\n");
        }
        body.extend(b"--XX--\r\n");
        let authorization = basic("admin", "password");
        let mut headers =
            vec![("authorization", authorization.as_str()), ("content-type", "multipart/form-data; boundary=XX"), ("host", "pulp.example")];
        headers.extend(range.map(|range| ("content-range", range)));
        self.send(method, path, &headers, body).await
    }

    /// Makes a repository; its href.
    pub async fn repository(&self, name: &str) -> String {
        let made = self.post(REPOSITORIES, json!({"name": name})).await.with(201);
        made["pulp_href"].as_str().unwrap().to_owned()
    }

    /// Makes books, by title.
    pub async fn books(&self, titles: &[&str]) -> Vec<Uuid> {
        let (db, now, domain) = (self.pulp().db(), self.pulp().now(), self.pulp().default_domain().pulp_id);
        let mut ids = Vec::new();
        for title in titles {
            let id = new_id();
            let content = "insert into core_content (pulp_id, pulp_created, pulp_type, timestamp_of_interest, pulp_domain_id) values ($1, $2, 'shelf.book', $2, $3)";
            db.execute(Sql::new(content).bind(id).bind(now).bind(domain)).await.unwrap();
            db.execute(Sql::new("insert into shelf_book (content_ptr_id, title) values ($1, $2)").bind(id).bind(*title)).await.unwrap();
            ids.push(id);
        }
        ids
    }

    /// Makes the next version of a repository, as a task would; its href.
    pub async fn version(&self, repository: &str, add: &[Uuid], remove: &[Uuid]) -> String {
        let id = prn(&self.get(repository).await.with(200));
        let task = AddAndRemove::new(id).with(add.iter().copied()).remove(remove.iter().copied());
        let ended = self.pulp().tasks().run(task, Default::default()).await.unwrap();
        assert_eq!(ended.state, "completed", "{:?}", ended.error);
        self.get(repository).await.with(200)["latest_version_href"].as_str().unwrap().to_owned()
    }

    /// Makes a remote; its href.
    pub async fn remote(&self, name: &str) -> String {
        let made = self.post(REMOTES, json!({"name": name, "url": "http://upstream.example/"})).await.with(201);
        made["pulp_href"].as_str().unwrap().to_owned()
    }

    /// The task of a 202, which has ended: what it does is short, and nothing was in its way.
    #[track_caller]
    pub fn task(&self, answer: &Answer) -> String {
        answer.with(202)["task"].as_str().unwrap().to_owned()
    }

    /// A task after it has ended, run by a worker if need be.
    pub async fn ended(&self, task: &str) -> Json {
        let id = task.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
        let workers = pulp_core::tasks::Workers::start(self.pulp(), 1).await.unwrap();
        self.pulp().tasks().wait(id).await.unwrap();
        workers.drain().await;
        self.get(task).await.with(200)
    }

    /// The object that a task of a 202 made.
    pub async fn made(&self, answer: &Answer) -> Json {
        let task = self.get(&self.task(answer)).await.with(200);
        assert_eq!(task["state"], "completed", "{task:#}");
        self.get(task["created_resources"][0].as_str().unwrap()).await.with(200)
    }
}

/// The names in a list.
pub fn names(list: &Json) -> Vec<&str> {
    list["results"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap()).collect()
}

/// An href of the shape of another, of an object that is not there.
pub fn nowhere(collection: &str) -> String {
    format!("/pulp/api/v3/{collection}{}/", new_id())
}

/// The PRN in an object.
pub fn prn(object: &Json) -> Prn {
    object["prn"].as_str().unwrap().parse().unwrap()
}
