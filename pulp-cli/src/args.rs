//! Types of arguments that several commands take.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::Value;

use crate::client::Query;

/// Defines a pair of flags that turn something on and off; the later one wins, neither leaves it as it is.
macro_rules! switch {
    ($(#[$doc:meta])* $name:ident, $on:literal, $off:literal, $help:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, clap::Args)]
        pub(crate) struct $name {
            #[arg(id = $on, long = $on, overrides_with = $off, help = $help)]
            on: bool,
            #[arg(id = $off, long = $off, overrides_with = $on, help = concat!("The opposite of --", $on))]
            off: bool,
        }

        impl $name {
            /// On, off, or not said.
            pub(crate) fn get(&self) -> Option<bool> {
                (self.on || self.off).then_some(self.on)
            }
        }
    };
}
pub(crate) use switch;

/// The text itself, or with `@` before it, the text of the file of that name.
pub(crate) fn text_or_file(text: &str) -> Result<String, String> {
    match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("cannot read '{path}': {error}")),
        None => Ok(text.to_owned()),
    }
}

/// A JSON value, or `@` and the name of a file with one.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(&text_or_file(text)?).map_err(|error| format!("is not JSON: {error}"))
}

/// A JSON list of texts, or `@` and the name of a file with one.
pub(crate) fn json_list(text: &str) -> Result<Value, String> {
    let value = json(text)?;
    match value.as_array() {
        Some(list) if list.iter().all(Value::is_string) => Ok(value),
        _ => Err(r#"must be a JSON list of texts, like ["a", "b"]"#.to_owned()),
    }
}

/// Labels: a JSON object of texts, or `@` and the name of a file with one.
pub(crate) fn labels(text: &str) -> Result<Labels, String> {
    let value = json(text)?;
    let Some(object) = value.as_object() else {
        return Err(r#"must be a JSON object, like {"key": "value"}"#.to_owned());
    };
    object
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            other => Err(format!("label '{key}' must be a text in quotes, not {other}")),
        })
        .collect::<Result<_, _>>()
        .map(Labels)
}

/// The labels of a resource.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Labels(BTreeMap<String, String>);

/// A field that can be emptied: the empty text means null.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct OrNull<T>(pub(crate) Option<T>);

impl<T> std::str::FromStr for OrNull<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|value| Self(Some(value))).map_err(|error: T::Err| error.to_string())
    }
}

/// [`text_or_file`] for a field that can be emptied.
pub(crate) fn text_or_file_or_null(text: &str) -> Result<OrNull<String>, String> {
    Ok(OrNull(Some(text_or_file(text)?).filter(|text| !text.is_empty())))
}

/// The name of a value of an enumeration, as the API and the command line write it.
pub(crate) fn name(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A truth value in any of the ways people write one.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// [`boolean`] for a field that can be emptied.
pub(crate) fn boolean_or_null(text: &str) -> Result<OrNull<bool>, String> {
    if text.is_empty() { Ok(OrNull(None)) } else { boolean(text).map(|value| OrNull(Some(value))) }
}

/// The headers of a remote, each `name:value`; a single empty text means none.
pub(crate) fn headers(given: &[String]) -> Result<Option<Value>, crate::Error> {
    if given.is_empty() {
        return Ok(None);
    }
    given
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| {
            let (name, value) = text.split_once(':').ok_or_else(|| crate::Error::usage("--header: a header is written name:value"))?;
            Ok(serde_json::json!({ name.trim(): value.trim() }))
        })
        .collect::<Result<Vec<Value>, _>>()
        .map(|list| Some(list.into()))
}

/// A moment in UTC, as the API writes it.
pub(crate) fn moment(text: &str) -> Result<String, String> {
    const DATES: [&str; 2] = ["%Y-%m-%d", "%y/%m/%d"];
    const TIMES: [&str; 6] = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%y/%m/%d %H:%M:%S",
        "%y/%m/%dT%H:%M:%S",
        "%y/%m/%d %I:%M:%S %p",
        "%y/%m/%dT%I:%M:%S %p",
    ];
    let written = |moment: NaiveDateTime| Ok(moment.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return written(moment.with_timezone(&Utc).naive_utc());
    }
    if let Some(date) = DATES.iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok()) {
        return written(date.and_time(NaiveTime::MIN));
    }
    if let Some(moment) = TIMES.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()) {
        return written(moment);
    }
    Err("must be a date or time in UTC, like 2026-01-31 or 2026-01-31T12:00:00".to_owned())
}

/// Filters by the time of creation.
#[derive(Debug, clap::Args)]
pub(crate) struct CreatedFilters {
    /// Only those created at this time (UTC) or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    created_after: Option<String>,
    /// Only those created at this time (UTC) or earlier
    #[arg(long, value_name = "TIME", value_parser = moment)]
    created_before: Option<String>,
}

impl CreatedFilters {
    pub(crate) fn query(&self) -> Query {
        Query::new().with("pulp_created__gte", self.created_after.as_deref()).with("pulp_created__lte", self.created_before.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments() {
        for (text, expected) in [
            ("2021-12-01", "2021-12-01T00:00:00.000000Z"),
            ("21/01/12", "2021-01-12T00:00:00.000000Z"),
            ("22/01/06T00:00:00", "2022-01-06T00:00:00.000000Z"),
            ("2022-06-01 13:00:00", "2022-06-01T13:00:00.000000Z"),
            ("2026-11-22T10:16:51.783209Z", "2026-11-22T10:16:51.783209Z"),
            ("2026-11-22T10:00:00+02:00", "2026-11-22T08:00:00.000000Z"),
        ] {
            assert_eq!(moment(text).unwrap(), expected, "{text}");
        }
        assert!(moment("NOT A DATE").unwrap_err().contains("2026-01-31"));
    }

    #[test]
    fn a_file_stands_behind_an_at() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"a": "b"}"#).unwrap();
        let argument = format!("@{}", file.path().display());
        assert_eq!(json(&argument).unwrap(), json!({"a": "b"}));
        assert!(json("@/no/such/file").unwrap_err().contains("/no/such/file"));
        assert_eq!(json("{").unwrap_err().split(':').next(), Some("is not JSON"));
    }

    #[test]
    fn labels_are_texts() {
        assert!(labels(r#"{"a": 1}"#).unwrap_err().contains("'a'"));
        assert!(labels("[]").unwrap_err().contains("object"));
        assert!(labels(r#"{"a": "1"}"#).is_ok());
    }

    #[test]
    fn empty_means_null() {
        assert_eq!("".parse::<OrNull<u64>>(), Ok(OrNull(None)));
        assert_eq!("5".parse::<OrNull<u64>>(), Ok(OrNull(Some(5))));
        assert!("x".parse::<OrNull<u64>>().is_err());
        assert_eq!((boolean_or_null("").unwrap(), boolean_or_null("no").unwrap()), (OrNull(None), OrNull(Some(false))));
        assert!(boolean_or_null("perhaps").is_err());
    }

    #[test]
    fn headers_of_a_remote() {
        let given = |list: &[&str]| headers(&list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(given(&["a:1", "b: 2", "a:1"]).unwrap(), Some(json!([{"a": "1"}, {"b": "2"}, {"a": "1"}])));
        assert_eq!(given(&[""]).unwrap(), Some(json!([])));
        assert_eq!(given(&[]).unwrap(), None);
        assert!(given(&["secret"]).is_err_and(|error| !error.to_string().contains("secret")));
    }
}
