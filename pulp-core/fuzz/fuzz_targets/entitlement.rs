//! A path, a line feed, the packed paths of an entitlement: who may have a path may have what lies below it.
#![no_main]

use pulp_core::fuzzing::certguard::payload_covers;
use pulp_fuzz::line_and_rest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((path, payload)) = line_and_rest(data) else { return };
    let Some(covered) = payload_covers(payload, path) else { return };
    assert_eq!(payload_covers(payload, ""), Some(false));
    assert_eq!(payload_covers(payload, &format!("//{path}/")), Some(covered));
    if covered {
        assert_eq!(payload_covers(payload, &format!("{path}/below")), Some(true));
    }
});
