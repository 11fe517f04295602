//! Metrics: what this process counts, and what is to be known of the whole, as text for Prometheus.
//!
//! Counting takes an atomic addition in a place of the thread’s own. What the database knows (tasks by state, processes that are
//! online) is read when somebody asks, and kept for a moment, so that many who ask cost no more than one.
//!
//! Where Pulp has a metric, it has Pulp’s name here (`api_request_duration_milliseconds`, `content_request_duration_milliseconds`,
//! `tasks_unblocked_queue`, `tasks_longest_unblocked_time_seconds`); all others begin with `pulp_`, or with `process_`.

mod counter;
#[cfg(feature = "opentelemetry")]
pub mod otlp;
mod process;
mod requests;
mod scrub;
mod snapshot;
mod standing;
mod tasks;
mod text;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Pulp;
use crate::body::Body;
pub(crate) use counter::Counter;
pub(crate) use process::resident_bytes;
pub(crate) use requests::Requests;
pub(crate) use scrub::ScrubMetrics;
use snapshot::Snapshot;
pub use snapshot::{Buckets, Kind, Metric, Sample, Value};
use standing::Standing;
pub(crate) use tasks::TaskMetrics;
pub use text::{TEXT, text};

/// For how long what the database said is told again.
const FRESH: Duration = Duration::from_secs(1);

/// How long the database may take: who asks must be told in time that it is away.
const PATIENCE: Duration = Duration::from_secs(4);

/// What one [`Pulp`] counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) api: Requests,
    pub(crate) content: Requests,
    pub(crate) tasks: TaskMetrics,
    pub(crate) content_bytes: Counter,
    pub(crate) cache_hits: Counter,
    pub(crate) cache_misses: Counter,
    pub(crate) synced_bytes: Counter,
    pub(crate) scrub: ScrubMetrics,
    standing: tokio::sync::Mutex<Option<(Instant, Standing)>>,
}

impl Metrics {
    /// The same body, whose bytes are counted: as they leave, or at once if all of them are there.
    pub(crate) fn counted(self: &Arc<Self>, body: Body) -> Body {
        if let Some(bytes) = body.ready() {
            self.content_bytes.add(bytes);
            return body;
        }
        let metrics = Arc::clone(self);
        body.counted(move |bytes| metrics.content_bytes.add(bytes))
    }
}

impl Pulp {
    /// All metrics of this process, as text for Prometheus; its media type is [`TEXT`]. As with [`measure`](Self::measure).
    pub async fn metrics_text(&self) -> String {
        text(&self.measure().await)
    }

    /// All metrics of this process. While the database is away, what only that knows is left out, and `pulp_database_up` is 0.
    pub async fn measure(&self) -> Vec<Metric> {
        let mut all = Snapshot::default();
        let metrics = self.metrics();
        metrics.api.write(&mut all, "api_request_duration_milliseconds", "From a request of the API to the head of its answer.");
        metrics.content.write(&mut all, "content_request_duration_milliseconds", "From a request of content to the head of its answer.");
        all.single("pulp_content_bytes_total", Kind::Counter, "Bytes of content that were sent.", metrics.content_bytes.get());
        all.metric("pulp_content_cache_total", Kind::Counter, "Requests of content by whether their path was found without the database.");
        all.sample(&[("result", "hit")], metrics.cache_hits.get());
        all.sample(&[("result", "miss")], metrics.cache_misses.get());
        self.write_fetches(&mut all);
        metrics.tasks.write(&mut all);
        all.single("pulp_tasks_running_here", Kind::Gauge, "Tasks that this process runs now.", self.tasks().running_here());
        metrics.scrub.write(&mut all);
        self.write_storage(&mut all);
        let standing = self.standing().await;
        all.single("pulp_database_up", Kind::Gauge, "Whether the database answers.", u8::from(standing.is_some()));
        if let Some(standing) = standing {
            standing.write(&mut all);
        }
        process::write(&mut all);
        all.finish()
    }

    fn write_fetches(&self, all: &mut Snapshot) {
        let fetches = self.fetcher().figures();
        all.metric("pulp_lazy_fetches", Kind::Gauge, "Lazy files that are being fetched, or wait for that.");
        all.sample(&[("state", "running")], fetches.running);
        all.sample(&[("state", "waiting")], fetches.waiting);
        all.metric("pulp_lazy_fetches_total", Kind::Counter, "Fetches of lazy files that have ended.");
        all.sample(&[("result", "fetched")], fetches.fetched);
        all.sample(&[("result", "failed")], fetches.failed);
        all.metric("pulp_upstream_bytes_total", Kind::Counter, "Bytes of files that came from upstreams.");
        all.sample(&[("for", "lazy")], fetches.bytes);
        all.sample(&[("for", "sync")], self.metrics().synced_bytes.get());
        let help = "Upstream hosts that fail again and again, which one request at a time asks.";
        all.single("pulp_upstream_hosts_in_trouble", Kind::Gauge, help, self.hosts().in_trouble());
    }

    fn write_storage(&self, all: &mut Snapshot) {
        all.single("pulp_spool_bytes", Kind::Gauge, "Bytes that unfinished files of this process take.", self.spool().used());
        all.metric("pulp_database_connections", Kind::Gauge, "Connections to the database, by pool.");
        for pool in self.db().pools() {
            for (state, count) in [("used", pool.size.saturating_sub(pool.idle)), ("idle", pool.idle), ("max", pool.max)] {
                all.sample(&[("pool", pool.name), ("state", state)], count);
            }
        }
    }

    /// What the database says, or said a moment ago; nothing while it is away.
    async fn standing(&self) -> Option<Standing> {
        // Whoever comes while another asks waits for that answer.
        let mut kept = tokio::time::timeout(PATIENCE, self.metrics().standing.lock()).await.ok()?;
        if let Some((at, standing)) = kept.as_ref()
            && at.elapsed() < FRESH
        {
            return Some(standing.clone());
        }
        match tokio::time::timeout(PATIENCE, Standing::read(self)).await {
            Ok(Ok(standing)) => {
                *kept = Some((Instant::now(), standing.clone()));
                Some(standing)
            }
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "metrics lack what the database knows");
                None
            }
            Err(_) => None,
        }
    }
}
