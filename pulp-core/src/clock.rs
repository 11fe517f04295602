//! Time, as something that a test can set.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};

/// A moment in UTC, kept to the microsecond: what both databases store without loss.
pub type Timestamp = DateTime<Utc>;

/// Where the present moment comes from.
pub trait Clock: Send + Sync + Debug {
    /// The present moment, to the microsecond.
    fn now(&self) -> Timestamp;
}

/// The machine’s clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now.trunc_subsecs(6))))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A moment as Pulp writes it in JSON: microseconds, and `Z`.
///
/// ```
/// let moment = chrono::DateTime::from_timestamp(0, 5_000).unwrap();
/// assert_eq!(pulp_core::clock::to_wire(moment), "1970-01-01T00:00:00.000005Z");
/// // A whole second has no fraction.
/// assert_eq!(pulp_core::clock::to_wire(chrono::DateTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
/// ```
pub fn to_wire(moment: Timestamp) -> String {
    let fraction = if moment.timestamp_subsec_micros() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    moment.to_rfc3339_opts(fraction, true)
}
