//! One storage per domain, behind one that tells them apart by the paths of the files.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::stream::BoxStream;
use uuid::Uuid;

use super::{ArtifactPath, ByteStream, Presign, Result, Spooled, Storage, StorageError};

/// For how long a read trusts that a domain's storage is still the one that it was. Writes always ask.
const TRUSTED: Duration = Duration::from_secs(2);

/// Finds out where the files of a domain lie.
#[async_trait]
pub trait FindStorage: Send + Sync + fmt::Debug + 'static {
    /// Opens the storage of a domain; none if its files lie in the default one. `known` names the settings of the one that is open
    /// already: where they still hold, nothing is opened.
    ///
    /// # Errors
    /// If the domain's settings cannot be read, or the storage cannot be opened.
    async fn find(&self, domain: Uuid, known: Option<&str>) -> Result<Found>;
}

/// Where the files of a domain lie.
#[derive(Debug, Clone)]
pub enum Found {
    /// In the default storage.
    Default,
    /// Where they lay.
    Same,
    /// In this one; the text names its settings.
    Other(String, Arc<dyn Storage>),
}

#[derive(Clone)]
struct Open {
    settings: String,
    storage: Option<Arc<dyn Storage>>,
    checked: Instant,
}

/// A storage whose files lie in others: those of a domain, `artifact/<domain>/…`, in the domain's, all else in the default one.
pub struct DomainStorage {
    default: Arc<dyn Storage>,
    finder: Arc<dyn FindStorage>,
    open: RwLock<HashMap<Uuid, Open>>,
}

impl fmt::Debug for DomainStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainStorage").field("default", &self.default).finish_non_exhaustive()
    }
}

/// The domain whose file it is.
fn domain_of(path: &str) -> Option<Uuid> {
    Uuid::try_parse(path.strip_prefix("artifact/")?.split('/').next()?).ok()
}

impl DomainStorage {
    /// Files of no domain, and of domains that have no storage of their own, lie in `default`.
    pub fn new(default: Arc<dyn Storage>, finder: impl FindStorage) -> Self {
        Self { default, finder: Arc::new(finder), open: RwLock::default() }
    }

    fn known(&self, domain: Uuid) -> Option<Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&domain).cloned()
    }

    /// The storage of a path; `trusted` says for how long what was found before is.
    async fn of(&self, path: &str, trusted: Duration) -> Result<Arc<dyn Storage>> {
        let Some(domain) = domain_of(path) else { return Ok(Arc::clone(&self.default)) };
        let known = self.known(domain);
        let or_default = |storage: &Option<Arc<dyn Storage>>| storage.clone().unwrap_or_else(|| Arc::clone(&self.default));
        if let Some(open) = known.as_ref().filter(|open| open.checked.elapsed() < trusted) {
            return Ok(or_default(&open.storage));
        }
        let settings = known.as_ref().map(|open| open.settings.as_str());
        let open = match (self.finder.find(domain, settings).await?, known.clone()) {
            (Found::Same, Some(open)) => Open { checked: Instant::now(), ..open },
            (Found::Default | Found::Same, _) => Open { settings: String::new(), storage: None, checked: Instant::now() },
            (Found::Other(settings, storage), _) => Open { settings, storage: Some(storage), checked: Instant::now() },
        };
        let storage = or_default(&open.storage);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(domain, open);
        Ok(storage)
    }
}

#[async_trait]
impl Storage for DomainStorage {
    async fn adopt(&self, file: Spooled, to: &ArtifactPath) -> Result<()> {
        self.of(to.as_str(), Duration::ZERO).await?.adopt(file, to).await
    }

    async fn adopt_many(&self, files: Vec<(Spooled, ArtifactPath)>) -> Result<()> {
        // Those of a sync are all of one domain.
        let mut by_domain: HashMap<Option<Uuid>, Vec<(Spooled, ArtifactPath)>> = HashMap::new();
        for (file, to) in files {
            by_domain.entry(domain_of(to.as_str())).or_default().push((file, to));
        }
        for files in by_domain.into_values() {
            let Some((_, first)) = files.first() else { continue };
            let storage = self.of(first.as_str(), Duration::ZERO).await?;
            storage.adopt_many(files).await?;
        }
        Ok(())
    }

    async fn open(&self, at: &ArtifactPath, range: Option<Range<u64>>) -> Result<ByteStream> {
        match self.of(at.as_str(), TRUSTED).await?.open(at, range.clone()).await {
            // It may have moved a moment ago.
            Err(StorageError::NotFound { .. }) if domain_of(at.as_str()).is_some() => {
                self.of(at.as_str(), Duration::ZERO).await?.open(at, range).await
            }
            other => other,
        }
    }

    async fn size(&self, at: &ArtifactPath) -> Result<u64> {
        match self.of(at.as_str(), TRUSTED).await?.size(at).await {
            Err(StorageError::NotFound { .. }) if domain_of(at.as_str()).is_some() => {
                self.of(at.as_str(), Duration::ZERO).await?.size(at).await
            }
            other => other,
        }
    }

    async fn delete(&self, at: &ArtifactPath) -> Result<()> {
        self.of(at.as_str(), Duration::ZERO).await?.delete(at).await
    }

    async fn rename(&self, from: &ArtifactPath, to: &ArtifactPath) -> Result<()> {
        self.of(from.as_str(), Duration::ZERO).await?.rename(from, to).await
    }

    async fn delete_older(&self, at: &ArtifactPath, than: SystemTime) -> Result<bool> {
        self.of(at.as_str(), Duration::ZERO).await?.delete_older(at, than).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<ArtifactPath>> {
        self.default.list(prefix)
    }

    fn local_file(&self, at: &ArtifactPath) -> Option<PathBuf> {
        match domain_of(at.as_str()) {
            None => self.default.local_file(at),
            // What is not known yet is streamed; from then on it is.
            Some(domain) => match self.known(domain)?.storage {
                Some(own) => own.local_file(at),
                None => self.default.local_file(at),
            },
        }
    }

    fn presigner(&self) -> Option<&dyn Presign> {
        self.default.presigner()
    }

    async fn holder(&self, at: &ArtifactPath) -> Result<Option<Arc<dyn Storage>>> {
        self.of(at.as_str(), TRUSTED).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_their_domain() {
        let id = Uuid::now_v7();
        assert_eq!(domain_of(&format!("artifact/{id}/ab/cd")), Some(id));
        for none in ["artifact/ab/cdef", "upload/x/y", "", "artifact"] {
            assert_eq!(domain_of(none), None, "{none}");
        }
    }
}
