//! From a configuration to a [`Pulp`].

use std::sync::Arc;
use std::time::Duration;

use pulp_core::db::DbOptions;
use pulp_core::storage::{LocalOptions, LocalStorage, Storage};
#[cfg(feature = "s3")]
use pulp_core::storage::{S3Options, S3Storage};
use pulp_core::{Error, Pulp, PulpBuilder, Result};
use url::Url;

use crate::config::{Config, Server};

/// How long a transaction may be open with nobody at work in it, at least and at most.
const IDLE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Opens what the configuration names; `extend` may add to it.
///
/// # Errors
/// If database or storage cannot be opened, or the address of the storage is not understood.
pub async fn open(config: &Config, extend: &impl Fn(PulpBuilder) -> PulpBuilder) -> Result<Pulp> {
    let server = &config.server;
    let mut database = DbOptions::default();
    database.max_connections = server.database_connections;
    database.sqlite_full_sync = server.database_full_sync;
    // A process that is missed must not hold locks for much longer; and who is only slow should not lose its work.
    let lifetime = Duration::from_secs(config.settings.worker_ttl.unsigned_abs());
    database.idle_transaction = lifetime.clamp(IDLE.0, IDLE.1);
    let mut builder = Pulp::builder().data_dir(&server.data_dir).settings(config.settings.clone()).database_options(database);
    if let Some(url) = &server.database {
        builder = builder.database(url);
    }
    if let Some(url) = &server.storage {
        let spool = server.data_dir.join("spool");
        builder = match storage(server, url).await? {
            Opened::Local(local) => {
                let beside = local.spool_dir();
                builder.storage(Arc::new(local), beside)
            }
            Opened::Remote(remote) => builder.storage(remote, spool),
        };
    }
    extend(builder).build().await
}

enum Opened {
    Local(LocalStorage),
    #[cfg_attr(not(feature = "s3"), allow(dead_code))]
    Remote(Arc<dyn Storage>),
}

async fn storage(server: &Server, url: &str) -> Result<Opened> {
    let wrong = |reason: &str| Error::Setting { name: "storage".to_owned(), reason: reason.to_owned() };
    let parsed = Url::parse(url).map_err(|_| wrong("it must read like file:///srv/pulp or s3://bucket/prefix"))?;
    match parsed.scheme() {
        "file" => {
            let path = parsed.to_file_path().map_err(|()| wrong("a file URL needs an absolute path: file:///srv/pulp"))?;
            Ok(Opened::Local(LocalStorage::open(path, LocalOptions::default()).await?))
        }
        "s3" => s3(server, &parsed).await,
        _ => Err(wrong("only the schemes file and s3 are known")),
    }
}

#[cfg(not(feature = "s3"))]
async fn s3(_: &Server, _: &Url) -> Result<Opened> {
    Err(Error::Setting { name: "storage".to_owned(), reason: "this binary was built without the feature s3".to_owned() })
}

#[cfg(feature = "s3")]
async fn s3(server: &Server, url: &Url) -> Result<Opened> {
    let wrong = |name: &str, reason: &str| Error::Setting { name: name.to_owned(), reason: reason.to_owned() };
    let bucket = url.host_str().ok_or_else(|| wrong("storage", "it names no bucket: s3://bucket/prefix"))?;
    let mut options = S3Options::new(bucket).prefix(url.path().trim_matches('/'));
    for (key, value) in &server.storage_options {
        let name = format!("storage_options.{key}");
        match key.as_str() {
            "endpoint" => options = options.endpoint(Url::parse(value).map_err(|_| wrong(&name, "it must be a URL"))?),
            "region" => options.region = Some(value.clone()),
            "access_key_id" => options.access_key = Some(value.clone().into()),
            "secret_access_key" => options.secret_key = Some(value.clone().into()),
            "session_token" => options.session_token = Some(value.clone().into()),
            "virtual_hosted_style" => options.virtual_hosted = value.parse().map_err(|_| wrong(&name, "it must be true or false"))?,
            _ => {
                let known = "endpoint, region, access_key_id, secret_access_key, session_token, virtual_hosted_style";
                return Err(wrong(&name, &format!("there is no such option; known are {known}")));
            }
        }
    }
    Ok(Opened::Remote(Arc::new(S3Storage::open(options)?)))
}
