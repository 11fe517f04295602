//! When to try again, and how long to wait before.

use std::time::Duration;

use rand::RngExt as _;

use super::{DownloadError, RemoteOptions};

/// How often and how patiently a failed download is tried again. Waits double from `first_delay` up to
/// `max_delay` and are spread at random ("full jitter"), so that many clients do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: u32,
    /// The longest wait before the first retry.
    pub first_delay: Duration,
    /// The longest wait before any retry.
    pub max_delay: Duration,
    /// The longest `Retry-After` that is honoured; a source that asks for more is given up.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: super::options::DEFAULT_RETRIES,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// As the remote says (`max_retries`).
    #[must_use]
    pub fn of(options: &RemoteOptions) -> Self {
        Self { max_retries: options.retries(), ..Self::default() }
    }

    /// No second attempt.
    #[must_use]
    pub fn never() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// How long to wait after failure number `failures` (the first is 1); `None` to give up.
    #[must_use]
    pub fn delay(&self, failures: u32, error: &DownloadError) -> Option<Duration> {
        if !error.is_transient() || failures > self.max_retries {
            return None;
        }
        match error.retry_after() {
            Some(asked) if asked > self.max_retry_after => None,
            Some(asked) => Some(asked),
            None => Some(self.ceiling(failures).mul_f64(rand::rng().random::<f64>())),
        }
    }

    fn ceiling(&self, failures: u32) -> Duration {
        let doubled = 2u32.checked_pow(failures.saturating_sub(1));
        doubled.and_then(|factor| self.first_delay.checked_mul(factor)).unwrap_or(self.max_delay).min(self.max_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::RedactedUrl;
    use http::StatusCode;

    fn busy(retry_after: Option<u64>) -> DownloadError {
        DownloadError::Status {
            url: RedactedUrl::from_text("http://example.com/"),
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        let policy = RetryPolicy { max_retries: u32::MAX, ..RetryPolicy::default() };
        assert_eq!(policy.ceiling(1), Duration::from_millis(500));
        assert_eq!(policy.ceiling(3), Duration::from_secs(2));
        assert_eq!(policy.ceiling(4_000_000), policy.max_delay);
        for failures in 1..100 {
            let delay = policy.delay(failures, &busy(None)).unwrap();
            assert!(delay <= policy.ceiling(failures));
        }
    }

    #[test]
    fn gives_up_after_the_last_retry() {
        let policy = RetryPolicy::default();
        assert!(policy.delay(3, &busy(None)).is_some());
        assert!(policy.delay(4, &busy(None)).is_none());
        assert!(RetryPolicy::never().delay(1, &busy(None)).is_none());
    }

    #[test]
    fn retry_after_is_honoured_within_reason() {
        let policy = RetryPolicy::default();
        let asked = policy.delay(1, &busy(Some(7)));
        assert_eq!(asked, Some(Duration::from_secs(7)));
        assert_eq!(policy.delay(1, &busy(Some(86_400))), None);
    }

    #[test]
    fn refusals_are_final() {
        let url = RedactedUrl::from_text("http://example.com/");
        for error in [
            DownloadError::NotFound { url: url.clone() },
            DownloadError::Forbidden { url: url.clone() },
            DownloadError::Status { url, status: StatusCode::BAD_REQUEST, retry_after: None },
        ] {
            assert_eq!(RetryPolicy::default().delay(1, &error), None, "{error}");
        }
    }
}
