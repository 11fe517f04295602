//! A `PULP_MANIFEST`: paths stay below their directory, and what is read is written and read as the same.
#![no_main]

use pulp_core::plugins::file::manifest::{MAX_PATH, Reader, write_line};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut written = Vec::new();
    let mut entries = Vec::new();
    for entry in Reader::new(data) {
        let Ok(entry) = entry else { break };
        let path = std::path::Path::new(&entry.relative_path);
        assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))), "{path:?}");
        assert!(entry.relative_path.len() <= MAX_PATH && !entry.relative_path.contains(['\n', '\r', '\0']));
        write_line(&mut written, &entry.relative_path, &entry.sha256.to_string(), entry.size).unwrap();
        entries.push(entry);
    }
    let again: Vec<_> = Reader::new(written.as_slice()).map(|entry| entry.unwrap()).collect();
    assert_eq!(again, entries);
});
