//! Conditional requests (RFC 9110, 13).

use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// What identifies one state of a representation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Validators {
    /// Strong entity tag, with its quotes.
    pub(crate) etag: Option<HeaderValue>,
    /// When it last changed, to the second.
    pub(crate) modified: Option<SystemTime>,
}

/// What the preconditions of a GET or HEAD say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Send it.
    Proceed,
    /// The client has it: 304.
    NotModified,
    /// It is not what the client wants: 412.
    Failed,
}

/// Evaluates the preconditions in the order of RFC 9110, 13.2.2.
pub(crate) fn evaluate(headers: &HeaderMap, validators: &Validators) -> Outcome {
    if headers.contains_key(header::IF_MATCH) {
        if !matches(headers, header::IF_MATCH, validators, Comparison::Strong) {
            return Outcome::Failed;
        }
    } else if let (Some(date), Some(modified)) = (date(headers, header::IF_UNMODIFIED_SINCE), validators.modified)
        && modified > date
    {
        return Outcome::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        if matches(headers, header::IF_NONE_MATCH, validators, Comparison::Weak) {
            return Outcome::NotModified;
        }
    } else if let (Some(date), Some(modified)) = (date(headers, header::IF_MODIFIED_SINCE), validators.modified)
        && modified <= date
    {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

/// Whether a `Range` header counts: there is no `If-Range`, or it names the present state.
pub(crate) fn range_counts(headers: &HeaderMap, validators: &Validators) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else {
        return true;
    };
    if value.as_bytes().starts_with(b"\"") {
        return validators.etag.as_ref() == Some(value);
    }
    // A weak tag is no date, so it never counts. A date must be the very one we gave.
    let given = value.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok());
    given.is_some() && given == validators.modified
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

fn matches(headers: &HeaderMap, name: HeaderName, validators: &Validators, comparison: Comparison) -> bool {
    let tag = validators.etag.as_ref().and_then(|tag| tag.to_str().ok());
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        // Our own tags hold no comma, so splitting at commas finds them whatever else is in the list.
        list.split(',').map(str::trim).any(|candidate| match candidate {
            "*" => true,
            weak if comparison == Comparison::Weak => tag == Some(weak.strip_prefix("W/").unwrap_or(weak)),
            strong => tag == Some(strong),
        })
    })
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn state() -> Validators {
        Validators { etag: Some(HeaderValue::from_static("\"abc\"")), modified: Some(UNIX_EPOCH + Duration::from_secs(784_111_777)) }
    }

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn each_precondition_alone() {
        use Outcome::*;
        for (name, value, expected) in [
            (header::IF_MATCH, "\"abc\"", Proceed),
            (header::IF_MATCH, "\"x\", \"abc\"", Proceed),
            (header::IF_MATCH, "*", Proceed),
            (header::IF_MATCH, "W/\"abc\"", Failed),
            (header::IF_MATCH, "\"x\"", Failed),
            (header::IF_UNMODIFIED_SINCE, BEFORE, Failed),
            (header::IF_UNMODIFIED_SINCE, AT, Proceed),
            (header::IF_NONE_MATCH, "\"abc\"", NotModified),
            (header::IF_NONE_MATCH, "\"x\",W/\"abc\"", NotModified),
            (header::IF_NONE_MATCH, "*", NotModified),
            (header::IF_NONE_MATCH, "\"x\"", Proceed),
            (header::IF_MODIFIED_SINCE, BEFORE, Proceed),
            (header::IF_MODIFIED_SINCE, AT, NotModified),
            (header::IF_MODIFIED_SINCE, AFTER, NotModified),
            (header::IF_MODIFIED_SINCE, "yesterday", Proceed),
        ] {
            assert_eq!(evaluate(&headers(&[(name.clone(), value)]), &state()), expected, "{name}: {value}");
        }
    }

    #[test]
    fn tags_win_over_dates() {
        let changed = headers(&[(header::IF_NONE_MATCH, "\"x\""), (header::IF_MODIFIED_SINCE, AFTER)]);
        assert_eq!(evaluate(&changed, &state()), Outcome::Proceed);
        let same = headers(&[(header::IF_MATCH, "\"abc\""), (header::IF_UNMODIFIED_SINCE, BEFORE)]);
        assert_eq!(evaluate(&same, &state()), Outcome::Proceed);
    }

    #[test]
    fn nothing_is_known_of_what_has_no_validators() {
        let none = Validators::default();
        assert_eq!(evaluate(&headers(&[(header::IF_NONE_MATCH, "\"abc\"")]), &none), Outcome::Proceed);
        assert_eq!(evaluate(&headers(&[(header::IF_MATCH, "\"abc\"")]), &none), Outcome::Failed);
        assert!(!range_counts(&headers(&[(header::IF_RANGE, "\"abc\"")]), &none));
        assert!(!range_counts(&headers(&[(header::IF_RANGE, "garbage")]), &none));
    }

    #[test]
    fn a_range_counts_only_for_the_same_state() {
        for (value, counts) in [("\"abc\"", true), ("\"x\"", false), ("W/\"abc\"", false), (AT, true), (AFTER, false), ("garbage", false)] {
            assert_eq!(range_counts(&headers(&[(header::IF_RANGE, value)]), &state()), counts, "{value}");
        }
        assert!(range_counts(&HeaderMap::new(), &state()));
    }
}
