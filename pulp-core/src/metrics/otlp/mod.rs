//! Metrics for an OpenTelemetry collector: pushed at intervals, as OTLP over HTTP in binary Protocol Buffers.
//!
//! The variables of the environment that say where to, and how often, are those of the
//! [OpenTelemetry specification](https://opentelemetry.io/docs/specs/otel/protocol/exporter/); see [`OtlpOptions::read`].

mod message;
mod options;

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, HeaderValue};

pub use options::{OtlpError, OtlpOptions};

use crate::Pulp;
use crate::download::{PostClient, RemoteOptions, Timeouts};
use message::{Span, message};

/// So much of what a collector answers is told when it refuses.
const TOLD: usize = 1_000;

/// Pushes the metrics of one process.
#[derive(Debug)]
pub struct OtlpExporter {
    pulp: Pulp,
    options: OtlpOptions,
    client: PostClient,
    began: SystemTime,
    /// Whether the last push failed; what repeats itself is not told again.
    failing: bool,
}

impl OtlpExporter {
    /// Makes one; nothing is pushed yet.
    ///
    /// # Errors
    /// [`OtlpError::Client`], if there can be no HTTP client.
    pub fn new(pulp: Pulp, options: OtlpOptions) -> Result<Self, OtlpError> {
        let timeouts = Timeouts { total: Some(options.timeout), ..Timeouts::default() };
        let client = PostClient::new(&RemoteOptions { timeouts, ..RemoteOptions::default() }).map_err(OtlpError::Client)?;
        Ok(Self { pulp, options, client, began: SystemTime::now(), failing: false })
    }

    /// Pushes at intervals until `stop` is ready, and then once more, so that the end is told, too.
    ///
    /// A push that fails is written to the log, and lost: the numbers of the next one include it.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + self.options.interval, self.options.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.push_and_tell().await,
                () = &mut stop => break,
            }
        }
        self.push_and_tell().await;
    }

    async fn push_and_tell(&mut self) {
        let pushed = self.push().await;
        match &pushed {
            Ok(()) if self.failing => tracing::info!("the collector takes metrics again"),
            Err(error) if !self.failing => tracing::warn!(%error, "metrics could not be pushed; this is not told again until it changes"),
            _ => {}
        }
        self.failing = pushed.is_err();
    }

    /// Pushes the numbers of this moment.
    ///
    /// # Errors
    /// [`OtlpError::Push`], if the collector cannot be reached, and [`OtlpError::Refused`], if it does not take them.
    pub async fn push(&self) -> Result<(), OtlpError> {
        let nanoseconds = |at: SystemTime| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        };
        let span = Span { from: nanoseconds(self.began), to: nanoseconds(SystemTime::now()) };
        let body = message(&self.pulp.measure().await, &self.options.resource, span);
        let mut headers = self.options.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let (status, answer) = self.client.post(&self.options.endpoint, headers, body, TOLD).await.map_err(OtlpError::Push)?;
        if status.is_success() {
            return Ok(());
        }
        // Binary, mostly, with a text in it.
        let said: String =
            String::from_utf8_lossy(&answer).chars().filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER).collect();
        Err(OtlpError::Refused { status, said })
    }
}
