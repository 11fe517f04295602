//! `pulp mirror`: the library inside the command. A source becomes a repository in a local directory, published and, if asked,
//! served; no server is needed.

mod report;
mod serve;
mod source;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pulp_core::Pulp;
use pulp_core::crypto::redact_url_text;
use pulp_core::model::Policy;
use pulp_core::plugins::file::{Files, Repo};
use pulp_server::config::{Config, ConfigBuilder};

use crate::args::switch;
use crate::error::{Error, Result};
use crate::output;
use source::{Place, Source};

/// Mirror a repository into a local directory, without a server
///
/// Makes or updates repository, remote, publication and distribution in a data directory, which `pulp-server --data-dir` can
/// serve as well. A second run fetches only what has changed, and makes a new version only if something has.
#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// What to mirror: the URL of a PULP_MANIFEST or of the directory that has one, or a local directory with or without one
    #[arg(value_name = "URL_OR_DIRECTORY")]
    source: String,
    /// The type of the content
    #[arg(long = "type", value_enum, default_value_t = ContentType::File, value_name = "TYPE")]
    content_type: ContentType,
    /// When files are fetched: now; when somebody asks for one, to be kept; or each time that somebody asks
    #[arg(long, value_enum, default_value_t = PolicyArg::Immediate)]
    policy: PolicyArg,
    /// The data directory, made if it is not there
    #[arg(long, value_name = "DIR", default_value = "pulp-data")]
    into: PathBuf,
    /// The name of the repository, under which it is served [default: the last part of the source's path]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    removal: Removal,
    /// Serve it afterwards, until Ctrl-C, with the API as well
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:24817", value_parser = address)]
    serve: Option<SocketAddr>,
}

switch!(
    /// What becomes of files that the source no longer has.
    Removal, "mirror", "additive", "Remove what the source no longer has from the new version [default]"
);

/// Types of content that can be mirrored.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ContentType {
    /// Plain files
    File,
}

/// See [`Policy`].
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum PolicyArg {
    Immediate,
    #[value(alias = "on-demand")]
    OnDemand,
    Streamed,
}

impl From<PolicyArg> for Policy {
    fn from(policy: PolicyArg) -> Self {
        match policy {
            PolicyArg::Immediate => Self::Immediate,
            PolicyArg::OnDemand => Self::OnDemand,
            PolicyArg::Streamed => Self::Streamed,
        }
    }
}

/// `ADDRESS:PORT`, or a port of the loopback interface.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    match port.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
        Err(_) => text.parse().map_err(|_| "must be ADDRESS:PORT like 127.0.0.1:24817, or a port alone".to_owned()),
    }
}

impl Mirror {
    /// Runs the command on a runtime of its own: hashing and serving want all processors.
    pub(crate) fn main(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(64).build() {
            Ok(runtime) => runtime,
            Err(error) => return crate::report(&Error::Runtime(error)),
        };
        let done = runtime.block_on(self.exec());
        // A thread that still reads a large file after Ctrl-C is not waited for.
        runtime.shutdown_background();
        crate::ended(done)
    }

    async fn exec(self) -> Result<()> {
        // The only type so far; another one goes another way from here.
        let ContentType::File = self.content_type;
        let source = Source::read(&self.source, &self.into)?;
        let config = config(&self, &source)?;
        let (pulp, repository) = tokio::select! {
            biased;
            mirrored = self.mirror(&source, &config) => mirrored?,
            () = crate::interrupted() => return Err(Error::Stopped),
        };
        match self.serve {
            Some(_) => serve::serve(&pulp, &config, &repository).await?,
            None => {
                report::how_to_serve(&self.source, &self.into, &source, self.policy.into())?;
                report::how_to_fetch("http://127.0.0.1:24817", &pulp, &repository).await?;
            }
        }
        pulp.db().close().await;
        Ok(())
    }

    async fn mirror(&self, source: &Source, config: &Config) -> Result<(Pulp, Repo)> {
        let made = tokio::fs::create_dir_all(&self.into).await;
        made.map_err(|source| Error::File { action: "make", path: self.into.clone(), source })?;
        let pulp = pulp_server::open(config, &|builder| builder).await?;
        let files = Files::of(&pulp);
        let name = self.name.as_deref().unwrap_or(&source.name);
        let url = source.url().to_string();
        if self.name.is_none()
            && let Some(other) = files.find_remote(name).await?
            && other.url != url
        {
            let (other, data) = (redact_url_text(&other.url), self.into.display());
            return Err(Error::usage(format!(
                "'{data}' has a mirror named '{name}' already, of {other}: choose another name with --name, or say --name {name} to point it at the new source"
            )));
        }
        let repository = files.repository(name).await?;
        let remote = files.remote(name, &url, self.policy.into()).await?;
        let login = source.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        let remote = files.sign_in(&remote, login).await?;

        output::note(&format!("Mirroring {} into {}", source.shown(), self.into.display()));
        let mirror = self.removal.get().unwrap_or(true);
        let meter = repository.meter();
        let sync = async {
            match source.place {
                Place::Manifest(_) => repository.sync(&remote, mirror).await,
                Place::Directory(_) => repository.sync_directory(&remote, mirror).await,
            }
        };
        let outcome = watch::watch(&meter, sync).await?;

        let published = repository.publication().await?.is_some();
        if !published {
            repository.publish().await?;
        }
        repository.distribute(name).await?;
        report::outcome(name, &repository, outcome.version.as_ref(), meter.read()).await?;
        Ok((pulp, repository))
    }
}

/// The configuration of a server on this data directory that may read the source.
fn config(mirror: &Mirror, source: &Source) -> Result<Config> {
    let text = |path: &Path| {
        let text = path.to_str().ok_or_else(|| Error::usage(format!("'{}': the name of the directory must be UTF-8", path.display())));
        text.map(str::to_owned)
    };
    let mut builder = ConfigBuilder::new();
    let wrong = |error: pulp_server::config::ConfigError| Error::usage(error.to_string());
    builder.flag("data_dir", text(&mirror.into)?).map_err(wrong)?;
    builder.flag("access_log", false).map_err(wrong)?;
    if let Some(address) = mirror.serve {
        builder.flag("listen", address.to_string()).map_err(wrong)?;
    }
    if let Some(directory) = source.directory() {
        builder.flag("allowed_import_paths", vec![text(directory)?]).map_err(wrong)?;
    }
    builder.build().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address("8080").unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(address(":0").unwrap(), "127.0.0.1:0".parse().unwrap());
        assert_eq!(address("0.0.0.0:80").unwrap(), "0.0.0.0:80".parse().unwrap());
        assert_eq!(address("[::1]:80").unwrap(), "[::1]:80".parse().unwrap());
        assert!(address("./directory").unwrap_err().contains("ADDRESS:PORT"));
    }
}
