//! HTTP to a Pulp server: where, as whom, and what the answer means.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::multipart::Form;
use serde_json::Value;
use url::Url;

use crate::config::Profile;
use crate::error::{Error, Result};
use crate::operation::operation_id;

/// The most bytes that are read of one answer. The largest that a server gives is its API document, some megabytes.
const ANSWER_LIMIT: usize = 256 << 20;

/// How long the server may take to begin an answer, and then between two pieces of it.
const SILENCE_LIMIT: Duration = Duration::from_secs(600);

/// The names of fields that are never shown, not even at the highest verbosity.
const SECRET_FIELDS: [&str; 8] = [
    "password",
    "proxy_password",
    "client_key",
    "client_secret",
    "new_password",
    "token",
    "private_key",
    "secret",
];

/// Parameters of a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the parameter if there is a value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        self.0
            .extend(value.map(|value| (name.to_owned(), value.to_string())));
        self
    }

    /// Adds the parameter with the values, joined by commas, if there are any.
    pub(crate) fn with_all(mut self, name: &str, values: &[impl ToString]) -> Self {
        if !values.is_empty() {
            let joined = values
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",");
            self.0.push((name.to_owned(), joined));
        }
        self
    }

    /// Adds all parameters of another query.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

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

impl Answer {
    /// The href of the task that the server started for the call, if it did.
    pub(crate) fn task(&self) -> Option<&str> {
        (self.status == StatusCode::ACCEPTED)
            .then(|| self.body.get("task")?.as_str())
            .flatten()
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
    /// `/pulp/api/v3/` or `/pulp/DOMAIN/api/v3/`.
    api: String,
    /// Value of the `Authorization` header; marked sensitive, so its `Debug` hides it.
    authorization: Option<HeaderValue>,
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
        if profile.client_id.is_some() || profile.client_secret.is_some() {
            return Err(Error::usage(
                "client_id, client_secret: this client signs in with user name and password, or with a certificate",
            ));
        }
        if let Some(other) = profile
            .api_version
            .as_deref()
            .filter(|version| *version != "v3")
        {
            return Err(Error::usage(format!(
                "api_version: '{other}' is not known, this client speaks v3"
            )));
        }
        let (origin, username, password) =
            origin(profile.base_url.as_deref().unwrap_or("https://localhost"))?;
        let username = profile.username.clone().or(username);
        let password = profile.password.clone().or(password);
        let authorization = match (username, password) {
            (Some(username), Some(password)) => Some(basic(&username, password.expose())?),
            (Some(_), None) => {
                return Err(Error::usage(
                    "username is set and password is not: give --password, or set both in the settings file",
                ));
            }
            (None, Some(_)) => {
                return Err(Error::usage(
                    "password is set and username is not: give --username, or set both in the settings file",
                ));
            }
            (None, None) => None,
        };
        let api_root = profile.api_root.as_deref().unwrap_or("/pulp/");
        if !api_root.starts_with('/') || !api_root.ends_with('/') || api_root.starts_with("//") {
            return Err(Error::usage(format!(
                "api_root: '{api_root}' must begin and end with a slash, like /pulp/"
            )));
        }
        let api = match profile.domain.as_deref() {
            None | Some("default") => format!("{api_root}api/v3/"),
            Some(domain) if is_slug(domain) => format!("{api_root}{domain}/api/v3/"),
            Some(domain) => {
                return Err(Error::usage(format!(
                    "domain: '{domain}' is no name of a domain (letters, digits, - and _)"
                )));
            }
        };
        if let Some(cid) = &cid
            && HeaderValue::from_str(cid).is_err()
        {
            return Err(Error::usage("--cid: must be 32 hexadecimal digits"));
        }
        let headers = profile
            .headers
            .iter()
            .flatten()
            .map(|text| header(text))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            shared: Arc::new(Shared {
                http: connector(profile)?,
                origin,
                api_root: api_root.to_owned(),
                api,
                authorization,
                headers,
                cid,
                dry_run: profile.dry_run.unwrap_or(false),
                verbose: profile.verbose.unwrap_or(0),
            }),
        })
    }

    /// The path of the API: `/pulp/api/v3/`.
    pub(crate) fn api(&self) -> &str {
        &self.shared.api
    }

    /// Whether calls that change something are refused.
    pub(crate) fn dry_run(&self) -> bool {
        self.shared.dry_run
    }

    /// `GET`. `path` is an href, or relative to the API.
    pub(crate) async fn get(&self, path: &str, query: &Query) -> Result<Value> {
        Ok(self
            .call(Method::GET, path, query, Body::Empty, true)
            .await?
            .body)
    }

    /// `GET` without signing in, for what a server tells to all: a server may take most of a second to check a password.
    pub(crate) async fn get_public(&self, path: &str, query: &Query) -> Result<Value> {
        Ok(self
            .call(Method::GET, path, query, Body::Empty, false)
            .await?
            .body)
    }

    /// `POST` of a JSON body.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::POST, path, &Query::new(), Body::Json(body), true)
            .await
    }

    /// `POST` of a form with a file.
    pub(crate) async fn post_form(&self, path: &str, form: Form) -> Result<Answer> {
        self.call(
            Method::POST,
            path,
            &Query::new(),
            Body::Form(form, None),
            true,
        )
        .await
    }

    /// `PUT` of a form with one chunk of a file; `range` is the value of `Content-Range`.
    pub(crate) async fn put_chunk(&self, path: &str, form: Form, range: String) -> Result<Answer> {
        self.call(
            Method::PUT,
            path,
            &Query::new(),
            Body::Form(form, Some(range)),
            true,
        )
        .await
    }

    /// `PATCH` of a JSON body.
    pub(crate) async fn patch(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::PATCH, path, &Query::new(), Body::Json(body), true)
            .await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, &Query::new(), Body::Empty, true)
            .await
    }

    /// A call of any method, with a JSON body if there is one.
    pub(crate) async fn any(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<Value>,
    ) -> Result<Answer> {
        self.call(
            method,
            path,
            query,
            body.map_or(Body::Empty, Body::Json),
            true,
        )
        .await
    }

    /// The URL of an href, or of a path relative to the API.
    ///
    /// Hrefs come from the user and from the server. Neither may lead to another server or out of the API root, for
    /// the password goes with the call.
    fn url(&self, path: &str) -> Result<Url> {
        let shared = &self.shared;
        let outside = || {
            Error::usage(format!(
                "'{path}' is not an href of this server: it must begin with {}",
                shared.api_root
            ))
        };
        let joined = if path.starts_with('/') || path.contains("://") {
            shared.origin.join(path)
        } else {
            shared.origin.join(&format!("{}{path}", shared.api))
        };
        let url = joined.map_err(|_| outside())?;
        if url.origin() == shared.origin.origin() && url.path().starts_with(&shared.api_root) {
            Ok(url)
        } else {
            Err(outside())
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Body,
        sign_in: bool,
    ) -> Result<Answer> {
        let shared = &self.shared;
        let mut url = self.url(path)?;
        let relative = url.path().strip_prefix(&shared.api).unwrap_or(url.path());
        let operation = operation_id(&method, relative);
        if !query.0.is_empty() {
            url.query_pairs_mut().extend_pairs(&query.0);
        }
        if shared.dry_run && method != Method::GET {
            return Err(Error::DryRun {
                method,
                url: url.to_string(),
            });
        }

        let patient = matches!(body, Body::Form(..));
        let mut request = shared.http.request(method.clone(), url.clone());
        request = request.header(http::header::ACCEPT, "application/json");
        if let Some(cid) = &shared.cid {
            request = request.header("Correlation-ID", cid);
        }
        for (_, name, value) in &shared.headers {
            request = request.header(name, value);
        }
        if sign_in && let Some(authorization) = &shared.authorization {
            request = request.header(http::header::AUTHORIZATION, authorization);
        }
        self.note_request(&operation, &method, &url, query, &body);
        request = match body {
            Body::Empty => request,
            Body::Json(value) => request
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(value.to_string()),
            Body::Form(form, range) => {
                let request = request.multipart(form);
                match range {
                    Some(range) => request.header(http::header::CONTENT_RANGE, range),
                    None => request,
                }
            }
        };

        let broken = |reason: String| Error::Transport {
            operation: operation.clone(),
            url: shared.origin.to_string(),
            reason,
        };
        let sent = request.send();
        // A large upload takes as long as it takes.
        let response = if patient {
            sent.await
        } else {
            tokio::time::timeout(SILENCE_LIMIT, sent)
                .await
                .map_err(|_| broken("no answer in time".to_owned()))?
        };
        let mut response = response.map_err(|error| broken(causes(&error)))?;
        let status = response.status();
        self.note_response(&response);
        if let Some(sent) = &shared.cid
            && let Some(got) = response.headers().get("correlation-id")
            && got.as_bytes() != sent.as_bytes()
        {
            let got = String::from_utf8_lossy(got.as_bytes()).into_owned();
            return Err(Error::Correlation {
                sent: sent.clone(),
                got,
            });
        }
        let mut bytes = Vec::new();
        loop {
            let chunk = tokio::time::timeout(SILENCE_LIMIT, response.chunk())
                .await
                .map_err(|_| broken("the answer stalled".to_owned()))?
                .map_err(|error| broken(causes(&error)))?;
            let Some(chunk) = chunk else { break };
            if bytes.len() + chunk.len() > ANSWER_LIMIT {
                return Err(broken(format!(
                    "the answer is larger than {ANSWER_LIMIT} bytes"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(refusal(&operation, status, &bytes));
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
        if shared.verbose >= 3 && !body.is_null() {
            note(&format!("{}", masked(&body)));
        }
        Ok(Answer { status, body })
    }

    fn note_request(
        &self,
        operation: &str,
        method: &Method,
        url: &Url,
        query: &Query,
        body: &Body,
    ) {
        let verbose = self.shared.verbose;
        if verbose == 0 {
            return;
        }
        note(&format!(
            "{operation} : {} {url}",
            method.as_str().to_lowercase()
        ));
        if verbose < 2 {
            return;
        }
        for (name, value) in &query.0 {
            note(&format!("  {name}=={value}"));
        }
        for (name, _, value) in &self.shared.headers {
            let shown = if is_secret_header(name) {
                "[hidden]".into()
            } else {
                String::from_utf8_lossy(value.as_bytes())
            };
            note(&format!("  {name}: {shown}"));
        }
        if let Some(cid) = &self.shared.cid {
            note(&format!("  Correlation-ID: {cid}"));
        }
        if verbose >= 3
            && let Body::Json(value) = body
        {
            note(&format!("{}", masked(value)));
        }
    }

    fn note_response(&self, response: &reqwest::Response) {
        if self.shared.verbose == 0 {
            return;
        }
        note(&format!("Response: {}", response.status().as_u16()));
        if self.shared.verbose < 2 {
            return;
        }
        for (name, value) in response.headers() {
            let name = title_case(name.as_str());
            let shown = if is_secret_header(&name) {
                "[hidden]".into()
            } else {
                String::from_utf8_lossy(value.as_bytes())
            };
            note(&format!("  {name}: {shown}"));
        }
    }
}

/// Writes a line to standard error; that nobody reads it is no reason to fail.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The server's address, apart from the credentials that stand in it.
fn origin(base_url: &str) -> Result<(Url, Option<String>, Option<crate::secret::Secret>)> {
    // The text is not quoted in the error: it may hold a password.
    let bad = |why: &str| {
        Error::usage(format!(
            "base_url: {why}; write it like https://pulp.example.org"
        ))
    };
    let mut url = Url::parse(base_url).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must begin with http:// or https://"));
    }
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let username = Some(decoded(url.username())).filter(|text| !text.is_empty());
    let password = url.password().map(|text| decoded(text).into());
    url.set_username("")
        .and_then(|()| url.set_password(None))
        .map_err(|()| bad("it names no host"))?;
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    Ok((url, username, password))
}

fn basic(username: &str, password: &str) -> Result<HeaderValue> {
    if username.contains(':') {
        return Err(Error::usage("username: must not hold a colon"));
    }
    let encoded =
        base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
        .map_err(|_| Error::usage("username, password: cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header of the settings, `name:value`, with its name as written.
fn header(text: &str) -> Result<(String, HeaderName, HeaderValue)> {
    let bad = || Error::usage("headers: a header is written name:value");
    let (name, value) = text.split_once(':').ok_or_else(bad)?;
    let (name, value) = (name.trim(), value.trim());
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    let mut header = HeaderValue::from_str(value).map_err(|_| bad())?;
    header.set_sensitive(is_secret_header(name));
    Ok((name.to_owned(), parsed, header))
}

fn connector(profile: &Profile) -> Result<reqwest::Client> {
    // Fails only if another provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("pulp-cli/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(30))
        .tls_danger_accept_invalid_certs(!profile.verify_ssl.unwrap_or(true));
    if let Some(cert) = &profile.cert {
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|source| Error::File {
                action: "read",
                path: path.to_owned(),
                source,
            })
        };
        let mut pem = read(cert)?;
        if let Some(key) = &profile.key {
            pem.push(b'\n');
            pem.extend(read(key)?);
        }
        let identity = reqwest::Identity::from_pem(&pem).map_err(|error| {
            Error::usage(format!(
                "cert '{}': cannot be used ({}); it must be PEM and come with its key, in the same file or with --key",
                cert.display(),
                causes(&error)
            ))
        })?;
        builder = builder.identity(identity);
    } else if profile.key.is_some() {
        return Err(Error::usage(
            "key is set and cert is not: give the certificate with --cert",
        ));
    }
    builder
        .build()
        .map_err(|error| Error::usage(format!("cannot set up TLS: {}", causes(&error))))
}

/// What the server said when it refused.
fn refusal(operation: &str, status: StatusCode, bytes: &[u8]) -> Error {
    let body = serde_json::from_slice::<Value>(bytes).ok();
    let told = body
        .as_ref()
        .map(|body| complaints(body).join("\n"))
        .filter(|text| !text.is_empty());
    let message = match (status, told) {
        (StatusCode::UNAUTHORIZED, told) => {
            let told = told.unwrap_or_else(|| "no valid credentials".to_owned());
            format!(
                "Authentication failed for {operation}: {told}\nSet username and password in the settings file, or give --username and --password."
            )
        }
        (StatusCode::FORBIDDEN, told) => {
            let told = told.map(|told| format!(" {told}")).unwrap_or_default();
            format!("Operation {operation} not authorized.{told}")
        }
        (_, Some(told)) => told,
        (_, None) => format!(
            "{operation}: the server answered {status}{}",
            excerpt(bytes)
        ),
    };
    Error::Server { status, message }
}

/// The beginning of an answer that is not JSON, for the curious; pages of HTML say nothing to a reader.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return String::new();
    }
    format!(": {}", text.chars().take(300).collect::<String>())
}

/// The messages of an error body, one per field: `name: This field must be unique.`
fn complaints(body: &Value) -> Vec<String> {
    fn walk(path: &str, value: &Value, out: &mut Vec<String>) {
        let prefixed = |text: &str| {
            if path.is_empty() {
                text.to_owned()
            } else {
                format!("{path}: {text}")
            }
        };
        match value {
            Value::String(text) => out.push(prefixed(text)),
            Value::Array(list) => list.iter().for_each(|value| walk(path, value, out)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let anonymous = matches!(name.as_str(), "detail" | "non_field_errors");
                    let path = match (path.is_empty(), anonymous) {
                        (_, true) => path.to_owned(),
                        (true, false) => name.clone(),
                        (false, false) => format!("{path}.{name}"),
                    };
                    walk(&path, value, out);
                }
            }
            Value::Null => {}
            other => out.push(prefixed(&other.to_string())),
        }
    }
    let mut out = Vec::new();
    walk("", body, &mut out);
    out
}

/// The value with all secrets in it covered.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let hide = SECRET_FIELDS.contains(&name.as_str()) && !value.is_null();
                (
                    name.clone(),
                    if hide {
                        "[hidden]".into()
                    } else {
                        masked(value)
                    },
                )
            })
            .collect(),
        Value::Array(list) => list.iter().map(masked).collect(),
        other => other.clone(),
    }
}

fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "api-key",
    ]
    .iter()
    .any(|part| name.contains(part))
}

/// `correlation-id` as servers write it: `Correlation-ID`.
fn title_case(name: &str) -> String {
    name.split('-')
        .map(|word| match word {
            "id" => "ID".to_owned(),
            _ => {
                let mut letters = word.chars();
                letters
                    .next()
                    .map(|first| first.to_ascii_uppercase())
                    .into_iter()
                    .chain(letters)
                    .collect()
            }
        })
        .collect::<Vec<String>>()
        .join("-")
}

/// Whether the text is a single harmless path segment.
pub(crate) fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
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
        texts.push(if error.is_timeout() {
            "timed out".to_owned()
        } else {
            "the request failed".to_owned()
        });
    }
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(base_url: &str) -> Result<Client> {
        Client::new(
            &Profile {
                base_url: Some(base_url.to_owned()),
                ..Profile::default()
            },
            None,
        )
    }

    #[test]
    fn paths_and_hrefs_become_urls() {
        let client = client("http://pulp:8080").unwrap();
        assert_eq!(
            client.url("tasks/").unwrap().as_str(),
            "http://pulp:8080/pulp/api/v3/tasks/"
        );
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
    fn credentials_in_the_address_are_used_and_not_shown() {
        let client = client("http://admin:s%40crt@pulp:8080/").unwrap();
        assert_eq!(client.shared.origin.as_str(), "http://pulp:8080/");
        assert_eq!(
            client.shared.authorization.as_ref().unwrap().as_bytes(),
            basic("admin", "s@crt").unwrap().as_bytes()
        );
        assert!(!format!("{client:?}").contains("crt"));
    }

    #[test]
    fn settings_that_do_not_go_together() {
        let profile = Profile {
            password: Some("s3".into()),
            ..Profile::default()
        };
        let error = Client::new(&profile, None).unwrap_err().to_string();
        assert!(
            error.contains("--username") && !error.contains("s3"),
            "{error}"
        );
        for (profile, hint) in [
            (
                Profile {
                    username: Some("a".into()),
                    ..Profile::default()
                },
                "--password",
            ),
            (
                Profile {
                    key: Some("x".into()),
                    ..Profile::default()
                },
                "--cert",
            ),
            (
                Profile {
                    api_root: Some("pulp".into()),
                    ..Profile::default()
                },
                "api_root",
            ),
            (
                Profile {
                    domain: Some("a/b".into()),
                    ..Profile::default()
                },
                "domain",
            ),
            (
                Profile {
                    headers: Some(vec!["nocolon".into()]),
                    ..Profile::default()
                },
                "name:value",
            ),
            (
                Profile {
                    client_id: Some("x".into()),
                    ..Profile::default()
                },
                "client_id",
            ),
            (
                Profile {
                    base_url: Some("ftp://a:s3@x".into()),
                    ..Profile::default()
                },
                "http://",
            ),
        ] {
            let error = Client::new(&profile, None).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
            assert!(!error.contains("s3"), "{error}");
        }
    }

    #[test]
    fn a_domain_stands_in_the_path() {
        let profile = Profile {
            domain: Some("foo".into()),
            ..Profile::default()
        };
        let client = Client::new(&profile, None).unwrap();
        assert_eq!(
            client.url("tasks/").unwrap().path(),
            "/pulp/foo/api/v3/tasks/"
        );
    }

    #[test]
    fn error_bodies_become_lines() {
        assert_eq!(
            complaints(&json!({"name": ["This field must be unique."]})),
            ["name: This field must be unique."]
        );
        assert_eq!(complaints(&json!({"detail": "Not found."})), ["Not found."]);
        assert_eq!(
            complaints(&json!({"non_field_errors": ["a"], "x": {"y": ["b", "c"]}})),
            ["a", "x.y: b", "x.y: c"]
        );
    }

    #[test]
    fn refusals_say_what_to_do() {
        let text = |status, body: &str| refusal("tasks_list", status, body.as_bytes()).to_string();
        assert!(text(StatusCode::UNAUTHORIZED, r#"{"detail":"Invalid."}"#).contains("--username"));
        let denied = text(StatusCode::FORBIDDEN, r#"{"detail":"You may not."}"#);
        assert_eq!(denied, "Operation tasks_list not authorized. You may not.");
        let page = text(StatusCode::NOT_FOUND, "<!doctype html><p>no");
        assert!(page.contains("404") && !page.contains('<'), "{page}");
    }

    #[test]
    fn secrets_are_covered() {
        let shown =
            masked(&json!({"a": [{"password": "x1"}], "client_key": "x2", "proxy_password": null}))
                .to_string();
        assert!(!shown.contains("x1") && !shown.contains("x2"), "{shown}");
        assert!(shown.contains("null"), "{shown}");
    }

    #[test]
    fn header_names_as_servers_write_them() {
        assert_eq!(title_case("correlation-id"), "Correlation-ID");
        assert_eq!(title_case("content-type"), "Content-Type");
    }
}
