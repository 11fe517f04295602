//! Covering what must not be seen.

use serde_json::Value;
use url::Url;

/// The names of fields that are never shown, not even at the highest verbosity.
const SECRET_FIELDS: [&str; 8] =
    ["password", "proxy_password", "client_key", "client_secret", "new_password", "token", "private_key", "secret"];

/// The value with all secrets in it covered: in fields and headers by their names, and in URLs.
pub(super) fn masked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let secret = SECRET_FIELDS.contains(&name.as_str()) || is_secret_header(name);
                let hide = secret && matches!(value, Value::String(_) | Value::Number(_));
                (name.clone(), if hide { "[hidden]".into() } else { masked(value) })
            })
            .collect(),
        Value::Array(list) => list.iter().map(masked).collect(),
        Value::String(text) => without_credentials(text).into(),
        other => other.clone(),
    }
}

/// The text, and if it is a URL with a password, without that.
fn without_credentials(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("hidden")) {
            Ok(()) => url.to_string(),
            Err(()) => "[hidden]".to_owned(),
        },
        _ => text.to_owned(),
    }
}

pub(super) fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "password", "api-key"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_covered() {
        let shown = masked(&json!({
            "a": [{"password": "x1"}],
            "client_key": "x2",
            "proxy_password": null,
            "headers": [{"Authorization": "x3"}],
            "url": "http://user:x4@example.org/",
        }))
        .to_string();
        for secret in ["x1", "x2", "x3", "x4"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("null") && shown.contains("example.org"), "{shown}");
    }
}
