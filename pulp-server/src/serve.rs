//! The server’s life: open, announce, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pulp_core::Pulp;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Role};
use crate::http::{self, Limits};
use crate::{Failure, Router, admin};

/// Serves the roles of the configuration until `stop` is ready; then lets requests and tasks end.
///
/// `ready` is called with the address once requests are answered.
///
/// # Errors
/// If the address cannot be listened on, or the database fails at the start.
pub async fn serve(pulp: &Pulp, config: &Config, ready: impl FnOnce(SocketAddr), stop: impl Future<Output = ()>) -> std::io::Result<()> {
    let server = &config.server;
    let listens = server.has(Role::Api) || server.has(Role::Content);
    let apps =
        pulp.start_apps(server.has(Role::Api), server.has(Role::Content), server.has(Role::Worker)).await.map_err(std::io::Error::other)?;
    if listens {
        let listener = http::bind(server.listen).await?;
        ready(listener.local_addr()?);
        let limits = Limits {
            header_read_timeout: Duration::from_secs(server.header_read_timeout),
            shutdown_timeout: Duration::from_secs(server.shutdown_timeout),
            access_log: server.access_log,
        };
        http::serve(listener, Arc::new(Router::new(pulp, server)), limits, stop).await;
    } else {
        ready(server.listen);
        stop.await;
    }
    apps.stop().await;
    Ok(())
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
        let origin = format!("http://{address}");
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
    pulp.db().close().await;
    Ok(())
}
