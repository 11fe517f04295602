//! The server’s life: open, announce, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pulp_core::Pulp;
use pulp_core::tasks::{AppRole, Workers};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::config::{Config, Role};
use crate::http::{self, Answer, Limits};
use crate::metrics::Metrics;
use crate::tls::{Tls, TlsError};
use crate::{Failure, Router, admin};

/// How long connections to the database may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Time between two looks at the files of the certificate.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(10);

/// Why serving did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] std::io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Metrics cannot be pushed.
    #[cfg(feature = "opentelemetry")]
    #[error(transparent)]
    Otlp(#[from] pulp_core::metrics::otlp::OtlpError),
    /// The library failed.
    #[error(transparent)]
    Pulp(#[from] pulp_core::Error),
}

/// Serves the roles of the configuration until `stop` is ready; then lets requests and tasks end.
///
/// `ready` is called with the address once requests are answered.
///
/// # Errors
/// If the address cannot be listened on, the certificate cannot be used, or the database fails at the start.
pub async fn serve(pulp: &Pulp, config: &Config, ready: impl FnOnce(SocketAddr), stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let server = &config.server;
    let listens = server.has(Role::Api) || server.has(Role::Content);
    // Before anything shows this process as online: a taken port or a wrong certificate must leave no trace.
    let tls = server.tls_files().filter(|_| listens).map(|(certificate, key)| Tls::new(certificate, key)).transpose()?;
    let listener = if listens { Some(http::bind(server.listen).await?) } else { None };
    let limits = Limits {
        header_read_timeout: Duration::from_secs(server.header_read_timeout),
        shutdown_timeout: Duration::from_secs(server.shutdown_timeout),
        access_log: server.access_log,
        certificate_check: CERTIFICATE_CHECK,
    };
    let _metrics = match server.metrics_listen.zip(Metrics::new(pulp, server.metrics)) {
        Some((address, metrics)) => Some(Beside::start(http::bind(address).await?, metrics, limits)),
        None => None,
    };
    #[cfg(feature = "opentelemetry")]
    let pushing = if server.otel_enabled { Some(crate::pushing::Pushing::start(pulp)?) } else { None };
    let mut presences = Vec::new();
    for (role, app) in [(Role::Api, AppRole::Api), (Role::Content, AppRole::Content)] {
        if server.has(role) {
            presences.push(pulp.tasks().appear(app).await?);
        }
    }
    let workers = if server.has(Role::Worker) { Some(Workers::start(pulp, pulp.settings().worker_slots).await?) } else { None };
    if let Some(listener) = listener {
        ready(listener.local_addr()?);
        let stop = async {
            stop.await;
            pulp.tasks().stop_following();
        };
        http::serve(listener, tls, Arc::new(Router::new(pulp, server)), limits, stop).await;
    } else {
        ready(server.listen);
        stop.await;
    }
    pulp.flush_audit().await;
    if let Some(workers) = workers {
        workers.drain().await;
    }
    #[cfg(feature = "opentelemetry")]
    if let Some(pushing) = pushing {
        pushing.end().await;
    }
    for presence in presences {
        presence.leave().await;
    }
    Ok(())
}

/// A listener beside the one of API and content, as long as the process lives: what it answers can be read until the last task has ended.
struct Beside(JoinHandle<()>);

impl Beside {
    fn start(listener: TcpListener, answer: impl Answer, limits: Limits) -> Self {
        Self(tokio::spawn(http::serve(listener, None, Arc::new(answer), limits, std::future::pending())))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The command: serves until SIGTERM or SIGINT; a second signal ends the process at once.
pub(crate) async fn command(pulp: Pulp, config: &Config) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: open requests and running tasks get time to end; a second signal ends them at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(130);
        });
    };
    let password = if config.server.has(Role::Api) { admin::ensure(&pulp).await? } else { None };
    let announce = |address: SocketAddr| {
        let scheme = if config.server.tls_files().is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{address}");
        println!("Pulp is ready.");
        if config.server.has(Role::Api) {
            println!("  API      {origin}{}", pulp.hrefs().base("default"));
            println!("  docs     {origin}{}docs/", pulp.hrefs().base("default"));
        }
        if config.server.has(Role::Content) {
            println!("  content  {origin}{}", pulp.settings().content_path_prefix);
        }
        if config.server.has(Role::Worker) {
            println!("  workers  {} slots", pulp.settings().worker_slots);
        }
        if let Some(path) = &password {
            println!("  user     admin, whose password was made up and is in {}", path.display());
        }
    };
    serve(&pulp, config, announce, stop).await?;
    // A request that did not end in its time may still hold a connection: it must not hold the process.
    if tokio::time::timeout(CLOSING, pulp.db().close()).await.is_err() {
        tracing::warn!("connections to the database were still in use at the end");
    }
    Ok(())
}
