//! Serving what was mirrored, with a whole server.

use pulp_core::Pulp;
use pulp_core::plugins::file::Repo;
use pulp_server::config::Config;

use super::report;
use crate::error::Result;
use crate::output;

/// Serves until Ctrl-C.
pub(super) async fn serve(pulp: &Pulp, config: &Config, repository: &Repo) -> Result<()> {
    let password = pulp_server::ensure_admin(pulp).await?;
    let (ready, origin) = tokio::sync::oneshot::channel();
    let scheme = if config.server.tls_files().is_some() { "https" } else { "http" };
    let announce = |address: std::net::SocketAddr| {
        // The receiver waits below.
        let _ = ready.send(format!("{scheme}://{address}"));
    };
    let told = async {
        let Ok(origin) = origin.await else { return Ok(()) };
        report::how_to_fetch(&origin, pulp, repository).await?;
        if let Some(path) = password {
            output::note(&format!("The API's user is admin; its password was made up and is in {}", path.display()));
        }
        output::note(&format!("Serving on {origin} until Ctrl-C."));
        Ok(())
    };
    let serving = async { Ok(pulp_server::serve(pulp, config, announce, crate::interrupted()).await?) };
    tokio::try_join!(serving, told).map(|_| ())
}
