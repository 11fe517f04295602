//! How many requests at a time, and how many per second, one remote is sent.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::RemoteOptions;

/// The brake of one remote, shared by all that fetch from it.
#[derive(Debug)]
pub(super) struct Pace {
    slots: Arc<Semaphore>,
    rate: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
}

impl Pace {
    pub(super) fn new(options: &RemoteOptions) -> Self {
        let slots = options.concurrency().min(Semaphore::MAX_PERMITS);
        // Bursts of one: a source that counts per second must never see two of them in one instant.
        let rate =
            options.rate_limit.and_then(NonZeroU32::new).map(|n| RateLimiter::direct(Quota::per_second(n).allow_burst(NonZeroU32::MIN)));
        Self { slots: Arc::new(Semaphore::new(slots)), rate, clock: DefaultClock::default() }
    }

    /// Waits for a turn. The permit is held until the body is read or dropped.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed; without a permit the request would simply not be counted.
        let permit = self.slots.clone().acquire_owned().await.ok();
        if let Some(rate) = &self.rate {
            while let Err(early) = rate.check() {
                tokio::time::sleep(early.wait_time_from(self.clock.now())).await;
            }
        }
        permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn slots_are_given_back() {
        let options = RemoteOptions { download_concurrency: Some(1), ..RemoteOptions::default() };
        let pace = Pace::new(&options);
        let first = pace.enter().await;
        assert!(first.is_some());
        assert!(pace.enter().now_or_never().is_none());
        drop(first);
        assert!(pace.enter().now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_rate_holds_the_second_request_back() {
        let options = RemoteOptions { rate_limit: Some(1), ..RemoteOptions::default() };
        let pace = Pace::new(&options);
        assert!(pace.enter().now_or_never().is_some());
        assert!(pace.enter().now_or_never().is_none());
    }
}
