//! One request to a receiver.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use url::Url;
use uuid::Uuid;

use super::sign::signature;
use crate::clock::Timestamp;
use crate::crypto::Secret;
use crate::download::{PostClient, RemoteOptions, Timeouts};
use crate::model::{Webhook, WebhookDelivery};
use crate::{Error, Pulp, Result};

/// For a whole request: who has more to do than to note a message does it afterwards.
const TOTAL: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are kept.
const HEAD: usize = 1_024;

/// Connections are kept for so many webhooks; with more, they are made anew.
const KEPT: usize = 256;

/// The clients of webhooks that were used lately, as the webhooks were then.
#[derive(Debug, Default)]
pub(super) struct Senders(Mutex<HashMap<Uuid, Made>>);

/// A sender, and when the webhook that it is of had last been changed.
type Made = (Option<Timestamp>, Arc<Sender>);

/// How one webhook is reached, and what its messages are signed with.
#[derive(Debug)]
pub(super) struct Sender {
    client: PostClient,
    url: Url,
    secret: Secret,
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) status: Option<StatusCode>,
    pub(super) response: Option<String>,
    /// Why it is no success.
    pub(super) error: Option<String>,
}

impl Senders {
    pub(super) fn of(&self, pulp: &Pulp, webhook: &Webhook) -> Result<Arc<Sender>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((changed, sender)) = kept.get(&webhook.pulp_id)
            && *changed == webhook.pulp_last_updated
        {
            return Ok(Arc::clone(sender));
        }
        let sender = Arc::new(Sender::new(pulp, webhook)?);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(webhook.pulp_id, (webhook.pulp_last_updated, Arc::clone(&sender)));
        Ok(sender)
    }
}

impl Sender {
    fn new(pulp: &Pulp, webhook: &Webhook) -> Result<Self> {
        let decrypt = |column: &Option<String>| -> Result<Option<Secret>> {
            column.as_deref().filter(|token| !token.is_empty()).map(|token| pulp.unseal(token)).transpose()
        };
        let options = RemoteOptions {
            client_cert: webhook.client_cert.clone(),
            client_key: decrypt(&webhook.client_key)?,
            ca_cert: webhook.ca_cert.clone(),
            tls_validation: webhook.tls_validation,
            proxy_url: webhook.proxy_url.clone().filter(|url| !url.is_empty()).map(Secret::from),
            proxy_username: decrypt(&webhook.proxy_username)?,
            proxy_password: decrypt(&webhook.proxy_password)?,
            timeouts: Timeouts { total: Some(TOTAL), connect: Some(CONNECT), ..Timeouts::default() },
            denied_networks: pulp.denied_networks().clone(),
            ..RemoteOptions::default()
        };
        let url = webhook.url.parse().map_err(|_| Error::BadRequest("the address of the webhook is no URL".to_owned()))?;
        Ok(Self { client: PostClient::new(&options)?, url, secret: pulp.unseal(&webhook.secret)? })
    }

    /// Scheme, host and port: what is in trouble together.
    pub(super) fn host(&self) -> String {
        host(&self.url)
    }

    pub(super) async fn send(&self, delivery: &WebhookDelivery, attempt: i64, now: Timestamp) -> Sent {
        let failed = |error: String| Sent { status: None, response: None, error: Some(error) };
        let body = delivery.body.clone().into_bytes();
        let Some(signature) = signature(self.secret.expose().as_bytes(), now.timestamp(), &body) else {
            return failed("the secret of the webhook cannot be used as a key".to_owned());
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("pulp-webhook-id", delivery.pulp_id.to_string()),
            ("pulp-webhook-event", delivery.event.clone()),
            ("pulp-webhook-attempt", attempt.to_string()),
            ("pulp-webhook-signature", signature),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        match self.client.post(&self.url, headers, body, HEAD).await {
            Err(error) => failed(error.to_string()),
            Ok((status, response)) => {
                let error = (!status.is_success()).then(|| format!("the receiver answered {status}"));
                Sent { status: Some(status), response: Some(printable(&response)), error }
            }
        }
    }
}

/// See [`Sender::host`].
pub(super) fn host(url: &Url) -> String {
    format!("{}://{}:{}", url.scheme(), url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// As text that a database takes.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}
