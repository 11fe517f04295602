//! Requests: how many, how they ended, how long they took.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};

use super::counter::Histogram;
use super::snapshot::{Kind, Snapshot};

/// Microseconds.
const BOUNDS: &[u64] =
    &[100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000];

/// Other methods count as one, and so do other statuses: a client could fill the memory with what it makes up.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// The requests of one role, by method and class of status. What did not occur takes no room.
#[derive(Debug, Default)]
pub(crate) struct Requests([[OnceLock<Histogram>; CLASSES.len()]; METHODS.len()]);

impl Requests {
    pub(crate) fn observe(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).wrapping_sub(1).min(CLASSES.len() - 1);
        self.0[method][class].get_or_init(|| Histogram::new(BOUNDS)).observe(took);
    }

    pub(super) fn write(&self, all: &mut Snapshot, name: &'static str, help: &'static str) {
        all.metric(name, Kind::Histogram, help);
        for (method, classes) in METHODS.iter().zip(&self.0) {
            for (class, histogram) in CLASSES.iter().zip(classes) {
                if let Some(histogram) = histogram.get() {
                    all.histogram(&[("http_method", method), ("http_status_code", class)], &histogram.read(), 1_000);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::text;
    use super::*;

    #[test]
    fn what_is_not_known_counts_as_one() {
        let requests = Requests::default();
        for (method, status) in [("GET", 200), ("GET", 204), ("BREW", 418), ("STEEP", 404), ("GET", 999)] {
            requests.observe(&method.parse().unwrap(), StatusCode::from_u16(status).unwrap(), Duration::from_millis(3));
        }
        let mut all = Snapshot::default();
        requests.write(&mut all, "x", "X.");
        let text = text(&all.finish());
        let counts: Vec<&str> = text.lines().filter(|line| line.starts_with("x_count")).collect();
        assert_eq!(
            counts,
            [
                "x_count{http_method=\"GET\",http_status_code=\"2xx\"} 2",
                "x_count{http_method=\"GET\",http_status_code=\"other\"} 1",
                "x_count{http_method=\"other\",http_status_code=\"4xx\"} 2",
            ]
        );
        assert!(text.contains("x_bucket{http_method=\"GET\",http_status_code=\"2xx\",le=\"2.5\"} 0"), "{text}");
        assert!(text.contains("x_bucket{http_method=\"GET\",http_status_code=\"2xx\",le=\"5\"} 2"), "{text}");
    }
}
