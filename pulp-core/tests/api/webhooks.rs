//! Webhooks: who is told of what, how, and how often.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use http::Method;
use pulp_core::clock::ManualClock;
use pulp_core::settings::Settings;
use pulp_core::tasks::{DispatchOptions, Workers};
use pulp_core::webhooks::signature;
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::world::{Count, REPOSITORIES, World};

const WEBHOOKS: &str = "webhooks/";
const SECRET: &str = "correct horse battery staple";

/// What came to the receiver.
#[derive(Debug, Clone)]
struct Message {
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers each request with the next of these statuses, and with the last ever after.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    async fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(answer(stream, log, statuses));
            }
        });
        Self { url, got }
    }

    fn got(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }
}

async fn answer(stream: TcpStream, log: Arc<Mutex<Vec<Message>>>, statuses: &'static [u16]) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if line.trim_end().is_empty() {
                break;
            }
            headers.extend(line.trim_end().split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let status = {
            let mut log = log.lock().unwrap();
            log.push(Message { headers, body: String::from_utf8(body).unwrap() });
            statuses.get(log.len() - 1).or(statuses.last()).unwrap()
        };
        let text = format!("HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 6\r\n\r\nthanks");
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A Pulp whose clock the test moves.
struct Timed {
    world: World,
    clock: ManualClock,
}

#[async_trait::async_trait]
impl Prepare for Timed {
    async fn prepare(engine: Engine) -> Option<Self> {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        Some(Self { world: World::at(engine, Settings::default(), clock.clone()).await?, clock })
    }
}

/// One whose webhooks may not reach this host.
struct Fenced(Timed);

#[async_trait::async_trait]
impl Prepare for Fenced {
    async fn prepare(engine: Engine) -> Option<Self> {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let mut settings = Settings::default();
        settings.remote_denied_networks = vec!["private".to_owned()];
        Some(Self(Timed { world: World::at(engine, settings, clock.clone()).await?, clock }))
    }
}

impl Timed {
    /// A webhook for this receiver; its href.
    async fn webhook(&self, receiver: &Receiver, more: Json) -> String {
        let mut body = json!({"name": "w", "url": receiver.url, "secret": SECRET, "events": ["task.finished"]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.world.post(WEBHOOKS, body).await.with(201)["pulp_href"].as_str().unwrap().to_owned()
    }

    async fn housekeeping(&self, name: &str) {
        let pulp = self.world.pulp();
        pulp.tasks().housekeeping().find(|one| one.name() == name).unwrap().run(pulp).await.unwrap();
    }

    async fn deliveries(&self, webhook: &str) -> Vec<Json> {
        let list = self.world.get(&format!("{webhook}deliveries/?ordering=pulp_id")).await.with(200);
        list["results"].as_array().unwrap().clone()
    }

    /// Sends what is due, until no message is under way; the messages of the webhook then.
    async fn delivered(&self, webhook: &str, attempts: i64) -> Vec<Json> {
        for _ in 0..200 {
            self.housekeeping("webhooks").await;
            let all = self.deliveries(webhook).await;
            let settled = |one: &Json| one["attempts"].as_i64() >= Some(attempts) && (one["status"].is_i64() || one["error"].is_string());
            if !all.is_empty() && all.iter().all(settled) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:#?}", self.deliveries(webhook).await);
    }

    async fn task(&self) {
        self.world.pulp().tasks().run(Count { to: 1, pause_ms: 0 }, DispatchOptions::default()).await.unwrap();
    }
}

both_databases! {
    async fn what_happens_is_told_and_signed(given: Timed) {
        let world = &given.world;
        let receiver = Receiver::start(&[200]).await;
        let webhook = given.webhook(&receiver, json!({"events": ["task.finished", "repository_version.created"]})).await;
        let shown = world.get(&webhook).await.with(200);
        assert!(!shown.to_string().contains(SECRET) && shown.get("secret").is_none(), "{shown}");
        assert_eq!(shown["hidden_fields"][0], json!({"name": "secret", "is_set": true}));
        let stored: String = pulp_core::db::ExecutorExt::scalar(world.pulp().db(), "select secret from core_webhook").await.unwrap();
        assert!(!stored.contains(SECRET));
        let repository = world.repository("a").await;
        let books = world.books(&["b"]).await;
        let version = world.version(&repository, &books, &[]).await;
        // It is written with what it tells, whether anybody is there to send it or not.
        let waiting = given.deliveries(&webhook).await;
        assert_eq!(waiting.iter().map(|one| (one["event"].as_str().unwrap(), one["state"].as_str().unwrap())).collect::<Vec<_>>(),
            [("repository_version.created", "waiting"), ("task.finished", "waiting")]);
        let sent = given.delivered(&webhook, 1).await;
        assert!(sent.iter().all(|one| one["state"] == "delivered" && one["status"] == 200 && one["response"] == "thanks" && one["next_attempt"].is_null()), "{sent:#?}");
        let got = receiver.got();
        assert_eq!(got.len(), 2);
        for message in &got {
            let seconds: i64 = message.header("pulp-webhook-signature")[2..].split(',').next().unwrap().parse().unwrap();
            assert_eq!(Some(message.header("pulp-webhook-signature").to_owned()), signature(SECRET.as_bytes(), seconds, message.body.as_bytes()));
            assert_eq!(seconds, world.pulp().now().timestamp());
            assert_eq!((message.header("content-type"), message.header("pulp-webhook-attempt")), ("application/json", "1"));
            assert_eq!(message.json()["id"], message.header("pulp-webhook-id"));
            assert_eq!(message.json()["event"], message.header("pulp-webhook-event"));
            assert_eq!(message.json()["domain"], "default");
        }
        let told = |event: &str| got.iter().map(Message::json).find(|body| body["event"] == event).unwrap();
        let made = told("repository_version.created")["repository_version"].clone();
        assert_eq!((&made["pulp_href"], &made["repository"], &made["repository_name"], &made["number"]), (&json!(version), &json!(repository), &json!("a"), &json!(1)));
        let task = told("task.finished")["task"].clone();
        let row = world.get(task["pulp_href"].as_str().unwrap()).await.with(200);
        assert_eq!((&task["name"], &task["state"], &task["finished_at"]), (&row["name"], &json!("completed"), &row["finished_at"]));
        world.delete(&webhook).await.with(204);
        given.task().await;
    }

    async fn nobody_is_told_in_a_denied_network(given: Fenced) {
        let given = given.0;
        let receiver = Receiver::start(&[200]).await;
        for host in ["127.0.0.1", "localhost"] {
            let url = receiver.url.replace("127.0.0.1", host);
            let webhook = given.webhook(&receiver, json!({"name": host, "url": url})).await;
            given.world.post(&format!("{webhook}ping/"), json!({})).await.with(202);
            let sent = given.delivered(&webhook, 1).await.remove(0);
            let said = format!("{host} is in a network that the setting remote_denied_networks denies");
            assert!(sent["error"].as_str().unwrap().ends_with(&said), "{sent:#}");
        }
        assert!(receiver.got().is_empty());
    }

    async fn who_does_not_answer_well_is_told_again(given: Timed) {
        let receiver = Receiver::start(&[500, 302, 200, 410]).await;
        let webhook = given.webhook(&receiver, json!({})).await;
        given.task().await;
        let first = given.delivered(&webhook, 1).await.remove(0);
        assert_eq!((&first["state"], &first["status"], &first["attempts"]), (&json!("waiting"), &json!(500), &json!(1)));
        assert_eq!(first["error"], "the receiver answered 500 Internal Server Error");
        let next = first["next_attempt"].as_str().unwrap();
        assert!(("2026-01-01T00:00:05".."2026-01-01T00:00:11").contains(&next), "{next}");
        given.housekeeping("webhooks").await;
        assert_eq!(receiver.got().len(), 1, "it is not its time");
        given.clock.advance(TimeDelta::seconds(11));
        // It is not followed elsewhere.
        assert_eq!(given.delivered(&webhook, 2).await[0]["status"], 302);
        given.clock.advance(TimeDelta::seconds(21));
        let third = given.delivered(&webhook, 3).await.remove(0);
        assert_eq!((&third["state"], &third["attempts"], &third["error"]), (&json!("delivered"), &json!(3), &json!(null)));
        let got = receiver.got();
        assert!(got.iter().all(|message| message.body == got[0].body));
        assert_eq!(got.iter().map(|message| message.header("pulp-webhook-attempt")).collect::<Vec<_>>(), ["1", "2", "3"]);
        // Who says that it is gone is not asked again, but for somebody who wants it so.
        let again = given.world.post(&format!("{webhook}redeliver/"), json!({"delivery": got[0].header("pulp-webhook-id")})).await.with(202);
        assert_eq!(given.world.get(again["delivery"].as_str().unwrap()).await.with(200)["state"], "waiting");
        for _ in 0..100 {
            given.housekeeping("webhooks").await;
            if given.deliveries(&webhook).await[0]["status"] == 410 { break; }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(given.deliveries(&webhook).await[0]["state"], "failed");
        given.world.post(&format!("{webhook}redeliver/"), json!({"delivery": "0197b0a0-0000-7000-8000-000000000000"})).await.with(400);
    }

    async fn after_some_hours_it_is_given_up_and_after_some_days_forgotten(given: Timed) {
        let receiver = Receiver::start(&[400]).await;
        let webhook = given.webhook(&receiver, json!({})).await;
        given.task().await;
        given.delivered(&webhook, 1).await;
        given.clock.advance(TimeDelta::hours(25));
        let last = given.delivered(&webhook, 2).await.remove(0);
        assert_eq!((&last["state"], &last["next_attempt"]), (&json!("failed"), &json!(null)));
        given.clock.advance(TimeDelta::days(13));
        given.housekeeping("webhook deliveries").await;
        assert_eq!(given.deliveries(&webhook).await.len(), 0);
    }

    async fn it_is_told_of_what_was_asked_for(given: Timed) {
        let world = &given.world;
        let receiver = Receiver::start(&[200]).await;
        let (a, b) = (world.repository("a").await, world.repository("b").await);
        world.post(&format!("{b}set_label/"), json!({"key": "env", "value": "prod"})).await.with(201);
        let versions = json!(["repository_version.created"]);
        let hooks = [
            given.webhook(&receiver, json!({"name": "a", "events": versions, "repository": a})).await,
            given.webhook(&receiver, json!({"name": "prod", "events": versions, "label_select": "env=prod"})).await,
            given.webhook(&receiver, json!({"name": "off", "events": versions, "enabled": false})).await,
            given.webhook(&receiver, json!({"name": "failed", "events": ["task.failed"]})).await,
            given.webhook(&receiver, json!({"name": "tasks of b", "events": ["task.failed", "task.finished"], "repository": b})).await,
        ];
        let books = world.books(&["b"]).await;
        world.version(&a, &books, &[]).await;
        world.version(&b, &books, &[]).await;
        let mut counts = Vec::new();
        for hook in &hooks {
            counts.push(given.deliveries(hook).await.len());
        }
        assert_eq!(counts, [1, 1, 0, 0, 1]);
        // A task that waits and is canceled has ended, too; one that is deleted with its repository takes the webhook along.
        let deleting = world.task(&world.delete(&b).await);
        world.patch(&deleting, json!({"state": "canceled"})).await.with(200);
        let last = given.deliveries(&hooks[4]).await.pop().unwrap();
        let body: Json = serde_json::from_str(last["body"].as_str().unwrap()).unwrap();
        assert_eq!((&body["task"]["state"], &body["event"]), (&json!("canceled"), &json!("task.finished")));
        let failing = world.task(&world.post("orphans/cleanup/", json!({})).await);
        world.ended(&failing).await;
        assert_eq!(given.deliveries(&hooks[3]).await.len(), 0);
        // Whoever turns one on is told from then on.
        world.patch(&hooks[2], json!({"enabled": true})).await.with(200);
        let more = world.books(&["c"]).await;
        world.version(&a, &more, &[]).await;
        assert_eq!(given.deliveries(&hooks[2]).await.len(), 1);
    }

    async fn what_a_webhook_must_be(given: Timed) {
        let world = &given.world;
        let body = |name: &str, value: Json| {
            let mut body = json!({"name": "w", "url": "https://example.org/", "secret": SECRET, "events": ["task.failed"]});
            body[name] = value;
            body
        };
        for (field, value, message) in [
            ("url", json!("ftp://example.org/"), "Enter a valid URL: it must begin with http:// or https://."),
            ("url", json!("https://a:b@example.org/"), "The address must not contain credentials: messages are signed."),
            ("secret", json!(""), "This field may not be blank."),
            ("events", json!([]), "This list may not be empty."),
            ("label_select", json!("="), "Invalid search term: '='."),
        ] {
            let refused = world.post(WEBHOOKS, body(field, value)).await.with(400);
            assert_eq!(refused[field], json!([message]), "{refused}");
        }
        assert_eq!(world.post(WEBHOOKS, body("events", json!(["task.imagined"]))).await.status, 400);
        assert_eq!(world.post(WEBHOOKS, body("proxy_username", json!("a"))).await.status, 400);
        world.post(WEBHOOKS, body("proxy_url", json!("http://proxy.example:3128"))).await.with(201);
        assert_eq!(world.post(WEBHOOKS, body("url", json!("https://example.org/"))).await.with(400), json!({"name": ["This field must be unique."]}));
    }

    async fn who_may_be_told_of_what(given: Timed) {
        let world = &given.world;
        let (repository, other) = (world.repository("a").await, world.repository("b").await);
        let ann = world.person("ann").await;
        let body = |repository: Json| json!({"name": "w", "url": "http://127.0.0.1:1/", "secret": SECRET, "events": ["task.failed"], "repository": repository});
        ann.ask(Method::POST, WEBHOOKS, Some(body(json!(repository)))).await.with(403);
        let role = |role: &str, object: Option<&str>| json!({"role": role, "content_object": object});
        world.post("users/2/roles/", role("core.webhook_creator", None)).await.with(201);
        world.post("users/2/roles/", role("shelf.shelfrepository_viewer", Some(&repository))).await.with(201);
        ann.ask(Method::POST, WEBHOOKS, Some(body(Json::Null))).await.with(403);
        ann.ask(Method::POST, WEBHOOKS, Some(body(json!(other)))).await.with(400);
        let made = ann.ask(Method::POST, WEBHOOKS, Some(body(json!(repository)))).await.with(201);
        let href = made["pulp_href"].as_str().unwrap();
        ann.ask(Method::PATCH, href, Some(json!({"repository": null}))).await.with(403);
        ann.ask(Method::PATCH, href, Some(json!({"enabled": false}))).await.with(200);
        let sent = ann.ask(Method::POST, &format!("{href}ping/"), Some(json!({}))).await.with(202);
        ann.ask(Method::GET, sent["delivery"].as_str().unwrap(), None).await.with(200);
        // Nobody listens there: the host is not reached, and it is told why.
        let tried = given.delivered(href, 1).await.remove(0);
        assert_eq!((&tried["event"], &tried["state"], &tried["status"]), (&json!("ping"), &json!("waiting"), &json!(null)));
        assert!(tried["error"].as_str().unwrap().contains("http://127.0.0.1:1/"), "{tried}");
        let bob = world.person("bob").await;
        bob.ask(Method::GET, &format!("{href}deliveries/"), None).await.with(404);
        bob.ask(Method::POST, &format!("{href}ping/"), Some(json!({}))).await.with(404);
        world.get(REPOSITORIES).await.with(200);
    }

    async fn workers_send_by_themselves(world: World) {
        let receiver = Receiver::start(&[204]).await;
        let body = json!({"name": "w", "url": receiver.url, "secret": SECRET, "events": ["task.finished"]});
        world.post(WEBHOOKS, body).await.with(201);
        let workers = Workers::start(world.pulp(), 1).await.unwrap();
        let cleanup = world.task(&world.post("orphans/cleanup/", json!({})).await);
        let arrived = async {
            while !receiver.got().iter().any(|message| message.json()["task"]["pulp_href"] == json!(cleanup)) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
        workers.drain().await;
    }
}
