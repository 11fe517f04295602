//! Fetching over http and https.

use std::error::Error;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Client, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use url::Url;

use super::hosts::{Hosts, Visit};
use super::pace::Pace;
use super::request::ContentRange;
use super::tls::client_config;
use super::{
    Denied, DeniedNetworks, Download, DownloadError, DownloadRequest, Downloader, RedactedUrl, RemoteOptions, StrongValidator, TimeoutKind,
    Timeouts,
};

const MAX_REDIRECTS: usize = 10;
const USER_AGENT: &str = concat!("pulp/", env!("CARGO_PKG_VERSION"));

/// Fetches from one remote: one pool of connections, one brake, one set of credentials.
///
/// Redirects are followed here and not by the HTTP library, because credentials and the remote's headers
/// must stay with the origin that was asked: another host is none of their business.
#[derive(Debug)]
pub struct HttpDownloader {
    client: Client,
    headers: HeaderMap,
    pace: Pace,
    timeouts: Timeouts,
    denied: DeniedNetworks,
    hosts: Hosts,
}

impl HttpDownloader {
    /// Prepares everything, and so finds all that is wrong with the options: certificates, headers, proxy.
    ///
    /// # Errors
    /// [`DownloadError::InvalidOption`], which names the field.
    pub fn new(options: &RemoteOptions) -> Result<Self, DownloadError> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(client_config(options)?)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .referer(false)
            .user_agent(USER_AGENT)
            .connect_timeout(options.timeouts.connecting())
            .pool_max_idle_per_host(options.concurrency())
            .pool_idle_timeout(Duration::from_secs(30));
        if let Some(proxy) = options.proxy()? {
            builder = builder.proxy(proxy);
        }
        builder = options.denied_networks.guard(builder);
        let client =
            builder.build().map_err(|error| DownloadError::InvalidOption { field: "remote", reason: chain(&error.without_url()) })?;
        Ok(Self {
            client,
            headers: options.header_map()?,
            pace: Pace::new(options),
            timeouts: options.timeouts,
            denied: options.denied_networks.clone(),
            hosts: options.hosts.clone(),
        })
    }

    async fn send(&self, url: &Url, request: &DownloadRequest, foreign: bool, clock: &Deadline) -> Result<Response, DownloadError> {
        let shown = RedactedUrl::new(url);
        if let Err(denied) = self.denied.check(url) {
            return Err(DownloadError::DeniedNetwork { url: shown, denied: denied.to_string() });
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().chain(&request.headers) {
            if !foreign || travels(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        // A body that was compressed on the way has neither the promised size nor the promised digest.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(tag) = &request.if_none_match {
            headers.insert(header::IF_NONE_MATCH, tag.clone());
        }
        if let Some(range) = request.range.and_then(|range| range.header()) {
            if let Ok(value) = HeaderValue::try_from(range) {
                headers.insert(header::RANGE, value);
            }
            if let Some(validator) = &request.if_range {
                headers.insert(header::IF_RANGE, validator.header().clone());
            }
        }
        let sent = self.client.get(url.clone()).headers(headers).send();
        match clock.limit(sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.classify(shown, error)),
            Err((kind, limit)) => Err(DownloadError::Timeout { url: shown, kind, limit }),
        }
    }

    /// Asks, and goes where the answers send it.
    async fn follow(&self, request: &DownloadRequest, clock: &Deadline) -> Result<(Url, Response), DownloadError> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let foreign = url.origin() != request.url.origin();
            let response = self.send(&url, request, foreign, clock).await?;
            match redirect(&url, &response)? {
                Some(next) => {
                    tracing::debug!(from = %RedactedUrl::new(&url), to = %RedactedUrl::new(&next), "redirected");
                    url = next;
                }
                None => return Ok((url, response)),
            }
        }
        Err(DownloadError::TooManyRedirects { url: request.redacted(), limit: MAX_REDIRECTS })
    }

    fn classify(&self, url: RedactedUrl, error: reqwest::Error) -> DownloadError {
        let error = error.without_url();
        if error.is_connect() && error.is_timeout() {
            let limit = self.timeouts.connecting();
            let kind = TimeoutKind::Connect;
            return DownloadError::Timeout { url, kind, limit };
        }
        if let Some(denied) = Denied::behind(&error) {
            return DownloadError::DeniedNetwork { url, denied: denied.to_string() };
        }
        let detail = chain(&error);
        if caused_by_tls(&error) {
            DownloadError::Tls { url, detail }
        } else if error.is_connect() && detail.contains("proxy authorization required") {
            wants_proxy_credentials(url)
        } else if error.is_connect() && detail.contains("tunnel") {
            DownloadError::Proxy { url, detail }
        } else if error.is_connect() {
            DownloadError::Connect { url, detail }
        } else if error.is_builder() {
            let reason = detail;
            DownloadError::InvalidUrl { url, reason }
        } else {
            DownloadError::Interrupted { url, detail }
        }
    }
}

#[async_trait]
impl Downloader for HttpDownloader {
    async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
        check(&request.url)?;
        let permit = self.pace.enter().await;
        let mut visit = self.hosts.enter(&request.url, !request.at_once).await?;
        let clock = Deadline::start(&self.timeouts);
        let answer = self.follow(&request, &clock).await;
        match answer.and_then(|(url, response)| Ok((accept(&url, &response, &request)?, url, response))) {
            Ok((part, url, response)) => {
                visit.answered();
                Ok(download(url, response, part, Turn { clock, visit, _permit: permit }))
            }
            Err(error) => {
                visit.failed(&error);
                Err(error)
            }
        }
    }
}

/// Whether a header may follow a redirect to another origin. Only what cannot be a credential does.
fn travels(name: &header::HeaderName) -> bool {
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::USER_AGENT, header::CACHE_CONTROL].contains(name)
}

fn check(url: &Url) -> Result<(), DownloadError> {
    let reason = match url.scheme() {
        "http" | "https" if url.has_host() => return Ok(()),
        "http" | "https" => "the URL names no host".to_owned(),
        other => format!("{other} is not a scheme that can be fetched here: use http or https"),
    };
    Err(DownloadError::InvalidUrl { url: url.into(), reason })
}

fn redirect(url: &Url, response: &Response) -> Result<Option<Url>, DownloadError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let invalid = |reason: &str| DownloadError::InvalidUrl { url: url.into(), reason: reason.to_owned() };
    let location = response.headers().get(header::LOCATION).ok_or_else(|| invalid("redirects without saying where to"))?;
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| invalid("redirects to what is not a URL"))?;
    let next = url.join(location).map_err(|_| invalid("redirects to what is not a URL"))?;
    // Never from the network to a local file.
    check(&next)?;
    Ok(Some(next))
}

/// Which part of the file an answer has.
struct FilePart {
    offset: u64,
    content_length: Option<u64>,
    complete_length: Option<u64>,
}

/// Takes the head of an answer, if it is one that was asked for.
fn accept(url: &Url, response: &Response, request: &DownloadRequest) -> Result<FilePart, DownloadError> {
    let shown = RedactedUrl::new(url);
    let (status, headers) = (response.status(), response.headers());
    let promised = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let (offset, content_length, complete_length) = match status.as_u16() {
        200 | 203 => (0, promised, promised),
        206 => {
            let wanted = request.range.unwrap_or_default();
            let range = ContentRange::of(headers).filter(|range| range.first == wanted.start).ok_or_else(|| {
                DownloadError::Interrupted { url: shown.clone(), detail: "206 with another range than was asked for".to_owned() }
            })?;
            let length = range.last - range.first + 1;
            (range.first, Some(length), range.complete)
        }
        304 if request.if_none_match.is_some() => (0, Some(0), None),
        _ => return Err(refusal(shown, status, headers)),
    };
    Ok(FilePart { offset, content_length, complete_length })
}

/// The answer with its body.
fn download(url: Url, response: Response, part: FilePart, turn: Turn) -> Download {
    let FilePart { offset, content_length, complete_length } = part;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = Body { response, url: RedactedUrl::new(&url), expected: content_length, got: 0, turn };
    Download {
        url,
        status,
        offset,
        content_length,
        complete_length,
        validator: StrongValidator::of(&headers),
        headers,
        body: stream::try_unfold(body, Body::next).boxed(),
    }
}

fn refusal(url: RedactedUrl, status: StatusCode, headers: &HeaderMap) -> DownloadError {
    match status.as_u16() {
        404 | 410 => DownloadError::NotFound { url },
        401 => DownloadError::Unauthorized { url },
        403 => DownloadError::Forbidden { url },
        407 => wants_proxy_credentials(url),
        416 => DownloadError::RangeNotSatisfiable { url },
        _ => DownloadError::Status { url, status, retry_after: retry_after(headers, SystemTime::now()) },
    }
}

/// In the words that clients look for.
fn wants_proxy_credentials(url: RedactedUrl) -> DownloadError {
    DownloadError::Proxy { url, detail: "Proxy Authentication Required (407)".to_owned() }
}

/// `Retry-After`: seconds or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let when = httpdate::parse_http_date(text).ok()?;
    Some(when.duration_since(now).unwrap_or_default())
}

/// What a request holds until its body is read or dropped: its turn at the remote and at the host, and its limits.
struct Turn {
    clock: Deadline,
    visit: Visit,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The body.
struct Body {
    response: Response,
    url: RedactedUrl,
    expected: Option<u64>,
    got: u64,
    turn: Turn,
}

impl Body {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, DownloadError> {
        match self.chunk().await {
            Ok(Some(bytes)) => {
                self.turn.visit.received(bytes.len()).await;
                Ok(Some((bytes, self)))
            }
            Ok(None) => {
                self.turn.visit.ended();
                Ok(None)
            }
            Err(error) => {
                self.turn.visit.failed(&error);
                Err(error)
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        match self.turn.clock.limit(self.response.chunk()).await {
            Err((kind, limit)) => Err(DownloadError::Timeout { url: self.url.clone(), kind, limit }),
            Ok(Ok(Some(bytes))) => {
                self.got += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Ok(Ok(None)) if self.expected.is_none_or(|expected| expected == self.got) => Ok(None),
            Ok(Ok(None)) => Err(self.truncated()),
            Ok(Err(error)) => {
                let detail = chain(&error.without_url());
                tracing::debug!(url = %self.url, %detail, "the body broke off");
                Err(self.truncated())
            }
        }
    }

    fn truncated(&self) -> DownloadError {
        DownloadError::Truncated { url: self.url.clone(), expected: self.expected, got: self.got }
    }
}

/// The limits that run while a request is under way.
struct Deadline {
    total: Option<(Instant, Duration)>,
    reading: Duration,
}

impl Deadline {
    fn start(timeouts: &Timeouts) -> Self {
        let total = timeouts.total();
        Self {
            // A limit too far away for the clock is none.
            total: total.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit))),
            reading: timeouts.reading(),
        }
    }

    async fn limit<F: Future>(&self, step: F) -> Result<F::Output, (TimeoutKind, Duration)> {
        let now = Instant::now();
        let read = now.checked_add(self.reading);
        let (until, kind, limit) = match (self.total, read) {
            (Some((total, limit)), Some(read)) if total <= read => (total, TimeoutKind::Total, limit),
            (Some((total, limit)), None) => (total, TimeoutKind::Total, limit),
            (_, Some(read)) => (read, TimeoutKind::Read, self.reading),
            (None, None) => return Ok(step.await),
        };
        tokio::time::timeout_at(until, step).await.map_err(|_| (kind, limit))
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some wrappers print their cause themselves.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// An `io::Error` may hold another as its value, which its `source` skips.
fn caused_by_tls(error: &(dyn Error + 'static)) -> bool {
    let held = error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
    error.is::<rustls::Error>() || held.is_some_and(|held| caused_by_tls(held)) || error.source().is_some_and(caused_by_tls)
}
