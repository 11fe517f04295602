//! Remotes: how to reach an upstream.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::{Labels, model};
use crate::clock::Timestamp;

/// When the files of a remote are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// At sync.
    #[default]
    Immediate,
    /// When somebody asks for one; it is stored then.
    OnDemand,
    /// Whenever somebody asks for one; it is never stored.
    Streamed,
}

impl Policy {
    /// As on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
            Self::OnDemand => "on_demand",
            Self::Streamed => "streamed",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "immediate" => Ok(Self::Immediate),
            "on_demand" => Ok(Self::OnDemand),
            "streamed" => Ok(Self::Streamed),
            _ => Err(format!("\"{text}\" is not a valid choice.")),
        }
    }
}

/// A row of `core_remote`. The secret columns hold ciphertext; [`Remote`]’s `Debug` leaves them out.
#[derive(Clone, FromRow)]
pub struct Remote {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// The type: `file.file`.
    pub pulp_type: String,
    /// Labels.
    pub pulp_labels: Column<Labels>,
    /// Unique in the domain.
    pub name: String,
    /// The upstream’s address.
    pub url: String,
    /// See [`Policy`].
    pub policy: String,
    /// PEM of the authorities that the upstream’s certificate is checked against.
    pub ca_cert: Option<String>,
    /// PEM of our certificate.
    pub client_cert: Option<String>,
    /// PEM of our key, encrypted.
    pub client_key: Option<String>,
    /// Whether the upstream’s certificate is checked.
    pub tls_validation: bool,
    /// Proxy, without credentials.
    pub proxy_url: Option<String>,
    /// Encrypted.
    pub proxy_username: Option<String>,
    /// Encrypted.
    pub proxy_password: Option<String>,
    /// Encrypted.
    pub username: Option<String>,
    /// Encrypted.
    pub password: Option<String>,
    /// Downloads at the same time.
    pub download_concurrency: Option<i64>,
    /// Retries of one download.
    pub max_retries: Option<i64>,
    /// Requests per second.
    pub rate_limit: Option<i64>,
    /// Seconds for a whole download.
    pub total_timeout: Option<f64>,
    /// Seconds to get a connection, waiting for a free one included.
    pub connect_timeout: Option<f64>,
    /// Seconds to connect a socket.
    pub sock_connect_timeout: Option<f64>,
    /// Seconds between two reads.
    pub sock_read_timeout: Option<f64>,
    /// Headers sent with each request: a list of objects.
    pub headers: Option<Column<Json>>,
    /// When it was deleted, if its sources are kept.
    pub deleted_at: Option<Timestamp>,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Remote, "core_remote", "remote");

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("pulp_id", &self.pulp_id)
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// The policy; an unknown word in the database counts as the default.
    pub fn policy(&self) -> Policy {
        self.policy.parse().unwrap_or_default()
    }
}
