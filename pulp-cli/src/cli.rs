//! The command line as a whole: what stands before the command, and which commands there are.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args, Parser};

use crate::args::switch;
use crate::client::Client;
use crate::commands;
use crate::config::{self, Profile};
use crate::context::Context;
use crate::error::Result;
use crate::output::Format;
use crate::size::Size;

/// Files above this size are uploaded in pieces of it, unless the settings say otherwise: a proxy before a Pulp server
/// commonly takes ten megabytes at once.
const CHUNK_SIZE: u64 = 8_000_000;

/// Administer a Pulp server
///
/// Settings come from /etc/pulp/cli.toml, ~/.config/pulp/cli.toml and the file that PULP_CLI_CONFIG names, and from the
/// options before the command, which win.
#[derive(Debug, Parser)]
#[command(name = "pulp", version, max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: commands::Command,
}

switch!(
    /// Whether certificates are checked.
    VerifySsl, "verify-ssl", "no-verify-ssl", "Check the server's certificate"
);
switch!(
    /// Whether anything may be changed.
    DryRun, "dry-run", "force", "Make no call that changes something: stop with an error before it"
);

/// Settings that `config create` takes as well.
#[derive(Debug, Args)]
pub(crate) struct SettingArgs {
    /// Scheme, host and port of the server, like https://pulp.example.org
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Path below which the API lies [default: /pulp/]
    #[arg(long, value_name = "PATH")]
    api_root: Option<String>,
    /// Domain to work in, on a server that has domains
    #[arg(long)]
    domain: Option<String>,
    /// Header for every call, written name:value; may be repeated
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Name of the user to sign in as
    #[arg(long)]
    username: Option<String>,
    /// Password of the user; better kept in the settings file, others can see it here
    #[arg(long, allow_hyphen_values = true)]
    password: Option<String>,
    /// PEM file with the certificate to sign in with, and perhaps its key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["username", "password"])]
    cert: Option<PathBuf>,
    /// PEM file with the key of the certificate
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    verify_ssl: VerifySsl,
    /// How answers are printed [default: json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Upload files above this size in pieces of it, like 1MB [default: 8MB]
    #[arg(long, value_name = "SIZE")]
    chunk_size: Option<Size>,
    #[command(flatten)]
    dry_run: DryRun,
    /// Seconds to wait for a task, 0 for as long as it takes [default: 0]
    #[arg(long, short = 'T', value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Tell about every call: -v its URL, -vv the headers, -vvv the bodies (without secrets)
    #[arg(long, short, action = ArgAction::Count)]
    verbose: u8,
    /// Version of the API; there is v3
    #[arg(long, hide = true)]
    api_version: Option<String>,
}

impl SettingArgs {
    /// The settings that were given.
    pub(crate) fn profile(&self) -> Profile {
        Profile {
            base_url: self.base_url.clone(),
            api_root: self.api_root.clone(),
            domain: self.domain.clone(),
            headers: Some(self.header.clone()).filter(|list| !list.is_empty()),
            username: self.username.clone(),
            password: self.password.as_deref().map(Into::into),
            cert: self.cert.clone(),
            key: self.key.clone(),
            verify_ssl: self.verify_ssl.get(),
            format: self.format,
            chunk_size: self.chunk_size,
            dry_run: self.dry_run.get(),
            timeout: self.timeout,
            verbose: Some(self.verbose).filter(|count| *count > 0),
            api_version: self.api_version.clone(),
            ..Profile::default()
        }
    }
}

#[derive(Debug, Args)]
struct Global {
    /// Settings file to use in place of the usual ones
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Profile of the settings to use: the table [cli-NAME]
    #[arg(long, short, value_name = "NAME", env = "PULP_CLI_PROFILE")]
    profile: Option<String>,
    #[command(flatten)]
    settings: SettingArgs,
    /// Start tasks and do not wait for them
    #[arg(long, short)]
    background: bool,
    /// Correlation id to send with every call: 32 hexadecimal digits
    #[arg(long, value_name = "ID")]
    cid: Option<String>,
    /// Without meaning, for scripts of the Python client: nothing of the API document is kept
    #[arg(long, hide = true)]
    refresh_api: bool,
}

impl Global {
    fn context(self) -> Result<Context> {
        let flags = self.settings.profile();
        let mut profile = config::load(self.config.as_deref(), self.profile.as_deref())?;
        // A certificate of the flags stands in place of a password of the file, and the other way round.
        if flags.cert.is_some() {
            profile.username = None;
            profile.password = None;
        } else if flags.username.is_some() {
            profile.cert = None;
            profile.key = None;
            // Another user's password is of no use.
            if flags.username != profile.username {
                profile.password = None;
            }
        }
        let profile = profile.overlaid(flags);
        Ok(Context {
            client: Client::new(&profile, self.cid)?,
            format: profile.format.unwrap_or_default(),
            background: self.background,
            timeout: profile.timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs),
            chunk_size: profile.chunk_size.or(Size::bytes(CHUNK_SIZE)),
            quiet: false,
        })
    }
}

impl Cli {
    /// Does what the command line says, and gives the exit code.
    pub(crate) fn main(self) -> ExitCode {
        match self.command {
            commands::Command::Local(command) => crate::ended(command.exec()),
            #[cfg(feature = "embedded")]
            commands::Command::Embedded(command) => command.main(),
            commands::Command::Remote(command) => crate::run(async { command.exec(&self.global.context()?).await }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
