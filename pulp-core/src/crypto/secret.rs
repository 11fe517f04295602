//! Values that must not be printed, and URLs without what must not be printed.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

/// What is shown in the place of a secret.
pub const REDACTED: &str = "****";

/// A value that does not show itself: `Debug`, `Display` and `Serialize` give `****`.
///
/// Who needs the value says so, with [`expose`](Self::expose), which is easy to search for.
///
/// ```
/// use pulp_core::crypto::Secret;
/// let password = Secret::new("open sesame".to_owned());
/// assert_eq!(format!("{password} {password:?}"), "**** ****");
/// assert_eq!(password.expose(), "open sesame");
/// ```
#[derive(Clone, Default)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. What is done with it must not end in a log or an error.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, owned.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Compares in constant time, as far as the lengths are equal.
impl<T: AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl<T: AsRef<[u8]>> Eq for Secret<T> {}

/// Writes `****`, so that a settings or remote structure can be shown as it is.
impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// The URL for a log or an error: without user, password, fragment, and the values of query parameters that grant access
/// (signatures, tokens, keys).
///
/// Of a URL without a host part only the scheme is shown: `joe:password@host` parses as one, of scheme `joe`.
pub fn redact_url(url: &Url) -> String {
    if url.cannot_be_a_base() {
        return format!("{}:{REDACTED}", url.scheme());
    }
    let query = url.query().map(redact_query);
    let has_login = !url.username().is_empty() || url.password().is_some();
    if !has_login && url.fragment().is_none() && matches!(query, None | Some(Cow::Borrowed(_))) {
        return url.as_str().to_owned();
    }
    let mut shown = url.clone();
    if has_login {
        // Neither can fail: a URL that has a user or a password may have them.
        let _ = shown.set_password(None);
        let _ = shown.set_username(REDACTED);
    }
    shown.set_fragment(None);
    shown.set_query(query.as_deref());
    shown.into()
}

/// [`redact_url`] for a text that may not be a URL: then no more is shown than that.
pub fn redact_url_text(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) => redact_url(&url),
        Err(error) => format!("(not a URL: {error})"),
    }
}

fn redact_query(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(|pair| grants_access(name(pair))) {
        return Cow::Borrowed(query);
    }
    let pairs: Vec<_> = query
        .split('&')
        .map(|pair| {
            let name = name(pair);
            if grants_access(name) { Cow::Owned(format!("{name}={REDACTED}")) } else { Cow::Borrowed(pair) }
        })
        .collect();
    Cow::Owned(pairs.join("&"))
}

fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// By the words in its name; rather one too many, since a log can do without it.
fn grants_access(name: &str) -> bool {
    const WORDS: [&str; 13] = [
        "signature",
        "token",
        "secret",
        "password",
        "passwd",
        "credential",
        "apikey",
        "api_key",
        "api-key",
        "accesskey",
        "auth",
        "jwt",
        "policy",
    ];
    // Short names are matched whole, lest `signed_by` or `key_id` hide behind them.
    const NAMES: [&str; 6] = ["sig", "key", "pwd", "pass", "code", "session"];
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(url: &str) -> String {
        redact_url_text(url)
    }

    #[test]
    fn nothing_prints_a_secret() {
        #[derive(Debug, Serialize, Deserialize, PartialEq)]
        struct Remote {
            password: Secret,
        }
        let remote: Remote = serde_json::from_str(r#"{"password": "hunter2"}"#).unwrap();
        assert_eq!(remote.password.expose(), "hunter2");
        assert_eq!(remote, Remote { password: "hunter2".into() });
        assert_ne!(remote, Remote { password: "hunter3".into() });
        for shown in [format!("{remote:?}"), format!("{remote:#?}"), remote.password.to_string(), serde_json::to_string(&remote).unwrap()] {
            assert!(shown.contains(REDACTED) && !shown.contains("hunter"), "{shown}");
        }
    }

    #[test]
    fn urls_lose_login_and_signatures() {
        assert_eq!(redacted("https://joe:pw@example.org:8443/a?b=c#frag"), "https://****@example.org:8443/a?b=c");
        assert_eq!(redacted("https://token@example.org/"), "https://****@example.org/");
        assert_eq!(redacted("https://:pw@example.org/"), "https://****@example.org/");
        assert_eq!(
            redacted("https://s3/b/k?X-Amz-Date=1&X-Amz-Credential=AKIA&X-Amz-Signature=ab&%73ig=x&access_token&page=2"),
            "https://s3/b/k?X-Amz-Date=1&X-Amz-Credential=****&X-Amz-Signature=****&%73ig=****&access_token=****&page=2"
        );
    }

    #[test]
    fn harmless_urls_stay_as_they_are() {
        for url in ["https://example.org/a%20b?signed_by=x&key_id=7", "file:///srv/mirror/PULP_MANIFEST", "http://[::1]:80a/"] {
            match Url::parse(url) {
                Ok(parsed) => assert_eq!(redacted(url), parsed.as_str()),
                Err(_) => assert_eq!(redacted(url), "(not a URL: invalid port number)"),
            }
        }
        assert_eq!(redacted("joe:pw@host"), "joe:****");
    }
}
