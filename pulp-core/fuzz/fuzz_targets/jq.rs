//! A filter of jq, a line feed, JSON: it ends, and what it makes is not much longer than what it is made of.
#![no_main]

use pulp_core::fuzzing;
use pulp_fuzz::line_and_rest;

/// `join` twice over single characters, with the longest text between them.
const MOST_GROWTH: usize = 600;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((filter, json)) = line_and_rest(data) else { return };
    let made = fuzzing::jq(filter, json);
    if let Ok(Some(text)) = &made {
        assert!(text.len() <= MOST_GROWTH * (filter.len() + json.len()), "{filter}: {} bytes", text.len());
    }
    // Compiled or kept, it is the same.
    assert_eq!(made, fuzzing::jq(filter, json), "{filter}");
});
