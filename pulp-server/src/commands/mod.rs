//! One file a command.

mod check;
mod migrate;
mod openapi;
mod repository_size;
mod reset_admin_password;
mod rotate_db_key;
mod signing_services;

use pulp_core::PulpBuilder;

use crate::cli::{Command, ConfigCommand};
use crate::config::Config;
use crate::{Failure, log, open, serve};

/// Runs a command.
pub async fn run(command: Option<Command>, config: Config, extend: &impl Fn(PulpBuilder) -> PulpBuilder) -> Result<(), Failure> {
    if let Some(Command::Config(ConfigCommand::Show)) = command {
        print!("{}", config.show());
        return Ok(());
    }
    log::start(&config.server)?;
    let pulp = open(&config, extend).await?;
    match command {
        None | Some(Command::Serve) => serve::command(pulp, &config).await,
        Some(Command::Migrate) => migrate::exec(&pulp).await,
        Some(Command::Check) => check::exec(&pulp).await,
        Some(Command::Openapi(args)) => openapi::exec(&pulp, &args).await,
        Some(Command::ResetAdminPassword(args)) => reset_admin_password::exec(&pulp, args).await,
        Some(Command::RepositorySize(args)) => repository_size::exec(&pulp, &args).await,
        Some(Command::RotateDbKey) => rotate_db_key::exec(&pulp).await,
        Some(Command::AddSigningService(args)) => signing_services::add(&pulp, args).await,
        Some(Command::RemoveSigningService(args)) => signing_services::remove(&pulp, args).await,
        Some(Command::ListSigningServices) => signing_services::list(&pulp).await,
        Some(Command::Config(ConfigCommand::Show)) => Ok(()),
    }
}
