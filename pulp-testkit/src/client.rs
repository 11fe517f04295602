//! Typed calls to a Pulp server, for tests: what is not as expected panics with the whole answer.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

/// How long a task may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait between two looks at a task.
const PAUSE: Duration = Duration::from_millis(10);

/// A client of one server, signed in with a name and a password.
///
/// Paths are hrefs (`/pulp/api/v3/…`), or relative to the API's root (`tasks/`). Content paths begin with a slash too.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    api_root: String,
    credentials: Option<(String, String)>,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked, for messages.
    asked: String,
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: bytes::Bytes,
}

impl Client {
    /// A client of the server at `base_url`: scheme, host and port, without a slash at the end.
    ///
    /// # Panics
    /// When no HTTP client can be made on this machine.
    #[must_use]
    pub fn new(base_url: impl Into<String>) -> Self {
        // Whoever comes first installs it; all want the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Self { http: http.expect("an HTTP client"), base_url: base_url.into(), api_root: "/pulp/".to_owned(), credentials: None }
    }

    /// The same, signed in.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// The same, of a server whose API lies elsewhere than below `/pulp/`; with a slash at both ends.
    #[must_use]
    pub fn api_root(mut self, root: &str) -> Self {
        root.clone_into(&mut self.api_root);
        self
    }

    /// The server's address.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The whole URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        if path.starts_with("http://") || path.starts_with("https://") {
            path.to_owned()
        } else if path.starts_with('/') {
            format!("{}{path}", self.base_url)
        } else {
            format!("{}{}api/v3/{path}", self.base_url, self.api_root)
        }
    }

    /// A request that a test finishes itself: signed in, to the path.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.credentials {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When there is no answer. So do all others.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().expect("a request that can be sent");
        let asked = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap_or_else(|error| panic!("{asked}: the body broke off: {error:?}"));
        Answer { asked, status, headers, body }
    }

    /// GET, whatever comes of it.
    pub async fn try_get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// GET of something that is there.
    pub async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.ok()
    }

    /// GET of a list that fits on one page.
    ///
    /// # Panics
    /// When it is no list, or has more pages.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut page = self.get(path).await;
        assert!(page["next"].is_null(), "{path} has more than one page");
        match page["results"].take() {
            Value::Array(results) => results,
            other => panic!("{path} gives no list: {other}"),
        }
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// PATCH with JSON.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// A `multipart/form-data` POST: text fields, and `file` if there is one.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)], file: Option<&[u8]>) -> Answer {
        self.form(Method::POST, path, fields, file, None).await
    }

    /// One chunk of an upload, `Content-Range` and all; `total` is the size of the whole.
    pub async fn put_chunk(&self, upload: &str, start: u64, total: u64, chunk: &[u8]) -> Answer {
        let range = format!("bytes {start}-{}/{total}", (start + chunk.len() as u64).saturating_sub(1));
        self.form(Method::PUT, upload, &[], Some(chunk), Some(&range)).await
    }

    async fn form(&self, method: Method, path: &str, fields: &[(&str, &str)], file: Option<&[u8]>, range: Option<&str>) -> Answer {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        if let Some(bytes) = file {
            let head = "Content-Disposition: form-data; name=\"file\"; filename=\"file\"\r\nContent-Type: application/octet-stream";
            body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let mut request = self.request(method, path).header("content-type", format!("multipart/form-data; boundary={boundary}"));
        if let Some(range) = range {
            request = request.header("content-range", range);
        }
        self.send(request.body(body)).await
    }

    /// Waits until a task has ended, however; gives it.
    ///
    /// # Panics
    /// When it does not end within two minutes.
    pub async fn ended(&self, task: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.get(task).await;
            if matches!(now["state"].as_str(), Some("completed" | "failed" | "canceled" | "skipped")) {
                return now;
            }
            assert!(Instant::now() < deadline, "the task does not end: {now:#}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the task of an answer is completed; gives it.
    ///
    /// # Panics
    /// When there is none, or it does not end well.
    pub async fn wait(&self, answer: Answer) -> Value {
        let task = self.ended(&answer.task()).await;
        assert_eq!(task["state"], "completed", "{}: {task:#}", answer.asked);
        task
    }

    /// Waits until the task of an answer has failed; gives the description of its error.
    ///
    /// # Panics
    /// When there is none, or it ends otherwise.
    pub async fn failure(&self, answer: Answer) -> String {
        let task = self.ended(&answer.task()).await;
        assert_eq!(task["state"], "failed", "{}: {task:#}", answer.asked);
        match &task["error"]["description"] {
            Value::String(text) => text.clone(),
            _ => panic!("{}: failed without a description: {task:#}", answer.asked),
        }
    }

    /// Makes a resource, at once or by a task, as the server likes; gives it.
    ///
    /// # Panics
    /// When it is not made.
    pub async fn create(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        self.made(answer).await
    }

    /// The resource that an answer made, at once or by its task.
    pub(crate) async fn made(&self, answer: Answer) -> Value {
        if answer.status != StatusCode::ACCEPTED {
            return answer.ok();
        }
        let task = self.wait(answer).await;
        let hrefs = task["created_resources"].as_array().into_iter().flatten();
        match hrefs.filter_map(Value::as_str).next() {
            Some(href) => self.get(href).await,
            None => panic!("nothing was made: {task:#}"),
        }
    }
}

impl Answer {
    /// The body of an answer that is a success; null if there is none.
    ///
    /// # Panics
    /// When it is another. So do the others.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{}: {} {}", self.asked, self.status, self.text());
        self.json()
    }

    /// The body of an answer with this very status.
    #[track_caller]
    pub fn with(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.asked, self.text());
        self.json()
    }

    /// The href of the task that was started.
    #[track_caller]
    pub fn task(&self) -> String {
        let body = self.with(202);
        match body["task"].as_str() {
            Some(href) => href.to_owned(),
            None => panic!("{}: no task: {body}", self.asked),
        }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }
}

/// The resource of a kind (`versions`, `publications`…) that a task made.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn created(task: &Value, kind: &str) -> String {
    let part = format!("/{kind}/");
    let mut hrefs = task["created_resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match hrefs.rfind(|href| href.contains(&part)) {
        Some(href) => href.to_owned(),
        None => panic!("the task made nothing of {kind}: {task:#}"),
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out.
        f.debug_struct("Client").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}
