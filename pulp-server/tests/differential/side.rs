//! One of the two servers, and how its objects are called in the world that both have.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use pulp_testkit::{Answer, Client};
use serde_json::Value as Json;

use crate::catalogue::PASSWORD;

/// Who may do everything.
pub const ADMIN: &str = "<admin>";

/// A server. `<remote-1>` is an object of the world, whose href each server has its own.
pub struct Side {
    pub admin: Client,
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

    pub fn href(&self, symbol: &str) -> Option<&str> {
        self.hrefs.get(symbol).map(String::as_str)
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

    /// Opens a session: passwords take a server's time.
    pub async fn log_in(&mut self, symbol: &str, name: &str) {
        let client = self.open.clone().basic_auth(name, PASSWORD);
        let opened = client.send(client.request(Method::POST, "login/")).await;
        opened.with(201);
        let given = opened.headers.get_all("set-cookie").iter();
        let cookies: Vec<&str> = given.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect();
        let token = cookies.iter().find_map(|cookie| cookie.strip_prefix("csrftoken=")).expect("a token for forms");
        self.sessions.insert(symbol.to_owned(), Session { token: token.to_owned(), cookies: cookies.join("; ") });
    }

    /// Asks as a user, as the administrator, or as nobody.
    pub async fn ask(&self, user: &str, method: Method, path: &str, body: &Json) -> Answer {
        let client = if user == ADMIN { &self.admin } else { &self.open };
        let mut request = client.request(method, &self.written(path));
        if let Some(session) = self.sessions.get(user) {
            request = request.header("cookie", &session.cookies).header("x-csrftoken", &session.token);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(self.written(&body.to_string()));
        }
        client.send(request).await
    }

    /// Waits for what an answer started; gives what was made, how each task ended, and the first task.
    pub async fn outcome(&self, answer: &Answer) -> Outcome {
        let body = if answer.status.is_success() { answer.ok() } else { Json::Null };
        let mut outcome = Outcome::default();
        outcome.made.extend(body["pulp_href"].as_str().filter(|_| answer.status == StatusCode::CREATED).map(str::to_owned));
        if answer.status == StatusCode::ACCEPTED {
            let mut tasks: Vec<String> = body["task"].as_str().map(str::to_owned).into_iter().collect();
            if let Some(group) = body["task_group"].as_str() {
                let group = self.admin.get(group).await;
                tasks.extend(group["tasks"].as_array().into_iter().flatten().filter_map(|task| Some(task["pulp_href"].as_str()?.to_owned())));
            }
            for task in tasks {
                let ended = self.admin.ended(&task).await;
                outcome.ends.push(ended["state"].as_str().unwrap_or_default().to_owned());
                outcome.made.extend(ended["created_resources"].as_array().into_iter().flatten().filter_map(|href| href.as_str().map(str::to_owned)));
                outcome.task.get_or_insert(task);
            }
        }
        outcome
    }
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
