//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pulp_core::crypto::{KeyBackend, SIGNING_CLASSES};
use toml::Value;

use crate::config::{Config, ConfigBuilder, ConfigError};

/// Pulp: mirror, version, publish and serve repositories of software packages.
///
/// Without a command it serves: REST API, content and workers on one port, with a SQLite database and files in ./pulp-data.
#[derive(Debug, Parser)]
#[command(name = "pulp-server", version)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that set a key of the configuration; every other key is set in the file or by `PULP_<KEY>`.
#[derive(Debug, Args)]
struct Flags {
    /// Configuration file (TOML); `pulp.toml` in the working directory is read if it is there
    #[arg(long, short, global = true, value_name = "FILE", env = "PULP_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of database, artifacts and keys
    #[arg(long, short = 'd', global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Database address: postgres://… or sqlite:///…
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// Where artifacts lie: file:///… or s3://bucket/prefix
    #[arg(long, global = true, value_name = "URL")]
    storage: Option<String>,
    /// Address and port of API and content
    #[arg(long, short, global = true, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// What this process does: any of api, content, worker
    #[arg(long, global = true, value_name = "ROLES", value_delimiter = ',')]
    roles: Option<Vec<String>>,
    /// Tasks that run at the same time
    #[arg(long, global = true, value_name = "N")]
    worker_slots: Option<u16>,
    /// Scheme, host and port of content URLs
    #[arg(long, global = true, value_name = "URL")]
    content_origin: Option<String>,
    /// Which log lines to write
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve (the default)
    Serve,
    /// Bring the database up to date and stop
    Migrate,
    /// Check configuration, database and storage, and stop
    Check,
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document
    Openapi(OpenapiArgs),
    /// Set the password of the user admin, who is made if missing
    ResetAdminPassword(PasswordArgs),
    /// Print how much room the files of repositories take, as JSON
    RepositorySize(RepositorySizeArgs),
    /// Encrypt the secrets in the database anew, with the first key of the key file
    RotateDbKey,
    /// Add a signing service, after it has signed something that its public key verifies
    AddSigningService(AddSigningServiceArgs),
    /// Remove a signing service
    RemoveSigningService(RemoveSigningServiceArgs),
    /// List the names of the signing services
    ListSigningServices,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every key with its value and where it was set
    Show,
}

#[derive(Debug, Args)]
pub struct OpenapiArgs {
    /// Only this component: core, file…
    #[arg(long)]
    pub component: Option<String>,
    /// For code generators: with keys instead of hrefs where they ask for them
    #[arg(long)]
    pub bindings: bool,
    /// Paths with keys in place of hrefs
    #[arg(long)]
    pub pk_path: bool,
}

#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// The password; without it one is read from the standard input
    #[arg(long, short, conflicts_with = "random")]
    pub password: Option<String>,
    /// Make one up and print it
    #[arg(long)]
    pub random: bool,
}

#[derive(Debug, Args)]
pub struct RepositorySizeArgs {
    /// Hrefs or PRNs of repositories, joined by commas; without them all
    #[arg(long, value_name = "HREFS", value_delimiter = ',', conflicts_with = "domain")]
    pub repositories: Vec<String>,
    /// All repositories of this domain
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// Also of each version
    #[arg(long)]
    pub include_versions: bool,
    /// Also of files that are not stored, as their sources tell
    #[arg(long)]
    pub include_on_demand: bool,
}

#[derive(Debug, Args)]
pub struct AddSigningServiceArgs {
    /// Name of the service
    pub name: String,
    /// Program that signs a file and prints where the signature is
    pub script: PathBuf,
    /// Key id or fingerprint of the public key
    pub key: String,
    /// Kind of the service: the component's label, a colon, the class
    #[arg(long, value_name = "CLASS", default_value = SIGNING_CLASSES[0])]
    pub class: String,
    /// Program that keeps the key: gpg or sq
    #[arg(long, default_value = "gpg")]
    pub backend: KeyBackend,
    /// Where that program keeps its keys, if not at its usual place
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// The same as --home, under its old name
    #[arg(long, value_name = "DIR", conflicts_with = "home")]
    pub gnupghome: Option<PathBuf>,
    /// Keyring of gpg, if not the usual one
    #[arg(long, value_name = "NAME")]
    pub keyring: Option<String>,
}

#[derive(Debug, Args)]
pub struct RemoveSigningServiceArgs {
    /// Name of the service
    pub name: String,
    /// Kind of the service
    #[arg(long, value_name = "CLASS", default_value = SIGNING_CLASSES[0])]
    pub class: String,
}

impl Cli {
    /// File, environment and flags, in rising order of precedence.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut builder = ConfigBuilder::new();
        let here = PathBuf::from("pulp.toml");
        match &self.flags.config {
            Some(path) => {
                builder.file(path)?;
            }
            None if here.is_file() => {
                builder.file(&here)?;
            }
            None => {}
        }
        builder.environment(std::env::vars())?;
        let flags = &self.flags;
        let texts = [
            ("data_dir", &flags.data_dir),
            ("database", &flags.database),
            ("storage", &flags.storage),
            ("listen", &flags.listen),
            ("content_origin", &flags.content_origin),
            ("log_level", &flags.log_level),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                builder.flag(key, text.clone())?;
            }
        }
        if let Some(roles) = &flags.roles {
            builder.flag("roles", Value::Array(roles.iter().cloned().map(Value::String).collect()))?;
        }
        if let Some(slots) = flags.worker_slots {
            builder.flag("worker_slots", i64::from(slots))?;
        }
        builder.build()
    }
}
