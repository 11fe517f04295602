//! Text that must not be seen.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A password or the like: its `Debug` shows nothing, and errors while reading it quote nothing.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Serde's own error for a wrong type quotes the value, so the type is checked here.
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(de::Error::custom("must be a string, in quotes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_errors_show_nothing() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "[hidden]");
        let error = toml::Value::Integer(4711).try_into::<Secret>().unwrap_err();
        assert!(!error.to_string().contains("4711"), "{error}");
    }
}
