//! Lines of `name: value`: credentials, cookies and preconditions.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pulp_core::fuzzing;

/// What the representation has.
const ETAG: &str = "\"abc\"";
const MODIFIED: u64 = 784_111_777;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(16) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else { continue };
        headers.append(name, value);
    }
    for value in headers.values() {
        credentials(value);
    }
    let has = |name: HeaderName| headers.contains_key(name);
    for (etag, modified) in [(false, false), (false, true), (true, false), (true, true)] {
        let etag = etag.then(|| HeaderValue::from_static(ETAG));
        let modified = modified.then(|| UNIX_EPOCH + Duration::from_secs(MODIFIED));
        let (status, range_counts) = fuzzing::conditional(&headers, etag.clone(), modified);
        match status {
            412 => assert!(has(header::IF_MATCH) || has(header::IF_UNMODIFIED_SINCE)),
            304 => assert!(has(header::IF_NONE_MATCH) || has(header::IF_MODIFIED_SINCE)),
            _ => {}
        }
        // What has neither tag nor date is never the one that a part is asked of, nor one that a date is compared with.
        if etag.is_none() && modified.is_none() {
            assert_eq!(range_counts, !has(header::IF_RANGE));
            assert!(status == 200 || has(header::IF_MATCH) || has(header::IF_NONE_MATCH));
        }
    }
    for name in ["sessionid", "csrftoken"] {
        if let Some(value) = fuzzing::cookie_of(&headers, name) {
            assert!(!value.contains(';'));
            let again = HeaderMap::from_iter([(header::COOKIE, format!("{name}={value}").parse().unwrap())]);
            assert_eq!(fuzzing::cookie_of(&again, name), Some(value.trim_end()));
        }
    }
});

fn credentials(value: &HeaderValue) {
    if let Ok(text) = value.to_str() {
        if let Some((name, password)) = fuzzing::basic(text) {
            assert!(!name.contains(':'));
            assert_eq!(STANDARD.encode(format!("{name}:{password}")), text);
        }
        // Whatever it is, it ends with an answer.
        let whole = fuzzing::bearer(text);
        assert!(!whole || text.split('.').count() == 3);
    }
    if let Some(json) = fuzzing::json_header(value) {
        assert!(json.len() <= fuzzing::LONGEST_INPUT + 2);
    }
}
