//! Which hosts are in trouble: those that fail again and again are left alone for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use crate::clock::Timestamp;

/// Requests to one host at the same time.
const AT_ONCE: usize = 2;
/// Failures in a row after which a host is left alone.
const FAILURES: u32 = 5;
/// Seconds for which it is at first; that doubles each time, up to the second number.
const PAUSES: (i64, i64) = (30, 600);
/// Hosts that are remembered at most; then those that do nothing are forgotten.
const HOSTS: usize = 4_096;

#[derive(Debug, Default, Clone)]
struct Host {
    under_way: usize,
    failures: u32,
    closed_until: Option<Timestamp>,
}

/// The hosts of one process.
#[derive(Debug, Default, Clone)]
pub(super) struct Circuits(Arc<Mutex<HashMap<String, Host>>>);

/// A request to a host. Dropped without [`Request::ended`], it counts for nothing.
#[derive(Debug)]
pub(super) struct Request {
    circuits: Circuits,
    host: String,
}

impl Circuits {
    /// A request to a host, to be told how it went; nothing if others ask it already, or it is left alone for a while.
    pub(super) fn admit(&self, name: &str, now: Timestamp) -> Option<Request> {
        let mut hosts = self.lock();
        if hosts.len() >= HOSTS {
            hosts.retain(|_, host| host.under_way > 0 || host.closed_until.is_some_and(|until| until > now));
        }
        let host = hosts.entry(name.to_owned()).or_default();
        // After a pause one request finds out for all.
        let most = if host.failures >= FAILURES { 1 } else { AT_ONCE };
        if host.closed_until.is_some_and(|until| until > now) || host.under_way >= most {
            return None;
        }
        host.under_way += 1;
        Some(Request { circuits: self.clone(), host: name.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    /// Whether the host did what hosts do: a refusal is an answer.
    pub(super) fn ended(self, well: bool, now: Timestamp) {
        let mut hosts = self.circuits.lock();
        let Some(host) = hosts.get_mut(&self.host) else { return };
        if well {
            (host.failures, host.closed_until) = (0, None);
            return;
        }
        host.failures = host.failures.saturating_add(1);
        if let Some(beyond) = host.failures.checked_sub(FAILURES) {
            let pause = PAUSES.0.saturating_mul(1 << beyond.min(16)).min(PAUSES.1);
            host.closed_until = now.checked_add_signed(TimeDelta::seconds(pause));
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut hosts = self.circuits.lock();
        if let Some(host) = hosts.get_mut(&self.host) {
            host.under_way = host.under_way.saturating_sub(1);
            if host.under_way == 0 && host.failures == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn ask(circuits: &Circuits, host: &str, now: i64) -> Option<Request> {
        circuits.admit(host, at(now))
    }

    #[test]
    fn a_host_that_fails_is_left_alone_and_then_tried_by_one() {
        let circuits = Circuits::default();
        for _ in 0..FAILURES {
            ask(&circuits, "a", 0).unwrap().ended(false, at(0));
        }
        assert!(ask(&circuits, "a", 29).is_none());
        assert!(ask(&circuits, "b", 0).is_some());
        let first = ask(&circuits, "a", 30).unwrap();
        assert!(ask(&circuits, "a", 30).is_none(), "one finds out for all");
        first.ended(false, at(30));
        assert!(ask(&circuits, "a", 89).is_none());
        ask(&circuits, "a", 90).unwrap().ended(true, at(90));
        let (one, two) = (ask(&circuits, "a", 90), ask(&circuits, "a", 90));
        assert!(one.is_some() && two.is_some() && ask(&circuits, "a", 90).is_none());
        drop((one, two));
        assert!(circuits.lock().get("a").is_none());
    }

    #[test]
    fn a_pause_does_not_grow_without_end() {
        let circuits = Circuits::default();
        for time in 0..60 {
            ask(&circuits, "a", time * 600).unwrap().ended(false, at(time * 600));
        }
        assert!(ask(&circuits, "a", 59 * 600 + 599).is_none());
    }
}
