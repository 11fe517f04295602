//! One of the two servers, and how its objects are called in the world that both have.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use pulp_testkit::{Answer, Client};
use serde_json::Value as Json;

use crate::catalogue::PASSWORD;

/// Between two looks at a task.
const PAUSE: Duration = Duration::from_millis(200);

/// Who may do everything.
pub const ADMIN: &str = "<admin>";

/// A server. `<remote-1>` is an object of the world, whose href each server has its own.
pub struct Side {
    admin: Client,
    /// The same without credentials.
    open: Client,
    hrefs: BTreeMap<String, String>,
    sessions: BTreeMap<String, Session>,
}

struct Session {
    cookies: String,
    token: String,
}

impl Side {
    pub fn new(admin: Client, api_root: &str) -> Self {
        let open = Client::new(admin.base_url()).api_root(api_root);
        Self { admin, open, hrefs: BTreeMap::new(), sessions: BTreeMap::new() }
    }

    pub fn know(&mut self, symbol: &str, href: &str) {
        self.hrefs.insert(symbol.to_owned(), href.to_owned());
    }

    pub fn forget(&mut self, symbol: &str) {
        self.hrefs.remove(symbol);
    }

    /// The text with hrefs for the names of objects.
    pub fn written(&self, text: &str) -> String {
        self.hrefs.iter().fold(text.to_owned(), |text, (symbol, href)| text.replace(symbol, href))
    }

    /// The text with the names of objects for hrefs and keys.
    pub fn shown(&self, text: &str) -> String {
        self.hrefs.iter().fold(text.to_owned(), |text, (symbol, href)| {
            let text = text.replace(href, symbol);
            match key(href) {
                key if key.len() == 36 => text.replace(key, symbol),
                _ => text,
            }
        })
    }

    pub fn shown_json(&self, value: &Json) -> Json {
        serde_json::from_str(&self.shown(&value.to_string())).unwrap_or(Json::Null)
    }

    /// Opens a session of a user: passwords take a server's time.
    pub async fn log_in(&mut self, symbol: &str, name: &str) {
        let client = if symbol == ADMIN { self.admin.clone() } else { self.open.clone().basic_auth(name, PASSWORD) };
        let opened = client.send(client.request(Method::POST, "login/")).await;
        opened.with(201);
        let given = opened.headers.get_all("set-cookie").iter();
        let cookies: Vec<&str> = given.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect();
        let token = cookies.iter().find_map(|cookie| cookie.strip_prefix("csrftoken=")).expect("a token for forms");
        self.sessions.insert(symbol.to_owned(), Session { token: token.to_owned(), cookies: cookies.join("; ") });
    }

    /// Asks as a user who has logged in, or as nobody.
    pub async fn ask(&self, user: &str, method: Method, path: &str, body: &Json) -> Answer {
        let mut request = self.open.request(method, &self.written(path));
        if let Some(session) = self.sessions.get(user) {
            request = request.header("cookie", &session.cookies).header("x-csrftoken", &session.token);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(self.written(&body.to_string()));
        }
        self.open.send(request).await
    }

    /// What is at a path, as the administrator sees it.
    pub async fn get(&self, path: &str) -> Json {
        self.ask(ADMIN, Method::GET, path, &Json::Null).await.ok()
    }

    /// Waits for what an answer started.
    pub async fn outcome(&self, answer: &Answer) -> Outcome {
        let mut outcome = Outcome::default();
        if !answer.status.is_success() {
            return outcome;
        }
        let body = answer.ok();
        outcome.made.extend(text(&body["pulp_href"]));
        let mut tasks: Vec<String> = text(&body["task"]).into_iter().collect();
        if let Some(group) = text(&body["task_group"]) {
            tasks.extend(self.get(&group).await["tasks"].as_array().into_iter().flatten().filter_map(|task| text(&task["pulp_href"])));
        }
        for href in tasks {
            let task = self.ended(&href).await;
            outcome.ends.extend(text(&task["state"]));
            outcome.made.extend(task["created_resources"].as_array().into_iter().flatten().filter_map(text));
            outcome.task.get_or_insert(href);
        }
        outcome
    }

    /// A task when it has ended.
    async fn ended(&self, href: &str) -> Json {
        loop {
            let task = self.get(href).await;
            if matches!(task["state"].as_str(), Some("completed" | "failed" | "canceled")) {
                return task;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn text(value: &Json) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// What came of a request.
#[derive(Default)]
pub struct Outcome {
    pub made: Vec<String>,
    pub ends: Vec<String>,
    pub task: Option<String>,
}

/// The last part of an href.
fn key(href: &str) -> &str {
    href.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}
