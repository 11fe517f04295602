//! Files that alternate content sources have: asked first, by digest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use url::Url;
use uuid::Uuid;

use super::SyncContext;
use crate::Result;
use crate::clients::RemoteClient;
use crate::db::{ExecutorExt, Sql};
use crate::digest::Algorithm;
use crate::model::Remote;
use crate::tasks::LogLevel;

/// After so many failures in a row a source is left alone for the rest of the sync.
const PATIENCE: u32 = 3;

/// The alternate content sources of a domain, as one sync sees them.
pub(super) struct Alternates(HashMap<Uuid, Arc<AlternateSource>>);

/// One of them.
#[derive(Debug)]
pub(super) struct AlternateSource {
    pub(super) name: String,
    pub(super) client: RemoteClient,
    failures: AtomicU32,
}

impl AlternateSource {
    /// Whether it is worth asking.
    pub(super) fn is_usable(&self) -> bool {
        self.failures.load(Ordering::Relaxed) < PATIENCE
    }

    /// Notes how asking it went.
    pub(super) fn note(&self, success: bool) {
        if success {
            self.failures.store(0, Ordering::Relaxed);
        } else {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A file at an alternate content source.
#[derive(Debug, Clone)]
pub(super) struct Alternate {
    pub(super) source: Arc<AlternateSource>,
    pub(super) url: Url,
}

impl Alternates {
    /// Those of the sync’s domain, but its own remote.
    pub(super) async fn of(cx: &SyncContext) -> Result<Self> {
        let sql = Sql::new(
            "select r.* from core_remote r where r.pulp_domain_id = $1 and r.pulp_id <> $2 \
             and r.pulp_id in (select remote_id from core_alternatecontentsource where pulp_domain_id = $1)",
        );
        let remotes: Vec<Remote> = cx.pulp().db().all(sql.bind(cx.task().domain().pulp_id).bind(cx.remote().pulp_id)).await?;
        let mut sources = HashMap::with_capacity(remotes.len());
        for remote in remotes {
            match cx.pulp().client(&remote) {
                Ok(client) => {
                    let source = AlternateSource { name: remote.name, client, failures: AtomicU32::new(0) };
                    sources.insert(remote.pulp_id, Arc::new(source));
                }
                Err(error) => {
                    tracing::warn!(%error, remote = remote.name, "an alternate content source cannot be used");
                    let said = format!("Alternate content source \"{}\" cannot be used: {}", remote.name, error.public_message());
                    cx.task().log(LogLevel::Warning, said);
                }
            }
        }
        Ok(Self(sources))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they have of the files with these digests.
    pub(super) async fn find(
        &self,
        cx: &SyncContext,
        wanted: &BTreeMap<Algorithm, Vec<String>>,
    ) -> Result<HashMap<(Algorithm, String), Vec<Alternate>>> {
        let mut found: HashMap<(Algorithm, String), Vec<Alternate>> = HashMap::new();
        for (&algorithm, digests) in wanted {
            let column = algorithm.name();
            let mut sql = Sql::new(format!("select remote_id, url, {column} from core_remoteartifact where {column} in "));
            sql.push_list(digests.iter().map(String::as_str)).push(" and remote_id in ").push_list(self.0.keys().copied());
            sql.push(" order by pulp_id");
            for (remote, url, digest) in cx.pulp().db().all::<(Uuid, String, String)>(sql).await? {
                if let (Some(source), Ok(url)) = (self.0.get(&remote), url.parse()) {
                    found.entry((algorithm, digest)).or_default().push(Alternate { source: Arc::clone(source), url });
                }
            }
        }
        Ok(found)
    }
}
