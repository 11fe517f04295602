//! Values of filters.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use uuid::Uuid;

use super::{named, value_kind};
use crate::clock::Timestamp;
use crate::resource::{Context, Filter, FilterKind, FilterValue, Lookup, Naming};
use crate::{Error, Result};

/// Each of several values that commas separate.
pub(super) fn many<T>(text: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    text.split(',').map(|one| read(one.trim())).collect()
}

/// A UUID in any of its spellings.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.trim()).ok()
}

/// A moment as people and programs write it: date, or date and time, with or without an offset (UTC then).
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc());
    }
    let normal = text.replacen(' ', "T", 1).replace('Z', "+00:00");
    if let Ok(moment) = DateTime::parse_from_rfc3339(&normal) {
        return Some(moment.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"] {
        if let Ok(moment) = DateTime::parse_from_str(&normal, format) {
            return Some(moment.with_timezone(&Utc));
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(moment) = NaiveDateTime::parse_from_str(&normal, format) {
            return Some(moment.and_utc());
        }
    }
    None
}

/// Reads a filter’s value; nothing where it is to be ignored.
pub(super) async fn read(cx: &Context, filter: &Filter, lookup: Lookup, name: &str, text: &str) -> Result<Option<FilterValue>> {
    let kind = value_kind(filter, lookup);
    // PostgreSQL has no text with a null character.
    if text.contains('\0') && matches!(lookup, Lookup::In | Lookup::Ne | Lookup::Range | Lookup::Regex | Lookup::IRegex) {
        return Err(Error::field(name, "Null characters are not allowed."));
    }
    if matches!(kind, FilterKind::Href(_)) && filter.naming == Naming::Units {
        let texts: Vec<&str> = if lookup == Lookup::In { text.split(',').map(str::trim).collect() } else { vec![text] };
        let units = named::units(cx, &texts).await?.into_iter().map(FilterValue::Id).collect();
        return Ok(Some(FilterValue::Many(units)));
    }
    match lookup {
        Lookup::In | Lookup::Range => {
            let mut values = Vec::new();
            for one in text.split(',') {
                values.extend(single(cx, filter, kind, name, one.trim()).await?);
            }
            if lookup == Lookup::Range && values.len() != 2 {
                return Err(Error::field(name, "Range query expects two values."));
            }
            Ok(Some(FilterValue::Many(values)))
        }
        Lookup::Regex | Lookup::IRegex => {
            // The database would say no as well, but not so that the client learns why.
            regex::RegexBuilder::new(text)
                .size_limit(1 << 20)
                .build()
                .map_err(|_| Error::field(name, "Enter a valid regular expression."))?;
            Ok(Some(FilterValue::Text(text.to_owned())))
        }
        _ => single(cx, filter, kind, name, text).await,
    }
}

async fn single(cx: &Context, filter: &Filter, kind: FilterKind, name: &str, text: &str) -> Result<Option<FilterValue>> {
    Ok(Some(match kind {
        FilterKind::Text => {
            if text.contains('\0') {
                return Err(Error::field(name, "Null characters are not allowed."));
            }
            FilterValue::Text(text.to_owned())
        }
        FilterKind::Integer => match text.parse::<i64>() {
            Ok(number) => FilterValue::Integer(number),
            Err(_) => return Err(Error::field(name, "Enter a number.")),
        },
        FilterKind::Number => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => FilterValue::Number(number),
            _ => return Err(Error::field(name, "Enter a number.")),
        },
        // What is neither is no filter at all: so it is in Pulp.
        FilterKind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" | "yes" | "y" | "on" => FilterValue::Boolean(true),
            "false" | "0" | "f" | "no" | "n" | "off" => FilterValue::Boolean(false),
            _ => return Ok(None),
        },
        FilterKind::Time => match moment(text) {
            Some(moment) => FilterValue::Time(moment),
            None => return Err(Error::field(name, "Enter a valid date/time.")),
        },
        FilterKind::Uuid => match uuid(text) {
            Some(id) => FilterValue::Id(id),
            None => return Err(Error::field(name, "Enter a valid UUID.")),
        },
        FilterKind::Choice(words) => {
            // In a list of several, words that are no choice match nothing; alone they are refused.
            if !words.contains(&text) && !name.ends_with("__in") && !name.ends_with("__ne") {
                return Err(Error::field(name, format!("Select a valid choice. {text} is not one of the available choices.")));
            }
            FilterValue::Text(text.to_owned())
        }
        FilterKind::Href(target) => named::read(cx, target, filter.naming, text).await?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let wanted = DateTime::parse_from_rfc3339("2026-01-02T03:04:00Z").unwrap().with_timezone(&Utc);
        for text in [
            "2026-01-02T03:04:00Z",
            "2026-01-02 03:04",
            "2026-01-02T03:04",
            "2026-01-02T04:04:00+01:00",
            "2026-01-02T04:04+0100",
            "2026-01-02T03:04:00.000",
        ] {
            assert_eq!(moment(text), Some(wanted), "{text}");
        }
        assert_eq!(moment("2026-01-02").map(|moment| moment.to_rfc3339()).as_deref(), Some("2026-01-02T00:00:00+00:00"));
        for text in ["", "2026", "x", "2026-13-01", "2026-01-02T25:00"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
