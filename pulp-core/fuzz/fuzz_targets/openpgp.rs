//! Public keys: in armor or without it they are the same, and packets that are written are read.
#![no_main]

use pulp_core::crypto::openpgp::{Certificate, Packets, Tag, dearmor, enarmor, write_packet};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(key) = Certificate::read(data) {
        assert!(!key.fingerprint().is_empty() && key.fingerprint().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let mut written = Vec::new();
    let mut packets = Vec::new();
    for packet in Packets::new(data) {
        let Ok(packet) = packet else { break };
        write_packet(&mut written, packet.tag, packet.body);
        packets.push(packet);
    }
    let again: Vec<_> = Packets::new(&written).map(|packet| packet.unwrap()).collect();
    assert!(again == packets);
    let armored = enarmor(data);
    assert_eq!(dearmor(&armored).as_deref(), Ok(data));
    if packets.first().is_some_and(|first| first.tag == Tag::PUBLIC_KEY) && !data.windows(14).any(|part| part == b"-----BEGIN PGP") {
        assert_eq!(Certificate::from_armor(&armored), Certificate::read(data));
    }
});
