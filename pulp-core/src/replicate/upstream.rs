//! Asking the other Pulp.

use std::fmt;

use serde_json::Value as Json;
use sqlx::FromRow;
use tokio::io::AsyncReadExt;
use url::Url;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::crypto::Secret;
use crate::download::{DownloadRequest, Downloaders, RemoteOptions, RetryPolicy, SaveOptions, Timeouts, download_to_spool};
use crate::model::model;
use crate::{Error, Pulp, Result};

/// Bytes of one answer at most.
const MOST: u64 = 64 << 20;

/// Objects of a list that are asked for at once.
const PAGE: usize = 100;

/// A row of `core_upstreampulp`. The secret columns hold ciphertext; its `Debug` leaves them out.
#[derive(Clone, FromRow)]
pub struct UpstreamPulp {
    /// Key.
    pub pulp_id: Uuid,
    /// Unique in the domain.
    pub name: String,
    /// Scheme, host and port.
    pub base_url: String,
    /// The path under which its API lies: `/pulp/`.
    pub api_root: String,
    /// The domain there, where it has domains.
    pub domain: Option<String>,
    /// See [`Remote`](crate::model::Remote) for this and what follows.
    pub ca_cert: Option<String>,
    /// PEM of our certificate.
    pub client_cert: Option<String>,
    /// Encrypted.
    pub client_key: Option<String>,
    /// Whether its certificate is checked.
    pub tls_validation: bool,
    /// Encrypted.
    pub username: Option<String>,
    /// Encrypted.
    pub password: Option<String>,
    /// Which distributions are replicated; all if unset.
    pub q_select: Option<String>,
    /// When the last replication that succeeded began.
    pub last_replication: Option<Timestamp>,
    /// What is removed here: `all` that the upstream has not, `labeled` objects only, or none (`nodelete`).
    pub policy: String,
    /// Downloads at the same time, for the remotes.
    pub download_concurrency: Option<i64>,
    /// Retries of one download.
    pub max_retries: Option<i64>,
    /// Seconds.
    pub total_timeout: Option<f64>,
    /// Seconds.
    pub connect_timeout: Option<f64>,
    /// Seconds.
    pub sock_connect_timeout: Option<f64>,
    /// Seconds.
    pub sock_read_timeout: Option<f64>,
    /// When files are fetched.
    pub remote_policy: Option<String>,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(UpstreamPulp, "core_upstreampulp", "upstream Pulp");

impl fmt::Debug for UpstreamPulp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamPulp").field("pulp_id", &self.pulp_id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A Pulp that is asked over its API.
pub struct Upstream {
    pulp: Pulp,
    origin: Url,
    api: String,
    downloaders: Downloaders,
    retry: RetryPolicy,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("api", &self.api).finish_non_exhaustive()
    }
}

impl Upstream {
    /// The Pulp that a row describes.
    ///
    /// # Errors
    /// If its address or an option cannot be used.
    pub fn new(pulp: &Pulp, row: &UpstreamPulp) -> Result<Self> {
        let refused = |reason: &str| Error::BadRequest(format!("the base_url of the upstream Pulp \"{}\" {reason}", row.name));
        let origin: Url = row.base_url.parse().map_err(|_| refused("is no URL"))?;
        if !matches!(origin.scheme(), "http" | "https") {
            return Err(refused("must begin with http:// or https://"));
        }
        let decrypt = |column: &Option<String>| -> Result<Option<Secret>> {
            column.as_deref().filter(|token| !token.is_empty()).map(|token| pulp.unseal(token)).transpose()
        };
        let options = RemoteOptions {
            client_cert: row.client_cert.clone(),
            client_key: decrypt(&row.client_key)?,
            ca_cert: row.ca_cert.clone(),
            tls_validation: row.tls_validation,
            username: decrypt(&row.username)?,
            password: decrypt(&row.password)?,
            max_retries: row.max_retries.and_then(|number| u32::try_from(number).ok()),
            timeouts: Timeouts::from_seconds(row.total_timeout, row.connect_timeout, row.sock_connect_timeout, row.sock_read_timeout)?,
            denied_networks: pulp.denied_networks().clone(),
            hosts: pulp.hosts().clone(),
            ..RemoteOptions::default()
        };
        let root = row.api_root.trim_matches('/');
        let root = if root.is_empty() { "/".to_owned() } else { format!("/{root}/") };
        let domain = row.domain.as_ref().map(|domain| format!("{domain}/")).unwrap_or_default();
        Ok(Self {
            pulp: pulp.clone(),
            origin,
            api: format!("{root}{domain}api/v3/"),
            downloaders: Downloaders::new(&options, pulp.import_files().clone())?,
            retry: RetryPolicy::of(&options),
        })
    }

    /// An address that the upstream gave, as a remote can have it: on another host if it says so, but reached by HTTP only.
    ///
    /// # Errors
    /// If it is none.
    pub fn absolute(&self, address: &str) -> Result<String> {
        match self.origin.join(address) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url.to_string()),
            _ => Err(self.wrong(&format!("gives the address \"{}\", which cannot be fetched", address.escape_debug()))),
        }
    }

    /// An object, by its href.
    ///
    /// # Errors
    /// If the upstream does not answer, or not with an object.
    pub async fn read(&self, href: &str) -> Result<Json> {
        // A path only: hrefs that an upstream gives send us nowhere else.
        if !href.starts_with('/') || href.starts_with("//") {
            return Err(self.wrong(&format!("gives the href \"{}\", which is no path", href.escape_debug())));
        }
        self.get(href, &[]).await
    }

    /// The objects of a list, page by page, ordered by key: those from `offset` on. An empty page is the end.
    ///
    /// # Errors
    /// If the upstream does not answer, or not with a list.
    pub async fn page(&self, collection: &str, q: Option<&str>, offset: usize) -> Result<Vec<Json>> {
        let (limit, offset) = (PAGE.to_string(), offset.to_string());
        let mut query = vec![("limit", limit.as_str()), ("offset", offset.as_str()), ("ordering", "pk")];
        if let Some(q) = q.filter(|q| !q.trim().is_empty()) {
            query.push(("q", q));
        }
        let mut answer = self.get(&format!("{}{collection}/", self.api), &query).await?;
        match answer.get_mut("results").map(Json::take) {
            Some(Json::Array(results)) => Ok(results),
            _ => Err(self.wrong(&format!("has no list of {collection}"))),
        }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Json> {
        let mut url = self.origin.clone();
        url.set_path(path);
        url.set_fragment(None);
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let options = SaveOptions::default().limit(MOST).retry(self.retry);
        let answer = download_to_spool(&self.downloaders, DownloadRequest::new(url), self.pulp.spool(), &options).await?;
        let mut bytes = Vec::with_capacity(usize::try_from(answer.size()).unwrap_or_default());
        let mut file = tokio::fs::File::from_std(answer.open().await?);
        file.read_to_end(&mut bytes).await.map_err(|error| Error::io("a spooled file", error))?;
        serde_json::from_slice(&bytes).map_err(|_| self.wrong("answers with something other than JSON"))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::BadRequest(format!("the upstream Pulp at {} {what}", crate::crypto::redact_url(&self.origin)))
    }
}
