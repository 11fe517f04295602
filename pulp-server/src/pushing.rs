//! Metrics that are pushed to a collector as long as the process lives.

use std::time::Duration;

use pulp_core::Pulp;
use pulp_core::metrics::otlp::{OtlpError, OtlpExporter, OtlpOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// For the last push: a collector that is away must not hold the process.
const LAST: Duration = Duration::from_secs(2);

/// The task that does it.
#[derive(Debug)]
pub(crate) struct Pushing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Pushing {
    /// Starts as the environment says.
    pub(crate) fn start(pulp: &Pulp) -> Result<Self, OtlpError> {
        let options = OtlpOptions::read(|name| std::env::var(name).ok())?;
        tracing::info!(?options, "metrics are pushed to a collector");
        let exporter = OtlpExporter::new(pulp.clone(), options)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(exporter.run(async { drop(stopped.await) }));
        Ok(Self { stop, task })
    }

    /// Pushes a last time.
    pub(crate) async fn end(self) {
        drop(self.stop);
        let aborted = self.task.abort_handle();
        if tokio::time::timeout(LAST, self.task).await.is_err() {
            aborted.abort();
        }
    }
}
