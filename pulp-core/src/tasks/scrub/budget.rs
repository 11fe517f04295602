//! How fast files are read that nobody waits for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Shorter waits are added up: sleeping is not more precise.
const GRAIN: Duration = Duration::from_millis(5);

/// A single wait is no longer.
const LONGEST: Duration = Duration::from_secs(3_600);

/// So many bytes a second, and no more when it was less before.
#[derive(Debug)]
pub(super) struct Budget {
    per_second: u64,
    /// Up to when what was read is paid for.
    paid: Instant,
}

impl Budget {
    /// 0 sets no bound.
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second, paid: Instant::now() }
    }

    /// Waits until so many bytes more, which have just been read, are within the budget.
    pub(super) async fn spend(&mut self, bytes: usize) {
        if let Some(until) = self.pay(bytes, Instant::now()) {
            sleep_until(until).await;
        }
    }

    /// Until when to wait if so many bytes were read until `now`.
    fn pay(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        if self.per_second == 0 {
            return None;
        }
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(self.per_second);
        let price = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)).min(LONGEST);
        self.paid = self.paid.max(now) + price;
        (self.paid > now + GRAIN).then_some(self.paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads so often so much, and waits as it is told to; how long that takes if reading itself takes no time.
    fn read(budget: &mut Budget, times: usize, bytes: usize, from: Instant) -> Duration {
        let mut now = from;
        for _ in 0..times {
            now = budget.pay(bytes, now).unwrap_or(now);
        }
        now - from
    }

    #[test]
    fn bytes_take_their_time_and_rest_is_not_saved_up() {
        let mut budget = Budget::new(1_000_000);
        let began = budget.paid;
        assert_eq!(read(&mut budget, 400, 25_000, began), Duration::from_secs(10));
        // Nobody reads for a while: the next bytes cost as much as any.
        let later = began + Duration::from_secs(60);
        assert_eq!(read(&mut budget, 1, 2_000_000, later), Duration::from_secs(2));
        // What takes long by itself is not waited for.
        assert_eq!(budget.pay(1_000, later + Duration::from_secs(9)), None);
    }

    #[test]
    fn small_files_are_counted_too() {
        let mut budget = Budget::new(100_000);
        let began = budget.paid;
        let took = read(&mut budget, 10_000, 100, began);
        assert!((Duration::from_millis(9_990)..=Duration::from_secs(10)).contains(&took), "{took:?}");
    }

    #[test]
    fn without_a_bound_nothing_is_waited_for_and_no_wait_is_endless() {
        let now = Instant::now();
        assert_eq!(Budget::new(0).pay(usize::MAX, now), None);
        assert!(Budget::new(1).pay(usize::MAX, now).unwrap() <= Instant::now() + LONGEST);
    }
}
