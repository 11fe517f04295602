//! Filters of lists, `q` and selections of labels: what is read is written again, and read as the same.
#![no_main]

use pulp_core::fuzzing;

libfuzzer_sys::fuzz_target!(|text: &str| {
    for reprint in [fuzzing::expression, fuzzing::labels] {
        if let Some((written, read)) = reprint(text) {
            assert_eq!(reprint(&written), Some((written.clone(), read)), "{text:?}: {written:?}");
        }
    }
});
