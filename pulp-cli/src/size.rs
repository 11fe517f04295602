//! Sizes as the user writes them: `1mb`, `500 KB`, `4096`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes, at least one.
///
/// Written as a whole number with an optional unit `B`, `KB`, `MB`, `GB` or `TB` of any case; the units are powers of
/// 1000, as in the Python client. `KiB` to `TiB` are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(u64);

impl Size {
    /// That many bytes; none for zero.
    pub(crate) const fn bytes(count: u64) -> Option<Self> {
        if count == 0 { None } else { Some(Self(count)) }
    }

    /// In bytes.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// Text that is no size.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a size: give a whole number above zero with a unit, like 500KB, 1MB or 2GiB")]
pub(crate) struct BadSize(String);

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let bad = || BadSize(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "mb" => 1000_u64.pow(2),
            "gb" => 1000_u64.pow(3),
            "tb" => 1000_u64.pow(4),
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err(bad()),
        };
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).and_then(Self::bytes).ok_or_else(bad)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text.parse().map_err(de::Error::custom),
            toml::Value::Integer(count) => {
                u64::try_from(count).ok().and_then(Self::bytes).ok_or_else(|| de::Error::custom(BadSize(count.to_string())))
            }
            other => Err(de::Error::custom(BadSize(other.to_string()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("1000", 1000),
            ("1b", 1),
            ("1kb", 1_000),
            ("1 KB", 1_000),
            ("1Mb", 1_000_000),
            ("2gib", 2 << 30),
            (" 3TB ", 3_000_000_000_000),
        ] {
            assert_eq!(text.parse::<Size>().unwrap().get(), bytes, "{text}");
        }
    }

    #[test]
    fn not_sizes() {
        for text in ["", "1KKB", "-1", "0", "1.5kb", "kb", "99999999999TB", "1k"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.to_string().contains("1MB"), "{error}");
        }
    }
}
