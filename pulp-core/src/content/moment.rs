//! A moment in a repository’s history, as it is written in a path: `@12` is version 12, `@2026-11-22T00:00:00Z` what there was then.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::ContentPath;
use crate::clock::{Timestamp, to_wire};

/// The most digits of a version’s number.
const DIGITS: usize = 18;

/// A moment in the history of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The version of this number.
    Version(i64),
    /// What the repository had at this time.
    Time(Timestamp),
}

impl Moment {
    /// Reads one part of a path: `@` and a version’s number, or a time in UTC, to the second or finer: `@2026-11-22T00:00:00Z`, or without
    /// the punctuation, `@20261122T000000Z`.
    pub fn read(part: &str) -> Option<Self> {
        let text = part.strip_prefix('@')?;
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            // As we write it: a version has one address.
            let canonical = !text.is_empty() && text.len() <= DIGITS && (text == "0" || !text.starts_with('0'));
            return text.parse().ok().filter(|_| canonical).map(Self::Version);
        }
        let time = text.strip_suffix('Z')?;
        let plain = time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'T'));
        let read = match time.contains('-') {
            true => DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc)),
            false => NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S").ok().filter(|_| time.len() == 15).map(|time| time.and_utc()),
        };
        read.filter(|_| plain).map(Self::Time)
    }

    /// Splits a path at the moment with which it begins: the moment, and the path below it; none if it is a file’s name, without a slash.
    pub(super) fn split(path: &ContentPath) -> Option<(Self, Option<ContentPath>)> {
        let text = path.as_str();
        match text.split_once('/') {
            // The rest is looked up as it is: two slashes in a row lead nowhere here either.
            Some((_, rest)) if rest.starts_with('/') => None,
            Some((part, rest)) => Some((Self::read(part)?, Some(ContentPath::new(rest)))),
            None => Some((Self::read(text)?, None)),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(number) => write!(f, "version {number}"),
            Self::Time(time) => f.write_str(&to_wire(*time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_numbers_and_times() {
        assert_eq!(Moment::read("@12"), Some(Moment::Version(12)));
        assert_eq!(Moment::read("@0"), Some(Moment::Version(0)));
        for text in ["@2026-11-22T03:04:05Z", "@20261122T030405Z", "@2026-11-22T03:04:05.000Z"] {
            assert_eq!(Moment::read(text).unwrap().to_string(), "2026-11-22T03:04:05Z", "{text}");
        }
        for text in [
            "",
            "@",
            "12",
            "@012",
            "@+1",
            "@-1",
            "@1.5",
            "@1234567890123456789",
            "@2026-11-22",
            "@2026-11-22T03:04Z",
            "@2026-11-22T03:04:05",
            "@2026-11-22T03:04:05+01:00",
            "@2026-11-22 03:04:05Z",
            "@2026-11-22t03:04:05z",
            "@20261322T030405Z",
            "@2026112T030405Z",
            "@scope",
        ] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_is_split_at_its_first_part() {
        let split = |path: &str| Moment::split(&ContentPath::new(path)).map(|(_, rest)| rest.map(|rest| rest.as_str().to_owned()));
        assert_eq!(split("@1/a/b"), Some(Some("a/b".to_owned())));
        assert_eq!(split("@1/"), Some(Some(String::new())));
        assert_eq!(split("@1"), Some(None));
        assert_eq!(split("@1//a"), None);
        assert_eq!(split("a/@1/b"), None);
    }
}
