//! Numbers that many threads raise at the same time, without waiting for each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Into how many places a number is split. Threads that share a place only share its cache line.
const SHARDS: usize = 8;

/// Hands out places to threads, one after the other.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

/// The place of this thread. A thread that is ending has none of its own any more.
fn shard() -> usize {
    SHARD.try_with(Cell::get).unwrap_or(0)
}

/// Alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter([Padded<AtomicU64>; SHARDS]);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0[shard()].0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.iter().fold(0, |sum, shard| sum.wrapping_add(shard.0.load(Ordering::Relaxed)))
    }
}

/// How many times something took how long.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bounds in microseconds, in rising order; what is beyond the last is counted, too.
    bounds: &'static [u64],
    shards: [Padded<Shard>; SHARDS],
}

#[derive(Debug)]
struct Shard {
    counts: Box<[AtomicU64]>,
    /// Microseconds.
    sum: AtomicU64,
}

/// What a [`Histogram`] shows at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Distribution {
    pub(crate) bounds: &'static [u64],
    /// How many took as long as each bound at most, and not as short as the one before; the last is of those beyond.
    pub(crate) counts: Vec<u64>,
    /// Microseconds of all of them.
    pub(crate) sum: u64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        let shard = |_| Padded(Shard { counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) });
        Self { bounds, shards: std::array::from_fn(shard) }
    }

    pub(crate) fn observe(&self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|bound| *bound < microseconds);
        let Padded(shard) = &self.shards[shard()];
        if let Some(count) = shard.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        shard.sum.fetch_add(microseconds, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Distribution {
        let mut counts = vec![0_u64; self.bounds.len() + 1];
        let mut sum = 0_u64;
        for Padded(shard) in &self.shards {
            for (all, one) in counts.iter_mut().zip(&shard.counts) {
                *all = all.wrapping_add(one.load(Ordering::Relaxed));
            }
            sum = sum.wrapping_add(shard.sum.load(Ordering::Relaxed));
        }
        Distribution { bounds: self.bounds, counts, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_adds_up() {
        let (counter, histogram) = (Counter::default(), Histogram::new(&[10, 20]));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        counter.add(2);
                        histogram.observe(Duration::from_micros(15));
                    }
                });
            }
        });
        assert_eq!(counter.get(), 20_000);
        assert_eq!(histogram.read(), Distribution { bounds: &[10, 20], counts: vec![0, 10_000, 0], sum: 150_000 });
    }

    #[test]
    fn a_bound_belongs_to_what_is_below_it() {
        let histogram = Histogram::new(&[10, 20]);
        for microseconds in [0, 10, 11, 20, 21, 5_000] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        assert_eq!(histogram.read().counts, [2, 2, 2]);
    }
}
