//! HTTP to a Pulp server: calls, and what their answers mean.

mod download;
mod events;
mod query;
mod redact;
mod refusal;
mod setup;
mod trace;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::multipart::Form;
use serde_json::Value;
use url::Url;

use crate::config::Profile;
use crate::error::{Error, Result};
use crate::operation::operation_id;

pub(crate) use events::Event;
pub(crate) use query::Query;
pub(crate) use setup::is_slug;

/// The most bytes that are read of one answer. The largest that a server gives is its API document, some megabytes.
const ANSWER_LIMIT: usize = 256 << 20;

/// How long the server may take to begin an answer, and then between two pieces of it.
const SILENCE_LIMIT: Duration = Duration::from_secs(600);

/// What a call carries.
enum Body {
    Empty,
    Json(Value),
    /// A form with files, and perhaps the part of the whole that it holds (`Content-Range`).
    Form(Form, Option<String>),
}

/// An answer of the server that is not an error.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// What a server started for a call, by its href.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Started<'a> {
    Task(&'a str),
    Group(&'a str),
}

impl Answer {
    /// What the server started for the call, if it did.
    pub(crate) fn started(&self) -> Option<Started<'_>> {
        if self.status != StatusCode::ACCEPTED {
            return None;
        }
        let href = |field| self.body.get(field).and_then(Value::as_str);
        href("task").map(Started::Task).or_else(|| href("task_group").map(Started::Group))
    }
}

/// A connection to one API of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    /// Scheme, host and port only.
    origin: Url,
    /// `/pulp/`.
    api_root: String,
    /// Name of the domain, if it is not the default one.
    domain: Option<String>,
    /// `/pulp/api/v3/` or `/pulp/DOMAIN/api/v3/`.
    api: String,
    /// `/pulp/default/api/v3/`, once the server turned out to have domains.
    domain_api: OnceLock<String>,
    /// Value of the `Authorization` header; marked sensitive, so its `Debug` hides it.
    authorization: Option<HeaderValue>,
    /// The name as written, then the header.
    headers: Vec<(String, HeaderName, HeaderValue)>,
    cid: Option<String>,
    dry_run: bool,
    verbose: u8,
}

impl Client {
    /// A client for the settings; `cid` goes with every call as its correlation id. Nothing is sent yet.
    ///
    /// # Errors
    /// When the settings do not make sense; the text says which.
    pub(crate) fn new(profile: &Profile, cid: Option<String>) -> Result<Self> {
        Ok(Self { shared: Arc::new(Shared::new(profile, cid)?) })
    }

    /// The path of the API: `/pulp/api/v3/`.
    pub(crate) fn api(&self) -> &str {
        self.shared.domain_api.get().unwrap_or(&self.shared.api)
    }

    /// Whether calls that change something are refused.
    pub(crate) fn dry_run(&self) -> bool {
        self.shared.dry_run
    }

    /// `GET`. `path` is an href, or relative to the API.
    pub(crate) async fn get(&self, path: &str, query: &Query) -> Result<Value> {
        Ok(self.call(Method::GET, path, query, Body::Empty, true).await?.body)
    }

    /// `GET` without signing in, for what a server tells to all: a server may take most of a second to check a password.
    pub(crate) async fn get_public(&self, path: &str, query: &Query) -> Result<Value> {
        Ok(self.call(Method::GET, path, query, Body::Empty, false).await?.body)
    }

    /// `POST` of a JSON body.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::POST, path, &Query::new(), Body::Json(body), true).await
    }

    /// `POST` of a form with a file.
    pub(crate) async fn post_form(&self, path: &str, form: Form) -> Result<Answer> {
        self.call(Method::POST, path, &Query::new(), Body::Form(form, None), true).await
    }

    /// `PUT` of a form with one chunk of a file; `range` is the value of `Content-Range`.
    pub(crate) async fn put_chunk(&self, path: &str, form: Form, range: String) -> Result<Answer> {
        self.call(Method::PUT, path, &Query::new(), Body::Form(form, Some(range)), true).await
    }

    /// `PATCH` of a JSON body.
    pub(crate) async fn patch(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::PATCH, path, &Query::new(), Body::Json(body), true).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, &Query::new(), Body::Empty, true).await
    }

    /// A call of any method, with a JSON body if there is one.
    pub(crate) async fn any(&self, method: Method, path: &str, query: &Query, body: Option<Value>) -> Result<Answer> {
        self.call(method, path, query, body.map_or(Body::Empty, Body::Json), true).await
    }

    /// A call of any method, with a form.
    pub(crate) async fn any_form(&self, method: Method, path: &str, query: &Query, form: Form) -> Result<Answer> {
        self.call(method, path, query, Body::Form(form, None), true).await
    }

    /// The URL of an href, or of a path relative to the API.
    ///
    /// Hrefs come from the user and from the server. Neither may lead to another server or out of the API root, for
    /// the password goes with the call.
    fn url(&self, path: &str) -> Result<Url> {
        let shared = &self.shared;
        let outside = || Error::usage(format!("'{path}' is not an href of this server: it must begin with {}", shared.api_root));
        let joined = if path.starts_with('/') || path.contains("://") {
            shared.origin.join(path)
        } else {
            shared.origin.join(&format!("{}{path}", self.api()))
        };
        let url = joined.map_err(|_| outside())?;
        if url.origin() == shared.origin.origin() && url.path().starts_with(&shared.api_root) { Ok(url) } else { Err(outside()) }
    }

    async fn call(&self, method: Method, path: &str, query: &Query, body: Body, sign_in: bool) -> Result<Answer> {
        // A server with domains has the API of the default one elsewhere, which its answer to the first call shows.
        let again = match &body {
            Body::Empty => Some(Body::Empty),
            Body::Json(value) => Some(Body::Json(value.clone())),
            Body::Form(..) => None,
        };
        let answer = self.call_once(&method, path, query, body, sign_in).await;
        match (answer, again) {
            (Err(Error::NoRoute { .. }), Some(body)) if self.may_have_domains(path) => {
                let status = self.call_once(&Method::GET, "status/", &Query::new(), Body::Empty, false).await?;
                let has_domains = status.body.get("domain_enabled") == Some(&Value::Bool(true));
                let domain = if has_domains { "default/" } else { "" };
                let api = format!("{}{domain}api/v3/", self.shared.api_root);
                // Another call may have been faster; it found the same.
                let _ = self.shared.domain_api.set(api);
                self.call_once(&method, path, query, body, sign_in).await
            }
            (answer, _) => answer,
        }
    }

    /// Whether the API may lie elsewhere than thought, which was not looked into yet.
    fn may_have_domains(&self, path: &str) -> bool {
        self.shared.domain.is_none() && self.shared.domain_api.get().is_none() && !path.starts_with('/') && path != "status/"
    }

    async fn call_once(&self, method: &Method, path: &str, query: &Query, body: Body, sign_in: bool) -> Result<Answer> {
        let shared = &self.shared;
        let mut url = self.url(path)?;
        let relative = url.path().strip_prefix(self.api()).unwrap_or(url.path());
        let operation = operation_id(method, relative);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query.pairs());
        }
        if shared.dry_run && *method != Method::GET {
            return Err(Error::DryRun { method: method.clone(), url: url.to_string() });
        }
        self.note_request(&operation, method, &url, query, &body);

        let broken = |reason: String| Error::Transport { operation: operation.clone(), url: shared.origin.to_string(), reason };
        // A large upload takes as long as it takes.
        let patient = matches!(body, Body::Form(..));
        let sent = self.request(method, url, body, sign_in).send();
        let response = if patient {
            sent.await
        } else {
            tokio::time::timeout(SILENCE_LIMIT, sent).await.map_err(|_| broken("no answer in time".to_owned()))?
        };
        let mut response = response.map_err(|error| broken(causes(&error)))?;
        self.note_response(&response);
        self.check_correlation(&response)?;
        let status = response.status();
        let bytes = read(&mut response).await.map_err(broken)?;
        if !status.is_success() {
            return Err(refusal::refusal(&operation, status, &bytes));
        }
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(|error| Error::NotPulp {
                operation: operation.clone(),
                url: shared.origin.to_string(),
                reason: format!("the answer is not JSON ({error})"),
            })?
        };
        self.note_body(&body);
        Ok(Answer { status, body })
    }

    fn request(&self, method: &Method, url: Url, body: Body, sign_in: bool) -> reqwest::RequestBuilder {
        let shared = &self.shared;
        let mut request = shared.http.request(method.clone(), url).header(http::header::ACCEPT, "application/json");
        if let Some(cid) = &shared.cid {
            request = request.header("Correlation-ID", cid);
        }
        for (_, name, value) in &shared.headers {
            request = request.header(name, value);
        }
        if sign_in && let Some(authorization) = &shared.authorization {
            request = request.header(http::header::AUTHORIZATION, authorization);
        }
        match body {
            Body::Empty => request,
            Body::Json(value) => request.header(http::header::CONTENT_TYPE, "application/json").body(value.to_string()),
            Body::Form(form, None) => request.multipart(form),
            Body::Form(form, Some(range)) => request.multipart(form).header(http::header::CONTENT_RANGE, range),
        }
    }

    fn check_correlation(&self, response: &reqwest::Response) -> Result<()> {
        match (&self.shared.cid, response.headers().get("correlation-id")) {
            (Some(sent), Some(got)) if got.as_bytes() != sent.as_bytes() => {
                Err(Error::Correlation { sent: sent.clone(), got: String::from_utf8_lossy(got.as_bytes()).into_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// The body of the answer, up to the limit.
async fn read(response: &mut reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        let chunk = tokio::time::timeout(SILENCE_LIMIT, response.chunk())
            .await
            .map_err(|_| "the answer stalled".to_owned())?
            .map_err(|error| causes(&error))?;
        let Some(chunk) = chunk else {
            return Ok(bytes);
        };
        if bytes.len() + chunk.len() > ANSWER_LIMIT {
            return Err(format!("the answer is larger than {ANSWER_LIMIT} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// All causes of an error, outermost first, without the URL (it may hold credentials).
fn causes(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    if texts.is_empty() {
        texts.push(if error.is_timeout() { "timed out".to_owned() } else { "the request failed".to_owned() });
    }
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base_url: &str) -> Result<Client> {
        Client::new(&Profile { base_url: Some(base_url.to_owned()), ..Profile::default() }, None)
    }

    #[test]
    fn paths_and_hrefs_become_urls() {
        let client = client("http://pulp:8080").unwrap();
        assert_eq!(client.url("tasks/").unwrap().as_str(), "http://pulp:8080/pulp/api/v3/tasks/");
        let href = "/pulp/other/api/v3/tasks/x/";
        assert_eq!(client.url(href).unwrap().path(), href);
        assert!(client.url("http://pulp:8080/pulp/api/v3/tasks/").is_ok());
    }

    #[test]
    fn nothing_leads_to_another_place() {
        let client = client("http://pulp:8080").unwrap();
        for path in [
            "http://evil/pulp/api/v3/tasks/",
            "//evil/pulp/api/v3/tasks/",
            "/admin/",
            "/pulp/../admin/",
            "../../../admin/",
            "https://pulp:8080/pulp/api/v3/",
        ] {
            let error = client.url(path).unwrap_err().to_string();
            assert!(error.contains("/pulp/"), "{path}: {error}");
        }
    }

    #[test]
    fn a_domain_stands_in_the_path() {
        let profile = Profile { domain: Some("foo".into()), ..Profile::default() };
        let client = Client::new(&profile, None).unwrap();
        assert_eq!(client.url("tasks/").unwrap().path(), "/pulp/foo/api/v3/tasks/");
    }
}
