//! From a configuration to a [`Pulp`].

use std::sync::Arc;

use pulp_core::db::DbOptions;
use pulp_core::storage::{LocalOptions, LocalStorage, Storage};
use pulp_core::{Error, Pulp, PulpBuilder, Result};
use url::Url;

use crate::config::{Config, Server};

/// Opens what the configuration names; `extend` may add to it.
///
/// # Errors
/// If database or storage cannot be opened, or the address of the storage is not understood.
pub async fn open(config: &Config, extend: &impl Fn(PulpBuilder) -> PulpBuilder) -> Result<Pulp> {
    let server = &config.server;
    let mut database = DbOptions::default();
    database.max_connections = server.database_connections;
    database.sqlite_full_sync = server.database_full_sync;
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
