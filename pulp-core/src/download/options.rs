//! The options of a remote that matter for fetching from it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use super::{DeniedNetworks, DownloadError, Hosts};
use crate::crypto::Secret;

/// Connections to one remote at a time, unless the remote says otherwise.
pub const DEFAULT_CONCURRENCY: usize = 10;

/// Attempts after the first, unless the remote says otherwise.
pub const DEFAULT_RETRIES: u32 = 3;

/// Everything a remote says about how to fetch from it: the fields of the REST resource of the same
/// names, without `url` and `policy`. Secrets do not print.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// PEM: the certificate chain that this side shows, and possibly its key.
    pub client_cert: Option<String>,
    /// PEM: the private key of `client_cert`.
    pub client_key: Option<Secret<String>>,
    /// PEM: the authorities to trust *instead of* those of the system.
    pub ca_cert: Option<String>,
    /// Whether the certificate of the source, and its name, are checked at all.
    pub tls_validation: bool,
    /// `http://`, `https://` or `socks5://` URL of a proxy. Without it the environment decides (`HTTPS_PROXY`…).
    pub proxy_url: Option<Secret<String>>,
    /// User at the proxy.
    pub proxy_username: Option<Secret<String>>,
    /// Password at the proxy.
    pub proxy_password: Option<Secret<String>>,
    /// User at the source (basic authentication).
    pub username: Option<Secret<String>>,
    /// Password at the source.
    pub password: Option<Secret<String>>,
    /// Sent with each request; often tokens.
    pub headers: Vec<(String, Secret<String>)>,
    /// Connections at a time; [`DEFAULT_CONCURRENCY`] without it.
    pub download_concurrency: Option<usize>,
    /// Requests per second; no limit without it, nor with 0.
    pub rate_limit: Option<u32>,
    /// Attempts after the first; [`DEFAULT_RETRIES`] without it.
    pub max_retries: Option<u32>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Networks that are not connected to, proxies included.
    pub denied_networks: DeniedNetworks,
    /// The hosts that are fetched from, with those of other remotes.
    pub hosts: Hosts,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            client_cert: None,
            client_key: None,
            ca_cert: None,
            tls_validation: true,
            proxy_url: None,
            proxy_username: None,
            proxy_password: None,
            username: None,
            password: None,
            headers: Vec::new(),
            download_concurrency: None,
            rate_limit: None,
            max_retries: None,
            timeouts: Timeouts::default(),
            denied_networks: DeniedNetworks::default(),
            hosts: Hosts::default(),
        }
    }
}

/// The four time limits of a remote. `None`, and zero, leave the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// For the whole request with its body. Default: no limit, for files may be large.
    pub total: Option<Duration>,
    /// To have a connection: name, TCP, TLS and proxy. Default: no limit of its own.
    pub connect: Option<Duration>,
    /// To connect to one peer. Default: 30 seconds.
    pub sock_connect: Option<Duration>,
    /// Between two reads, the wait for the head included. Default: five minutes.
    pub sock_read: Option<Duration>,
}

impl Timeouts {
    /// From the numbers of the REST resource, in seconds. What is not a usable number is an error that names the field.
    pub fn from_seconds(
        total: Option<f64>,
        connect: Option<f64>,
        sock_connect: Option<f64>,
        sock_read: Option<f64>,
    ) -> Result<Self, DownloadError> {
        Ok(Self {
            total: seconds("total_timeout", total)?,
            connect: seconds("connect_timeout", connect)?,
            sock_connect: seconds("sock_connect_timeout", sock_connect)?,
            sock_read: seconds("sock_read_timeout", sock_read)?,
        })
    }

    /// The limit that counts until a connection stands: the tighter of the two.
    #[must_use]
    pub fn connecting(&self) -> Duration {
        let socket = set(self.sock_connect).unwrap_or(Duration::from_secs(30));
        set(self.connect).map_or(socket, |connect| connect.min(socket))
    }

    /// The limit between two reads.
    #[must_use]
    pub fn reading(&self) -> Duration {
        set(self.sock_read).unwrap_or(Duration::from_secs(300))
    }

    /// The limit on everything, when there is one.
    #[must_use]
    pub fn total(&self) -> Option<Duration> {
        set(self.total)
    }
}

fn set(limit: Option<Duration>) -> Option<Duration> {
    limit.filter(|limit| !limit.is_zero())
}

fn seconds(field: &'static str, value: Option<f64>) -> Result<Option<Duration>, DownloadError> {
    value
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(|_| DownloadError::InvalidOption { field, reason: "must be a number of seconds, zero or more".to_owned() })
}

impl RemoteOptions {
    /// How many connections at a time.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.download_concurrency.filter(|n| *n > 0).unwrap_or(DEFAULT_CONCURRENCY)
    }

    /// How many attempts after the first.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.max_retries.unwrap_or(DEFAULT_RETRIES)
    }

    /// The headers of each request, `Authorization` for user and password among them.
    pub(crate) fn header_map(&self) -> Result<HeaderMap, DownloadError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = basic(self.username.as_ref(), self.password.as_ref(), "username")? {
            headers.insert(header::AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            let bad = |reason: &str| DownloadError::InvalidOption { field: "headers", reason: format!("{reason}: {name:?}") };
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("not the name of a header"))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| bad("the value cannot be sent in a header"))?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(headers)
    }

    /// The proxy with its credentials, when the remote names one.
    pub(crate) fn proxy(&self) -> Result<Option<reqwest::Proxy>, DownloadError> {
        let Some(text) = &self.proxy_url else {
            return Ok(None);
        };
        let bad = |reason: &str| DownloadError::InvalidOption { field: "proxy_url", reason: reason.to_owned() };
        let url = Url::parse(text.expose()).map_err(|_| bad("not a URL"))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") || !url.has_host() {
            return Err(bad("must be an http, https or socks5 URL with a host"));
        }
        self.denied_networks.check(&url).map_err(|denied| bad(&denied.to_string()))?;
        let proxy = reqwest::Proxy::all(url).map_err(|_| bad("cannot be used as a proxy"))?;
        Ok(Some(match &self.proxy_username {
            Some(user) => {
                let password = self.proxy_password.as_ref().map_or("", |p| p.expose());
                proxy.basic_auth(user.expose(), password)
            }
            None => proxy,
        }))
    }
}

fn basic(
    username: Option<&Secret<String>>,
    password: Option<&Secret<String>>,
    field: &'static str,
) -> Result<Option<HeaderValue>, DownloadError> {
    use base64::Engine as _;
    let Some(username) = username else {
        return Ok(None);
    };
    if username.expose().contains(':') {
        return Err(DownloadError::InvalidOption { field, reason: "a colon cannot be sent in basic authentication".to_owned() });
    }
    let pair = format!("{}:{}", username.expose(), password.map_or("", |password| password.expose()));
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value =
        HeaderValue::try_from(text).map_err(|_| DownloadError::InvalidOption { field, reason: "cannot be sent in a header".to_owned() })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn zero_and_nothing_leave_the_defaults() {
        let none = Timeouts::from_seconds(None, Some(0.0), None, Some(0.0)).unwrap();
        assert_eq!(none.connecting(), Duration::from_secs(30));
        assert_eq!(none.reading(), Duration::from_secs(300));
        assert_eq!(none.total(), None);
        let tight = Timeouts::from_seconds(Some(1.5), Some(2.0), Some(4.0), None).unwrap();
        assert_eq!(tight.connecting(), Duration::from_secs(2));
        assert_eq!(tight.total(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_bad_time_limit_names_its_field() {
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e30] {
            let error = Timeouts::from_seconds(None, None, Some(bad), None).unwrap_err();
            assert!(error.to_string().starts_with("sock_connect_timeout: "));
        }
    }

    #[test]
    fn user_and_password_become_basic_authentication() {
        let options = RemoteOptions {
            username: Some(secret("Aladdin")),
            password: Some(secret("open sesame")),
            headers: vec![("x-token".to_owned(), secret("t"))],
            ..RemoteOptions::default()
        };
        let headers = options.header_map().unwrap();
        // The example of RFC 7617.
        assert_eq!(headers[header::AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(headers["x-token"], "t");
        assert!(!format!("{options:?}").contains("sesame"));
        assert!(!format!("{headers:?}").contains("QWxh"));
    }

    #[test]
    fn bad_headers_are_named_but_not_shown() {
        let options = RemoteOptions { headers: vec![("x-token".to_owned(), secret("sesame\n"))], ..RemoteOptions::default() };
        let message = options.header_map().unwrap_err().to_string();
        assert!(message.starts_with("headers: ") && message.contains("x-token"));
        assert!(!message.contains("sesame"));
    }

    #[test]
    fn a_proxy_must_be_a_url_with_a_host() {
        for bad in ["proxy:3128", "ftp://proxy", "://", "file:///proxy"] {
            let options = RemoteOptions { proxy_url: Some(secret(bad)), ..RemoteOptions::default() };
            let message = options.proxy().unwrap_err().to_string();
            assert!(message.starts_with("proxy_url: "), "{bad}: {message}");
        }
    }
}
