//! Answers that need nothing but memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};

use super::Content;
use super::conditional::{Outcome, evaluate};
use super::path::decode;
use super::service::below;
use super::state::Decision;

/// The answer to a request for the whole of a small file: `200`, and what follows.
#[derive(Debug, Clone)]
pub struct AtHand {
    lines: Bytes,
    bytes: Bytes,
    took: Duration,
}

impl AtHand {
    /// An answer with these headers, as [`lines`](Self::lines), and these bytes, which took no time.
    pub fn new(lines: Bytes, bytes: Bytes) -> Self {
        Self { lines, bytes, took: Duration::ZERO }
    }

    /// The headers, as lines of HTTP/1.1 (RFC 9112, 5), each with its end. `Date` and what belongs to the connection are not among them.
    pub fn lines(&self) -> &Bytes {
        &self.lines
    }

    /// The file.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How long it took to find it.
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl Content {
    /// What [`handle`](Self::handle) would answer, if that is at hand: a small file that was asked for lately, and a guard, if there is one, that lets
    /// the request pass without having to look anything up. `None` says nothing of the answer but that it takes `handle`.
    ///
    /// For front ends that can send such an answer without what they else need for one. What is given counts as sent.
    pub fn at_hand(&self, request: &Parts) -> Option<AtHand> {
        let began = Instant::now();
        let (pulp, state) = (self.pulp(), self.state());
        let settings = pulp.settings();
        if request.method != Method::GET || request.headers.contains_key(header::RANGE) || settings.domain_enabled {
            return None;
        }
        let domain = pulp.default_domain();
        let path = decode(request.uri.path().strip_prefix(settings.content_path_prefix.as_str())?)?;
        let remembered = state.recall(domain.pulp_id, &path).filter(|remembered| state.is_fresh(remembered, began))?;
        let Decision::File(file) = &remembered.decision else { return None };
        let route = &remembered.route;
        // Where the client could be sent to an object store, that is for `handle` to see.
        if route.travels() || !remembered.is_here(pulp.storage(), file) {
            return None;
        }
        let bytes = state.small.at_hand(file)?;
        if let Some((guard, handler)) = self.guard_of(route) {
            let path = below(&route.distribution, &path);
            if !handler.ok()?.permits_at_once(&self.question(request, domain, route, guard, &path)) {
                return None;
            }
        }
        let entity = remembered.entity(file);
        if evaluate(&request.headers, entity.validators()) != Outcome::Proceed {
            return None;
        }
        let metrics = pulp.metrics();
        metrics.cache_hits.add(1);
        metrics.content_bytes.add(bytes.len() as u64);
        let took = began.elapsed();
        metrics.content.observe(&request.method, StatusCode::OK, took);
        Some(AtHand { lines: entity.lines().clone(), bytes, took })
    }
}
