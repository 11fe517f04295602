//! A header `X-CLIENT-CERT`, a line feed, PEM of authorities: what is read is read again; without authorities, and before all time or
//! after it, nobody is trusted.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pulp_core::clock::Timestamp;
use pulp_core::fuzzing::certguard::{authorities, client_certificate, covers, verify};
use pulp_fuzz::line_and_rest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((header, rest)) = line_and_rest(data) else { return };
    let known = std::str::from_utf8(rest).ok().and_then(authorities);
    if let Some(known) = &known {
        assert!(!known.is_empty());
        let again: String = known.iter().map(|der| pem(der, "\n")).collect();
        assert_eq!(authorities(&again).as_ref(), Some(known));
    }
    let Some(certificate) = client_certificate(header.as_bytes()) else { return };
    if !certificate.is_empty() {
        let encoded = pem(&certificate, "%0A").replace('+', "%2B").replace(' ', "%20");
        assert_eq!(client_certificate(encoded.as_bytes()).as_ref(), Some(&certificate));
        let spaced = pem(&certificate, " ");
        assert_eq!(client_certificate(spaced.as_bytes()).as_ref(), Some(&certificate));
    }
    assert!(!covers(&certificate, "/"));
    if covers(&certificate, "/a/b") {
        assert!(covers(&certificate, "/a/b/c"));
    }
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    assert!(verify(&certificate, &[], now).is_err());
    let known = known.unwrap_or_default();
    if verify(&certificate, &known, now).is_ok() {
        assert!(verify(&certificate, &known, Timestamp::MIN_UTC).is_err());
        assert!(verify(&certificate, &known, Timestamp::MAX_UTC).is_err());
    }
});

fn pem(der: &[u8], end: &str) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----{end}{}{end}-----END CERTIFICATE-----{end}", lines.join(end))
}
