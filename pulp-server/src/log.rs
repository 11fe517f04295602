//! Log lines on the standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

use crate::Failure;
use crate::config::{LogFormat, Server};

/// PostgreSQL says of every table that is there already that it is.
const QUIET: &str = "sqlx::postgres::notice=warn";

/// Starts to write log lines. A second call, as in a test, changes nothing.
pub fn start(server: &Server) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", server.log_level))
        .map_err(|error| Failure(format!("log_level: {error}; use a level such as info, or info,pulp_core=debug")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_timer(ChronoUtc::rfc_3339());
    let started = match server.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "log lines are written already");
    }
    Ok(())
}
