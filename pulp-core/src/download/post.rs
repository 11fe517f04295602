//! Asking services that answer JSON: to a question in JSON, or to a simple request.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder};
use serde_json::Value as Json;
use url::Url;

use super::tls::client_config;
use super::{Denied, DeniedNetworks, DownloadError, RedactedUrl, RemoteOptions};

/// Bytes of an answer.
const LARGEST: usize = 32 << 20;
const LARGEST_DOCUMENT: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Tries of a question, and the pause before the second; it doubles.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// For how long a request may wait for a document that it needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks such questions: one pool of connections.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    client: Client,
    url: Url,
}

impl Questions {
    /// To the service at this address.
    pub(crate) fn new(url: Url) -> Result<Self, DownloadError> {
        Ok(Self { client: client(|builder| builder.timeout(TIMEOUT))?, url })
    }

    /// Asks; again, if the service could not be reached or is in trouble.
    pub(crate) async fn ask(&self, question: &Json) -> Result<Json, DownloadError> {
        let mut tries = 1;
        loop {
            match self.ask_once(question).await {
                Err((true, _)) if tries < TRIES => {
                    tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
                    tries += 1;
                }
                Err((_, error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// The error, and whether it is worth to ask again.
    async fn ask_once(&self, question: &Json) -> Result<Json, (bool, DownloadError)> {
        let request = self.client.post(self.url.clone()).header(http::header::CONTENT_TYPE, "application/json");
        answer(request.body(question.to_string()), &self.url, LARGEST).await
    }
}

/// Fetches documents of JSON that a request waits for: one pool of connections. Where they lie is not for others to say, so that no
/// redirect is followed.
#[derive(Debug, Clone)]
pub(crate) struct JsonDocuments {
    client: Client,
}

impl JsonDocuments {
    pub(crate) fn new() -> Result<Self, DownloadError> {
        Ok(Self { client: client(|builder| builder.timeout(PATIENCE).redirect(Policy::none()))? })
    }

    /// The document at this address.
    pub(crate) async fn get(&self, url: &Url) -> Result<Json, DownloadError> {
        answer(self.client.get(url.clone()), url, LARGEST_DOCUMENT).await.map_err(|(_, error)| error)
    }
}

/// Sends messages to one receiver: one pool of connections. Where it lies is not for others to say, so that no redirect is followed.
#[derive(Debug)]
pub(crate) struct PostClient {
    client: Client,
    denied: DeniedNetworks,
}

impl PostClient {
    /// By the rules of TLS and proxy that remotes have, too; the total time-out must be set.
    pub(crate) fn new(options: &RemoteOptions) -> Result<Self, DownloadError> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(client_config(options)?)
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("pulp/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeouts.connecting())
            .timeout(options.timeouts.total().unwrap_or(TIMEOUT))
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(Duration::from_secs(30));
        if let Some(proxy) = options.proxy()? {
            builder = builder.proxy(proxy);
        }
        builder = options.denied_networks.guard(builder);
        let wrong = |error: reqwest::Error| DownloadError::InvalidOption { field: "url", reason: error.without_url().to_string() };
        Ok(Self { client: builder.build().map_err(wrong)?, denied: options.denied_networks.clone() })
    }

    /// Sends a message; the status of the answer, and the first `most` bytes of it.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: http::HeaderMap,
        body: Vec<u8>,
        most: usize,
    ) -> Result<(http::StatusCode, Vec<u8>), DownloadError> {
        let refused = |denied: &Denied| DownloadError::DeniedNetwork { url: RedactedUrl::new(url), denied: denied.to_string() };
        self.denied.check(url).map_err(|denied| refused(&denied))?;
        let lost = |error: reqwest::Error| {
            let error = error.without_url();
            if let Some(denied) = Denied::behind(&error) {
                return refused(denied);
            }
            let mut detail = error.to_string();
            let mut next = std::error::Error::source(&error);
            while let Some(cause) = next {
                let text = cause.to_string();
                if !detail.contains(&text) {
                    detail.push_str(": ");
                    detail.push_str(&text);
                }
                next = cause.source();
            }
            DownloadError::Interrupted { url: RedactedUrl::new(url), detail }
        };
        let response = self.client.post(url.clone()).headers(headers).body(body).send().await.map_err(lost)?;
        let status = response.status();
        let mut stream = response.bytes_stream();
        let mut head = Vec::new();
        // What is left of a longer answer is not read: the connection goes with it. Nor does it matter how an answer ends.
        while head.len() < most
            && let Some(Ok(chunk)) = stream.next().await
        {
            head.extend_from_slice(&chunk);
        }
        head.truncate(most);
        Ok((status, head))
    }
}

fn client(described: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, DownloadError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(client_config(&RemoteOptions::default())?)
        .user_agent(concat!("pulp/", env!("CARGO_PKG_VERSION")));
    let wrong = |error: reqwest::Error| DownloadError::InvalidOption { field: "remote", reason: error.without_url().to_string() };
    described(builder).build().map_err(wrong)
}

/// The JSON that a request is answered with; or the error, and whether it is worth to ask again.
async fn answer(request: RequestBuilder, url: &Url, largest: usize) -> Result<Json, (bool, DownloadError)> {
    let wrong = |detail: String| DownloadError::Interrupted { url: RedactedUrl::new(url), detail };
    let lost = |error: reqwest::Error| (true, wrong(error.without_url().to_string()));
    let response = request.send().await.map_err(lost)?;
    let status = response.status();
    if !status.is_success() {
        let again = status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS;
        return Err((again, wrong(format!("it answered {status}"))));
    }
    let mut body = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(lost)?);
        if bytes.len() > largest {
            return Err((false, wrong(format!("its answer has more than {largest} bytes"))));
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| (false, wrong("its answer is no JSON".to_owned())))
}
