//! A size, a line feed, a header `Range` or `Content-Range`: no part is empty, lies beyond the end, or is sent twice.
#![no_main]

use pulp_core::fuzzing;
use pulp_fuzz::line_and_rest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((size, header)) = line_and_rest(data) else { return };
    let (Ok(size), Ok(header)) = (size.parse::<u64>(), std::str::from_utf8(header)) else { return };
    if let Some(mut parts) = fuzzing::range(header, size) {
        assert!(parts.iter().all(|part| part.start < part.end && part.end <= size), "{parts:?} of {size}");
        parts.sort_by_key(|part| part.start);
        assert!(parts.windows(2).all(|pair| pair[0].end < pair[1].start), "{parts:?}");
        // Asked for as they were understood, they are understood as the same.
        if !parts.is_empty() {
            let list: Vec<String> = parts.iter().map(|part| format!("{}-{}", part.start, part.end - 1)).collect();
            assert_eq!(fuzzing::range(&format!("bytes={}", list.join(",")), size), Some(parts));
        }
    }
    if let Some((first, last, bytes)) = fuzzing::content_range(header) {
        assert!(first >= 0 && last >= 0);
        assert_eq!(bytes > 0, first <= last, "{first}-{last}: {bytes}");
        assert_eq!(fuzzing::content_range(&format!("bytes {first}-{last}/*")), Some((first, last, bytes)));
    }
});
