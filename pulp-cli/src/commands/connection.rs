//! How a server connects to another one: what remotes and upstreams have in common.

use clap::{Args, ValueEnum};

use crate::args::{OrNull, text_or_file_or_null};
use crate::resource::Body;

/// When files are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Policy {
    /// With the sync
    Immediate,
    /// When first asked for, and kept
    OnDemand,
    /// Whenever asked for, and not kept
    Streamed,
}

/// How to sign in, and how patient to be; the empty text takes a value away again.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// PEM text, or @FILE, of the authority that signed the certificate of the other server
    #[arg(long, value_name = "PEM", allow_hyphen_values = true, value_parser = text_or_file_or_null)]
    ca_cert: Option<OrNull<String>>,
    /// PEM text, or @FILE, of the certificate to sign in with
    #[arg(long, value_name = "PEM", allow_hyphen_values = true, value_parser = text_or_file_or_null)]
    client_cert: Option<OrNull<String>>,
    /// PEM text, or @FILE, of the key of that certificate
    #[arg(long, value_name = "PEM", allow_hyphen_values = true, value_parser = text_or_file_or_null)]
    client_key: Option<OrNull<String>>,
    /// Name to sign in with
    #[arg(long)]
    username: Option<OrNull<String>>,
    /// Password to sign in with
    #[arg(long, allow_hyphen_values = true)]
    password: Option<OrNull<String>>,
    /// How many connections there may be at once
    #[arg(long, value_name = "COUNT")]
    download_concurrency: Option<OrNull<u64>>,
    /// How often a failed download is tried again
    #[arg(long, value_name = "COUNT")]
    max_retries: Option<OrNull<u64>>,
    /// Seconds for all of a download
    #[arg(long, value_name = "SECONDS")]
    total_timeout: Option<OrNull<f64>>,
    /// Seconds until there is a connection, waiting for a free one included
    #[arg(long, value_name = "SECONDS")]
    connect_timeout: Option<OrNull<f64>>,
    /// Seconds until a new connection stands
    #[arg(long, value_name = "SECONDS")]
    sock_connect_timeout: Option<OrNull<f64>>,
    /// Seconds between two pieces of an answer
    #[arg(long, value_name = "SECONDS")]
    sock_read_timeout: Option<OrNull<f64>>,
}

impl Connection {
    /// The fields that were given.
    pub(crate) fn body(&self) -> Body {
        Body::new()
            .with("ca_cert", self.ca_cert.as_ref())
            .with("client_cert", self.client_cert.as_ref())
            .with("client_key", self.client_key.as_ref())
            .with("username", self.username.as_ref())
            .with("password", self.password.as_ref())
            .with("download_concurrency", self.download_concurrency.as_ref())
            .with("max_retries", self.max_retries.as_ref())
            .with("total_timeout", self.total_timeout.as_ref())
            .with("connect_timeout", self.connect_timeout.as_ref())
            .with("sock_connect_timeout", self.sock_connect_timeout.as_ref())
            .with("sock_read_timeout", self.sock_read_timeout.as_ref())
    }
}
