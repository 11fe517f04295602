//! Many processes on one machine, as they would be on many: `cargo run -p pulp-testkit --example cluster`.
//!
//! Starts two processes that answer the API, two that serve content and three workers (`--api N`, `--content N`, `--workers N`), one
//! PostgreSQL and one S3 server, behind a round-robin proxy on one port (`--port N`), prints the address, and stops all of them in good
//! order upon Ctrl-C or SIGTERM. The user is `admin`, with the password `password`. The server's binary must be there: `cargo build -p
//! pulp-server`, or `--server PATH`. All data are gone at the end.

use std::path::PathBuf;
use std::process::ExitCode;

use pulp_testkit::Cluster;
use pulp_testkit::cluster::Sizes;
use tokio::signal::unix::{SignalKind, signal};

struct Options {
    server: PathBuf,
    sizes: Sizes,
    port: u16,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        // Examples are in a directory below that of the binaries.
        let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.parent()?.join("pulp-server")));
        let mut options = Self { server: beside.unwrap_or_default(), sizes: Sizes::default(), port: 0 };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number = || value.parse::<u16>().map_err(|_| format!("{name} needs a number, not {value}"));
            match name.as_str() {
                "--server" => options.server = PathBuf::from(&value),
                "--port" => options.port = number()?,
                "--api" => options.sizes.api = number()?.into(),
                "--content" => options.sizes.content = number()?.into(),
                "--workers" => options.sizes.workers = number()?.into(),
                _ => return Err(format!("{name} is not known; known are --server, --port, --api, --content, --workers")),
            }
        }
        if !options.server.is_file() {
            return Err(format!(
                "there is no {}: run `cargo build -p pulp-server`, or name the binary with --server",
                options.server.display()
            ));
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        _ => return ExitCode::FAILURE,
    };
    let Some(cluster) = Cluster::start(options.server, options.sizes, options.port).await else { return ExitCode::FAILURE };
    println!("{}", cluster.url());
    println!("user admin, password password; Ctrl-C stops all");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    cluster.stop().await;
    ExitCode::SUCCESS
}
