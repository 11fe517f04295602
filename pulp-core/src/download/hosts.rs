//! Hosts, whichever remotes name them: how they have answered lately, and how much is asked of one at a time.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use super::{DownloadError, RedactedUrl, TimeoutKind};

/// Failures in a row after which a host is in trouble.
const FAILURES: u32 = 10;
/// For how long nobody who can wait asks a host in trouble; that doubles with each request that finds it no better, up to the second one.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// For how long a failure counts when sources are ranked: then the order that they were given in is tried again.
const RANKED: Duration = Duration::from_secs(60);
/// Hosts that are remembered at most.
const KNOWN: usize = 4_096;

/// What all requests to one host may take together. Zero sets no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostLimits {
    /// Requests at the same time.
    pub concurrency: usize,
    /// Bytes of bodies in a second; a second’s worth may come at once.
    pub bytes_per_second: u64,
}

impl HostLimits {
    /// So many requests at the same time, and so many bytes in a second.
    pub fn new(concurrency: usize, bytes_per_second: u64) -> Self {
        Self { concurrency, bytes_per_second }
    }
}

/// The hosts that a process fetches from. Cheap to clone; clones are the same.
///
/// A host that fails ten times in a row is *in trouble* until it answers: one request at a time finds out whether it does. Others wait until
/// that is known, and longer with each failure, up to half a minute; those [that cannot wait](super::DownloadRequest::at_once) are refused.
#[derive(Clone, Default)]
pub struct Hosts(Arc<Inner>);

#[derive(Default)]
struct Inner {
    limits: HostLimits,
    known: Mutex<HashMap<String, Arc<Host>>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// One host.
struct Host {
    slots: Option<Arc<Semaphore>>,
    rate: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    health: Mutex<Health>,
    changed: Notify,
}

/// How a host has answered.
#[derive(Debug, Default)]
struct Health {
    failures: u32,
    failed_at: Option<Instant>,
    /// While it is in trouble: until when it is left alone.
    until: Option<Instant>,
    /// Whether a request finds out for all.
    probing: bool,
}

/// What a request may do.
enum Admission {
    Ask { probe: bool },
    Wait { until: Option<Instant> },
    Refused { failures: u32 },
}

impl Health {
    fn admit(&mut self, waits: bool, now: Instant) -> Admission {
        match self.until.filter(|_| self.failures >= FAILURES) {
            None => Admission::Ask { probe: false },
            Some(_) if self.probing && waits => Admission::Wait { until: None },
            Some(_) if self.probing => Admission::Refused { failures: self.failures },
            Some(until) if waits && until > now => Admission::Wait { until: Some(until) },
            // Who cannot wait asks even so: it may have come back, and nobody knows yet.
            Some(_) => {
                self.probing = true;
                Admission::Ask { probe: true }
            }
        }
    }

    /// Of many requests that fail together, those beyond the last that counts tell nothing new.
    fn failed(&mut self, probe: bool, now: Instant) {
        self.failed_at = Some(now);
        if probe || self.failures < FAILURES {
            self.failures = self.failures.saturating_add(1);
        }
        if let Some(beyond) = self.failures.checked_sub(FAILURES)
            && (probe || self.until.is_none())
        {
            let pause = PAUSES.0.saturating_mul(1 << beyond.min(16)).min(PAUSES.1);
            self.until = now.checked_add(pause);
        }
    }

    /// It has answered; whether the whole body comes remains to be seen.
    fn answers(&mut self) {
        self.failures = self.failures.min(FAILURES - 1);
        self.until = None;
    }

    fn rank(&self, now: Instant) -> u32 {
        let lately = self.failed_at.is_some_and(|at| now.saturating_duration_since(at) < RANKED);
        if lately { self.failures } else { 0 }
    }
}

impl Hosts {
    /// With these limits for each.
    pub fn new(limits: HostLimits) -> Self {
        Self(Arc::new(Inner { limits, known: Mutex::default() }))
    }

    /// How badly the host of a URL does: failures in a row of the last minute. Sources are best asked in the order of this.
    pub fn rank(&self, url: &Url) -> u32 {
        let known = lock(&self.0.known);
        known.get(&name(url)).map_or(0, |host| lock(&host.health).rank(Instant::now()))
    }

    /// How many hosts are in trouble.
    pub fn in_trouble(&self) -> usize {
        let known = lock(&self.0.known);
        known.values().filter(|host| lock(&host.health).failures >= FAILURES).count()
    }

    /// Waits until a host may be asked.
    ///
    /// # Errors
    /// [`DownloadError::HostInTrouble`] for whoever cannot wait.
    pub(super) async fn enter(&self, url: &Url, waits: bool) -> Result<Visit, DownloadError> {
        let host = self.host(url);
        let probe = loop {
            // Before the look: what changes after it is heard.
            let changed = host.changed.notified();
            let admission = lock(&host.health).admit(waits, Instant::now());
            match admission {
                Admission::Ask { probe } => break probe,
                Admission::Refused { failures } => return Err(DownloadError::HostInTrouble { url: RedactedUrl::new(url), failures }),
                Admission::Wait { until: None } => changed.await,
                Admission::Wait { until: Some(until) } => {
                    // Not to the end if somebody who cannot wait finds out before.
                    let _ = tokio::time::timeout_at(until, changed).await;
                }
            }
        };
        let mut visit = Visit { host, probe, _slot: None };
        if let Some(slots) = visit.host.slots.clone() {
            // The semaphore is never closed.
            visit._slot = slots.acquire_owned().await.ok();
        }
        Ok(visit)
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let mut known = lock(&self.0.known);
        if let Some(host) = known.get(&name(url)) {
            return Arc::clone(host);
        }
        if known.len() >= KNOWN {
            known.retain(|_, host| Arc::strong_count(host) > 1 || lock(&host.health).rank(Instant::now()) > 0);
        }
        let host = Arc::new(Host::new(self.0.limits));
        if known.len() < KNOWN {
            known.insert(name(url), Arc::clone(&host));
        }
        host
    }
}

impl Host {
    fn new(limits: HostLimits) -> Self {
        let slots = (limits.concurrency > 0).then(|| Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))));
        let rate = NonZeroU32::new(u32::try_from(limits.bytes_per_second).unwrap_or(u32::MAX));
        let rate = rate.map(|bytes| (RateLimiter::direct(Quota::per_second(bytes)), bytes));
        Self { slots, rate, health: Mutex::default(), changed: Notify::new() }
    }
}

/// A request to a host, as long as it lives. Dropped before it was told how it went, it counts for nothing.
pub(super) struct Visit {
    host: Arc<Host>,
    probe: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Visit {
    /// The host has answered, with whatever status that is not its own failure.
    pub(super) fn answered(&mut self) {
        if std::mem::take(&mut self.probe) {
            let mut health = lock(&self.host.health);
            health.probing = false;
            health.answers();
            drop(health);
            self.host.changed.notify_waiters();
        }
    }

    /// All went well, to the end.
    pub(super) fn ended(&mut self) {
        self.answered();
        let mut health = lock(&self.host.health);
        if health.until.is_none() {
            health.failures = 0;
        }
    }

    /// It failed; of what is not the host’s fault it tells nothing.
    pub(super) fn failed(&mut self, error: &DownloadError) {
        match blame(error) {
            Some(true) => {}
            Some(false) => return self.ended(),
            None => return,
        }
        let mut health = lock(&self.host.health);
        let before = health.failures;
        let probe = std::mem::take(&mut self.probe);
        health.failed(probe, Instant::now());
        let failures = health.failures;
        if probe {
            health.probing = false;
        }
        drop(health);
        if probe {
            self.host.changed.notify_waiters();
        }
        if failures >= FAILURES && failures > before {
            tracing::warn!(%error, failures, "a host fails again and again: one request at a time asks it until it answers");
        }
    }

    /// Waits until so many bytes more may have come.
    pub(super) async fn received(&self, bytes: usize) {
        let Some((rate, burst)) = &self.host.rate else { return };
        let mut left = u32::try_from(bytes).unwrap_or(u32::MAX);
        while let Some(some) = NonZeroU32::new(left.min(burst.get())) {
            match rate.check_n(some) {
                Ok(Err(early)) => tokio::time::sleep(early.wait_time_from(DefaultClock::default().now())).await,
                // No more than the burst is ever asked for.
                Ok(Ok(())) | Err(_) => left -= some.get(),
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.probe {
            lock(&self.host.health).probing = false;
            self.host.changed.notify_waiters();
        }
    }
}

/// Whether an error is the host’s failure; nothing where it may lie with the remote’s settings, or with what is between.
fn blame(error: &DownloadError) -> Option<bool> {
    match error {
        DownloadError::Connect { .. } | DownloadError::Interrupted { .. } | DownloadError::Truncated { .. } => Some(true),
        DownloadError::Timeout { kind: TimeoutKind::Connect | TimeoutKind::Read, .. } => Some(true),
        DownloadError::Status { status, .. } => Some(status.is_server_error() || status.as_u16() == 429),
        DownloadError::NotFound { .. }
        | DownloadError::Unauthorized { .. }
        | DownloadError::Forbidden { .. }
        | DownloadError::RangeNotSatisfiable { .. } => Some(false),
        _ => None,
    }
}

/// Host and port: what listens there is one host.
fn name(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn url() -> Url {
        Url::parse("http://mirror.example/a").unwrap()
    }

    fn broken() -> DownloadError {
        DownloadError::Interrupted { url: RedactedUrl::new(&url()), detail: "reset".to_owned() }
    }

    async fn fail(hosts: &Hosts, times: u32) {
        for _ in 0..times {
            hosts.enter(&url(), false).await.unwrap().failed(&broken());
        }
    }

    fn now_or_never(hosts: &Hosts, waits: bool) -> Option<Result<Visit, DownloadError>> {
        hosts.enter(&url(), waits).now_or_never()
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_finds_out_for_all() {
        let hosts = Hosts::default();
        fail(&hosts, FAILURES).await;
        assert!(now_or_never(&hosts, true).is_none(), "who can wait does");
        let mut probe = hosts.enter(&url(), false).await.unwrap();
        assert!(matches!(now_or_never(&hosts, false), Some(Err(DownloadError::HostInTrouble { failures: FAILURES, .. }))));
        let waiting = tokio::spawn({
            let hosts = hosts.clone();
            async move { hosts.enter(&url(), true).await.is_ok() }
        });
        tokio::task::yield_now().await;
        probe.answered();
        assert!(waiting.await.unwrap(), "and is let in at once when it is known");
        assert!(now_or_never(&hosts, false).unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_with_what_is_found_out_and_have_an_end() {
        let hosts = Hosts::default();
        fail(&hosts, FAILURES).await;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let began = Instant::now();
            hosts.enter(&url(), true).await.unwrap().failed(&broken());
            pauses.push(began.elapsed().as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_fail_together_are_no_more_than_one_reason() {
        let hosts = Hosts::default();
        let mut together = Vec::new();
        for _ in 0..100 {
            together.push(hosts.enter(&url(), true).await.unwrap());
        }
        together.iter_mut().for_each(|visit| visit.failed(&broken()));
        let began = Instant::now();
        hosts.enter(&url(), true).await.unwrap().ended();
        assert_eq!(began.elapsed().as_secs(), 1);
        assert_eq!(hosts.rank(&url()), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_answers_and_breaks_off_stays_in_trouble() {
        let hosts = Hosts::default();
        fail(&hosts, FAILURES).await;
        let mut probe = hosts.enter(&url(), false).await.unwrap();
        probe.answered();
        probe.failed(&broken());
        assert!(now_or_never(&hosts, true).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_leaves_the_question_to_the_next() {
        let hosts = Hosts::default();
        fail(&hosts, FAILURES).await;
        drop(hosts.enter(&url(), false).await.unwrap());
        assert!(now_or_never(&hosts, false).unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_answers_and_old_failures_count_no_more() {
        let hosts = Hosts::default();
        fail(&hosts, 3).await;
        assert_eq!(hosts.rank(&url()), 3);
        tokio::time::advance(RANKED).await;
        assert_eq!(hosts.rank(&url()), 0);
        fail(&hosts, FAILURES - 4).await;
        assert_eq!(hosts.rank(&url()), FAILURES - 1);
        hosts.enter(&url(), false).await.unwrap().failed(&DownloadError::NotFound { url: RedactedUrl::new(&url()) });
        assert_eq!(hosts.rank(&url()), 0);
        assert_eq!(hosts.rank(&Url::parse("https://mirror.example/a").unwrap()), 0, "another port is another host");
    }

    #[tokio::test]
    async fn requests_at_a_time_are_bounded() {
        let hosts = Hosts::new(HostLimits::new(1, 0));
        let first = hosts.enter(&url(), true).await.unwrap();
        assert!(now_or_never(&hosts, false).is_none());
        drop(first);
        assert!(now_or_never(&hosts, false).unwrap().is_ok());
    }

    #[tokio::test]
    async fn bytes_in_a_second_are_bounded_for_all_together() {
        let hosts = Hosts::new(HostLimits::new(0, 1_000));
        let (one, two) = (hosts.enter(&url(), true).await.unwrap(), hosts.enter(&url(), true).await.unwrap());
        assert!(one.received(600).now_or_never().is_some());
        assert!(two.received(600).now_or_never().is_none());
        let began = std::time::Instant::now();
        two.received(1_200).await;
        assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    }
}
