//! Pulp in one process: REST API, content and workers, or any subset of them, on top of [`pulp_core`].
//!
//! The binary is one call of [`main_with`]. A server with content types of its own is as short:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     pulp_server::main_with(|builder| builder)
//! }
//! ```

mod admin;
mod cli;
mod commands;
pub mod config;
mod cores;
pub mod http;
mod log;
mod metrics;
mod open;
#[cfg(feature = "opentelemetry")]
mod pushing;
mod rest;
mod router;
mod sendfile;
mod serve;
mod spelling;
mod swift;
pub mod tls;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use pulp_core::PulpBuilder;

pub use admin::ensure as ensure_admin;
pub use open::open;
pub use router::Router;
pub use serve::{ServeError, serve};

/// How long blocking work may take to end once all else has.
const LAST_THREADS: Duration = Duration::from_secs(5);

/// Runs the server’s command line with whatever `extend` adds to the library: plugins, say.
///
/// Gives the exit code: 0, or 1 after an error that has been printed.
pub fn main_with(extend: impl Fn(PulpBuilder) -> PulpBuilder) -> ExitCode {
    main_of(std::env::args_os().skip(1), extend)
}

/// The same with these arguments (without the program’s name), for a program that is more than a server.
pub fn main_of(arguments: impl IntoIterator<Item = OsString>, extend: impl Fn(PulpBuilder) -> PulpBuilder) -> ExitCode {
    let cli = cli::Cli::parse_from(std::iter::once(OsString::from("pulp-server")).chain(arguments));
    let outcome = cli.config().map_err(Failure::from).and_then(|config| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            // Each thread has a stack: files are read and hashed by few at a time.
            .max_blocking_threads(64)
            .thread_keep_alive(Duration::from_secs(10))
            .build()
            .map_err(|error| Failure(format!("the async runtime does not start: {error}")))?;
        let outcome = runtime.block_on(commands::run(cli.command, config, &extend));
        // A thread that waits for a disk or a network file system must not hold the process.
        runtime.shutdown_timeout(LAST_THREADS);
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            eprintln!("pulp-server: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, for a person.
#[derive(Debug)]
pub(crate) struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            let text = inner.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = inner.source();
        }
        Self(message)
    }
}
