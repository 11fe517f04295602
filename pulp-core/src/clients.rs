//! How remotes are reached: one client per remote, kept as long as the remote does not change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::crypto::{Fernet, Secret};
use crate::download::{DeniedNetworks, Downloaders, FileDownloader, Hosts, RemoteOptions, RetryPolicy, Timeouts};
use crate::model::Remote;
use crate::{Error, Result};

/// How one remote is reached: connections and limits, shared by everything that fetches from it.
#[derive(Debug, Clone)]
pub struct RemoteClient {
    /// Fetches, with the remote’s options and within its limits.
    pub downloaders: Arc<Downloaders>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Downloads at the same time.
    pub concurrency: usize,
}

/// What all remotes of a process have in common.
#[derive(Debug)]
pub(crate) struct Reach {
    /// Local files.
    pub files: FileDownloader,
    /// What must not be reached.
    pub denied_networks: DeniedNetworks,
    /// What is known of those that are.
    pub hosts: Hosts,
}

/// The clients of the remotes that were used lately.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<HashMap<Uuid, (Option<Timestamp>, RemoteClient)>>);

/// A client holds connections; with more remotes than this in use, idle ones are built anew.
const KEPT: usize = 512;

impl Clients {
    /// The client of a remote, made if there is none, or one for the remote as it was before a change.
    pub fn of(&self, remote: &Remote, keys: &Fernet, reach: &Reach) -> Result<RemoteClient> {
        let mut clients = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((changed, client)) = clients.get(&remote.pulp_id)
            && *changed == remote.pulp_last_updated
        {
            return Ok(client.clone());
        }
        let options =
            RemoteOptions { denied_networks: reach.denied_networks.clone(), hosts: reach.hosts.clone(), ..options(remote, keys)? };
        let client = RemoteClient {
            downloaders: Arc::new(Downloaders::new(&options, reach.files.clone())?),
            retry: RetryPolicy::of(&options),
            concurrency: options.concurrency(),
        };
        if clients.len() >= KEPT {
            clients.clear();
        }
        clients.insert(remote.pulp_id, (remote.pulp_last_updated, client.clone()));
        Ok(client)
    }
}

/// A row’s fetch options, its secrets decrypted.
fn options(remote: &Remote, keys: &Fernet) -> Result<RemoteOptions> {
    let decrypt = |name: &str, column: &Option<String>| -> Result<Option<Secret>> {
        let Some(token) = column.as_deref().filter(|token| !token.is_empty()) else { return Ok(None) };
        keys.decrypt_text(token)
            .map(Some)
            .map_err(|error| Error::Internal(format!("the {name} of remote \"{}\" cannot be decrypted: {error}", remote.name)))
    };
    Ok(RemoteOptions {
        client_cert: remote.client_cert.clone(),
        client_key: decrypt("client_key", &remote.client_key)?,
        ca_cert: remote.ca_cert.clone(),
        tls_validation: remote.tls_validation,
        proxy_url: remote.proxy_url.clone().filter(|url| !url.is_empty()).map(Secret::from),
        proxy_username: decrypt("proxy_username", &remote.proxy_username)?,
        proxy_password: decrypt("proxy_password", &remote.proxy_password)?,
        username: decrypt("username", &remote.username)?,
        password: decrypt("password", &remote.password)?,
        headers: headers(remote.headers.as_deref()),
        download_concurrency: remote.download_concurrency.and_then(|n| usize::try_from(n).ok()),
        rate_limit: remote.rate_limit.and_then(|n| u32::try_from(n).ok()),
        max_retries: remote.max_retries.and_then(|n| u32::try_from(n).ok()),
        timeouts: Timeouts::from_seconds(
            remote.total_timeout,
            remote.connect_timeout,
            remote.sock_connect_timeout,
            remote.sock_read_timeout,
        )?,
        ..RemoteOptions::default()
    })
}

/// Pulp stores headers as a list of objects, each with one name or several.
fn headers(column: Option<&Json>) -> Vec<(String, Secret)> {
    let objects = column.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object);
    objects.flatten().filter_map(|(name, value)| Some((name.clone(), Secret::from(value.as_str()?.to_owned())))).collect()
}
