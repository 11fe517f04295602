//! An administrator's command line for any Pulp server.
//!
//! The crate is a library so that a server with content types of its own can ship a command line of its own, and so
//! that tests can read what the command is made of. The binary is one call of [`main`].
//!
//! The flow goes one way: [`cli`](self) parses, a file in `commands` says what to ask the server, `resource` finds and
//! writes resources, `client` speaks HTTP, `output` prints. Standard output carries the answer and nothing else (JSON,
//! one document); progress, notes and errors go to standard error.

mod args;
mod cli;
mod client;
mod commands;
mod config;
mod context;
mod error;
mod list;
mod lookup;
mod operation;
mod output;
mod prn;
mod progress;
mod reference;
mod resource;
mod secret;
mod size;
mod specifier;
mod upload;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

pub use error::{Error, Result};

/// Runs the command line and gives its exit code: 0 for success, 1 for an error (told on standard error), 2 for wrong
/// usage, 130 when the user interrupted a wait.
///
/// `arguments` are those of the process, the name of the program first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with exit code 0. A closed pipe is no reason to fail.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    cli.main()
}

/// Runs a command that waits for a server.
fn run(command: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Error::Runtime(error)),
    };
    ended(runtime.block_on(async {
        tokio::select! {
            // First, so that a wait can say which task goes on without it.
            biased;
            result = command => result,
            () = interrupted() => Err(Error::Interrupted),
        }
    }))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// Waits for Ctrl-C; for ever if that cannot be heard.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn report(error: &Error) -> ExitCode {
    use std::io::Write as _;

    let _ = match error {
        // What the user asked for, so no "Error:" before it.
        Error::TimedOut { .. } | Error::Detached { .. } | Error::Interrupted | Error::Stopped => {
            writeln!(std::io::stderr(), "{error}")
        }
        _ => writeln!(std::io::stderr(), "Error: {error}"),
    };
    ExitCode::from(error.exit_code())
}
