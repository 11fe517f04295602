//! From settings to a connection.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use http::{HeaderName, HeaderValue};
use url::Url;

use super::redact::is_secret_header;
use super::{Shared, causes};
use crate::config::Profile;
use crate::error::{Error, Result};
use crate::secret::Secret;

impl Shared {
    pub(super) fn new(profile: &Profile, cid: Option<String>) -> Result<Self> {
        if profile.client_id.is_some() || profile.client_secret.is_some() {
            return Err(Error::usage("client_id, client_secret: this client signs in with user name and password, or with a certificate"));
        }
        if let Some(other) = profile.api_version.as_deref().filter(|version| *version != "v3") {
            return Err(Error::usage(format!("api_version: '{other}' is not known, this client speaks v3")));
        }
        let (origin, username, password) = origin(profile.base_url.as_deref().unwrap_or("https://localhost"))?;
        let username = profile.username.clone().or(username);
        let password = profile.password.clone().or(password);
        let authorization = match (username, password) {
            (Some(username), Some(password)) => Some(basic(&username, password.expose())?),
            (Some(_), None) => {
                return Err(Error::usage("username is set and password is not: give --password, or set both in the settings file"));
            }
            (None, Some(_)) => {
                return Err(Error::usage("password is set and username is not: give --username, or set both in the settings file"));
            }
            (None, None) => None,
        };
        let api_root = profile.api_root.as_deref().unwrap_or("/pulp/");
        if !api_root.starts_with('/') || !api_root.ends_with('/') || api_root.starts_with("//") {
            return Err(Error::usage(format!("api_root: '{api_root}' must begin and end with a slash, like /pulp/")));
        }
        let domain = profile.domain.clone().filter(|domain| domain != "default");
        let api = match &domain {
            None => format!("{api_root}api/v3/"),
            Some(domain) if is_slug(domain) => format!("{api_root}{domain}/api/v3/"),
            Some(domain) => {
                return Err(Error::usage(format!("domain: '{domain}' is no name of a domain (letters, digits, - and _)")));
            }
        };
        if let Some(cid) = &cid
            && HeaderValue::from_str(cid).is_err()
        {
            return Err(Error::usage("--cid: must be 32 hexadecimal digits"));
        }
        let headers = profile.headers.iter().flatten().map(|text| header(text)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            http: connector(profile)?,
            origin,
            api_root: api_root.to_owned(),
            domain,
            api,
            domain_api: OnceLock::new(),
            authorization,
            headers,
            cid,
            dry_run: profile.dry_run.unwrap_or(false),
            verbose: profile.verbose.unwrap_or(0),
        })
    }
}

/// The server's address, apart from the credentials that stand in it.
fn origin(base_url: &str) -> Result<(Url, Option<String>, Option<Secret>)> {
    // The text is not quoted in the error: it may hold a password.
    let bad = |why: &str| Error::usage(format!("base_url: {why}; write it like https://pulp.example.org"));
    let mut url = Url::parse(base_url).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must begin with http:// or https://"));
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let username = Some(decoded(url.username())).filter(|text| !text.is_empty());
    let password = url.password().map(|text| decoded(text).into());
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| bad("it names no host"))?;
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    Ok((url, username, password))
}

fn basic(username: &str, password: &str) -> Result<HeaderValue> {
    if username.contains(':') {
        return Err(Error::usage("username: must not hold a colon"));
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|_| Error::usage("username, password: cannot be sent"))?;
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
        let read = |path: &Path| std::fs::read(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source });
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
        return Err(Error::usage("key is set and cert is not: give the certificate with --cert"));
    }
    builder.build().map_err(|error| Error::usage(format!("cannot set up TLS: {}", causes(&error))))
}

/// Whether the text is a single harmless path segment.
pub(crate) fn is_slug(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_the_address_are_used_and_not_shown() {
        let profile = Profile { base_url: Some("http://admin:s%40crt@pulp:8080/".to_owned()), ..Profile::default() };
        let shared = Shared::new(&profile, None).unwrap();
        assert_eq!(shared.origin.as_str(), "http://pulp:8080/");
        assert_eq!(shared.authorization.as_ref().unwrap().as_bytes(), basic("admin", "s@crt").unwrap().as_bytes());
        assert!(!format!("{shared:?}").contains("crt"));
    }

    #[test]
    fn settings_that_do_not_go_together() {
        let profile = Profile { password: Some("s3".into()), ..Profile::default() };
        let error = Shared::new(&profile, None).unwrap_err().to_string();
        assert!(error.contains("--username") && !error.contains("s3"), "{error}");
        for (profile, hint) in [
            (Profile { username: Some("a".into()), ..Profile::default() }, "--password"),
            (Profile { key: Some("x".into()), ..Profile::default() }, "--cert"),
            (Profile { api_root: Some("pulp".into()), ..Profile::default() }, "api_root"),
            (Profile { domain: Some("a/b".into()), ..Profile::default() }, "domain"),
            (Profile { headers: Some(vec!["nocolon".into()]), ..Profile::default() }, "name:value"),
            (Profile { client_id: Some("x".into()), ..Profile::default() }, "client_id"),
            (Profile { base_url: Some("ftp://a:s3@x".into()), ..Profile::default() }, "http://"),
        ] {
            let error = Shared::new(&profile, None).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
            assert!(!error.contains("s3"), "{error}");
        }
    }
}
