//! What the targets in `fuzz/` look at: readers of what comes from outside, which are nobody else’s business.
//!
//! No part of the interface: it is only there with the feature `fuzzing`, and changes without notice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::HeaderValue;
use serde_json::{Map, Value as Json};

use crate::api::auth::{basic, cookie, proxy};
use crate::api::endpoints::uploads::range::ContentRange;
use crate::api::payload::{self, Limits};
use crate::body::Body;
use crate::content::conditional::{self, Outcome, Validators};
use crate::content::range::{self, Requested};
use crate::db::Dialect;
use crate::jq::{Jq, on_deep_stack};
use crate::resource::labels;
use crate::resource::query::expression;
use crate::storage::{Spool, Spooled};

/// Bytes of JSON that a jq filter is run over at most.
pub const LONGEST_INPUT: usize = crate::jq::LONGEST_INPUT;

static JQ: LazyLock<Jq> = LazyLock::new(Jq::default);

/// What a jq filter makes of some JSON, or why it makes nothing.
///
/// # Errors
/// What is wrong with filter or JSON.
pub fn jq(filter: &str, json: &[u8]) -> Result<Option<String>, String> {
    let ran = on_deep_stack(|| JQ.run(filter, json).map_err(|error| error.to_string()));
    ran.unwrap_or_else(|| Err("its thread ended".to_owned()))
}

/// An expression of the parameter `q`, written again, and how it was read.
pub fn expression(text: &str) -> Option<(String, String)> {
    expression::reprint(text)
}

/// A selection of labels, written again, and how it was read.
pub fn labels(text: &str) -> Option<(String, String)> {
    let read = labels::reprint(text);
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        assert_eq!(labels::select(dialect, text).is_ok(), read.is_some(), "{text}");
    }
    read
}

/// The parts of a representation of `size` bytes that a header `Range` asks for: none for 416, and nothing where it is sent whole.
pub fn range(header: &str, size: u64) -> Option<Vec<Range<u64>>> {
    match range::parse(header, size) {
        Requested::Whole => None,
        Requested::One(part) => Some(vec![part]),
        Requested::Many(parts) => Some(parts),
        Requested::Unsatisfiable => Some(Vec::new()),
    }
}

/// First and last byte, and size, of a header `Content-Range`.
pub fn content_range(header: &str) -> Option<(i64, i64, i64)> {
    ContentRange::parse(header).map(|range| (range.first, range.last, range.size()))
}

/// The status that the preconditions of a request lead to, for a representation with this tag and date.
pub fn conditional(headers: &HeaderMap, etag: Option<HeaderValue>, modified: Option<SystemTime>) -> (u16, bool) {
    let validators = Validators { etag, modified };
    let status = match conditional::evaluate(headers, &validators) {
        Outcome::Proceed => 200,
        Outcome::NotModified => 304,
        Outcome::Failed => 412,
    };
    (status, conditional::range_counts(headers, &validators))
}

/// Name and password of what follows `Basic`.
pub fn basic(encoded: &str) -> Option<(String, String)> {
    basic::decoded(encoded)
}

/// Whether a bearer token has the form of an issuer’s.
pub fn bearer(token: &str) -> bool {
    crate::oidc::token::Token::parse(token).is_ok()
}

/// The JSON in the header of a proxy.
pub fn json_header(value: &HeaderValue) -> Option<Vec<u8>> {
    proxy::decoded(value)
}

/// The value of a cookie.
pub fn cookie_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookie(headers, name)
}

/// Values and files of a form, of which all values may have `text` bytes and each file `file`; else the status of the answer.
///
/// # Errors
/// The status.
pub async fn multipart(
    spool: &Spool,
    (text, file): (usize, u64),
    content_type: &str,
    body: Body,
) -> Result<(Map<String, Json>, BTreeMap<String, Spooled>), u16> {
    let read = payload::multipart(spool, Limits { text, file }, content_type, body).await;
    read.map(|form| (form.values, form.files)).map_err(|error| error.status().as_u16())
}

/// What content guards read of certificates.
#[cfg(feature = "certguard")]
pub mod certguard {
    use rustls_pki_types::CertificateDer;

    use crate::clock::Timestamp;
    use crate::plugins::certguard::{chain, entitlement, header};

    /// The first certificate in a header `X-CLIENT-CERT`, as DER.
    pub fn client_certificate(header: &[u8]) -> Option<Vec<u8>> {
        header::certificate(header).map(|certificate| certificate.to_vec())
    }

    /// The certificates of a PEM text, as DER.
    pub fn authorities(pem: &str) -> Option<Vec<Vec<u8>>> {
        chain::authorities(pem).map(|all| all.iter().map(|certificate| certificate.to_vec()).collect())
    }

    /// Whether there is a chain from a certificate to one of the authorities that is valid at this moment.
    ///
    /// # Errors
    /// Why there is none.
    pub fn verify(certificate: &[u8], authorities: &[Vec<u8>], now: Timestamp) -> Result<(), String> {
        let authorities: Vec<CertificateDer<'_>> = authorities.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        chain::verify(certificate, &authorities, now).map_err(|fault| fault.to_string())
    }

    /// Whether a certificate entitles to a path.
    pub fn covers(certificate: &[u8], path: &str) -> bool {
        entitlement::covers(certificate, path)
    }

    /// Whether the packed paths of an entitlement have one, if they can be read.
    pub fn payload_covers(payload: &[u8], path: &str) -> Option<bool> {
        let tree = entitlement::PathTree::unpack(payload)?;
        Some(tree.covers(&entitlement::parts(path).collect::<Vec<_>>()))
    }
}
