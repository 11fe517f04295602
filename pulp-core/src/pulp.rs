//! The handle to everything, and how to build it.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::RwLock;

use crate::audit::Audit;
use crate::clients::{Clients, Reach, RemoteClient};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::content::{self, Content};
use crate::crypto::{CredentialCache, Fernet, Secret};
use crate::db::{self, Db, DbOptions};
use crate::download::{DeniedNetworks, Fetcher, FetcherOptions, FileDownloader, HostLimits, Hosts};
use crate::ids::Hrefs;
use crate::jq::Jq;
use crate::metrics::Metrics;
use crate::model::backend::{self, Backends};
use crate::model::{Domain, Remote};
use crate::oidc::Oidc;
use crate::plugin::{Plugin, Registry};
use crate::resource::access::Catalogue;
use crate::resource::shown::Pages;
use crate::settings::Settings;
use crate::shareable::shareable;
use crate::storage::{DomainStorage, LocalOptions, LocalStorage, Spool, SpoolOptions, Storage};
use crate::sync::{Meter, Meters};
use crate::tasks::{Hub, Tasks};
use crate::webhooks::Webhooks;
use crate::{Error, Result};

/// A Pulp: a cheap handle that owns database, storage, downloads, tasks, registry, settings and clock. No globals: several
/// can live in one process.
#[derive(Clone)]
pub struct Pulp(Arc<Inner>);

shareable!(Inner(Parts));

struct Parts {
    db: Db,
    settings: Settings,
    hrefs: Hrefs,
    registry: Registry,
    access: Catalogue,
    credentials: CredentialCache,
    jq: Jq,
    oidc: Option<Oidc>,
    audit: Audit,
    clock: Arc<dyn Clock>,
    default_domain: Arc<Domain>,
    data_dir: PathBuf,
    storage: Arc<dyn Storage>,
    default_storage: Arc<dyn Storage>,
    spool: Spool,
    content: Arc<content::State>,
    keys: Fernet,
    reach: Reach,
    fetcher: Fetcher,
    clients: Clients,
    meters: Meters,
    pages: Pages,
    hub: Hub,
    metrics: Arc<Metrics>,
    webhooks: Webhooks,
    storing: RwLock<()>,
}

/// A [`Pulp`] that is not kept alive: what runs in the background holds this.
#[derive(Clone)]
pub(crate) struct WeakPulp(Weak<Inner>);

impl WeakPulp {
    /// The handle, if somebody still holds it.
    pub(crate) fn upgrade(&self) -> Option<Pulp> {
        self.0.upgrade().map(Pulp)
    }
}

impl fmt::Debug for WeakPulp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakPulp")
    }
}

impl Pulp {
    /// Starts to describe a Pulp.
    pub fn builder() -> PulpBuilder {
        PulpBuilder::default()
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How hrefs are built and read.
    pub fn hrefs(&self) -> &Hrefs {
        &self.0.hrefs
    }

    /// Where artifacts lie.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.0.storage
    }

    /// Where artifacts of domains lie that have no storage of their own.
    pub(crate) fn default_storage(&self) -> &Arc<dyn Storage> {
        &self.0.default_storage
    }

    /// Where files are written until they are adopted into the storage.
    pub fn spool(&self) -> &Spool {
        &self.0.spool
    }

    /// Fetches lazy content, each file once for all who ask.
    pub fn fetcher(&self) -> &Fetcher {
        &self.0.fetcher
    }

    /// Pages of lists as they were shown last.
    pub(crate) fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// How a remote is reached.
    ///
    /// # Errors
    /// If an option of the remote cannot be used, or a secret cannot be decrypted; the error names the field.
    pub fn client(&self, remote: &Remote) -> Result<RemoteClient> {
        self.0.clients.of(remote, &self.0.keys, &self.0.reach)
    }

    /// Reads local files under the allowed import paths.
    pub(crate) fn import_files(&self) -> &FileDownloader {
        &self.0.reach.files
    }

    /// The networks that nothing is fetched from, and nothing sent to, where users say the address.
    pub fn denied_networks(&self) -> &DeniedNetworks {
        &self.0.reach.denied_networks
    }

    /// The hosts that remotes were fetched from lately.
    pub fn hosts(&self) -> &Hosts {
        &self.0.reach.hosts
    }

    /// The keys of encrypted columns.
    pub(crate) fn keys(&self) -> &Fernet {
        &self.0.keys
    }

    /// Encrypts a secret for its column.
    ///
    /// # Errors
    /// If the machine gives no random bytes.
    pub fn seal(&self, secret: &str) -> Result<String> {
        self.0.keys.encrypt(secret).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Decrypts a secret’s column.
    ///
    /// # Errors
    /// If it was encrypted with a key that we do not have.
    pub fn unseal(&self, column: &str) -> Result<Secret> {
        self.0.keys.decrypt_text(column).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Encrypts the settings of a domain's storage for their column.
    pub(crate) fn seal_settings(&self, values: &serde_json::Map<String, serde_json::Value>) -> Result<serde_json::Value> {
        backend::seal(&self.0.keys, values)
    }

    /// Decrypts them.
    pub(crate) fn unseal_settings(&self, column: &serde_json::Value) -> Result<serde_json::Map<String, serde_json::Value>> {
        backend::unseal(&self.0.keys, column)
    }

    /// Checks passwords, and remembers for a short time which were right.
    pub fn credentials(&self) -> &CredentialCache {
        &self.0.credentials
    }

    /// What was noted of changes, and is not written yet.
    pub(crate) fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Whose bearer tokens say who asks, if the settings name an issuer.
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        self.0.oidc.as_ref()
    }

    /// Runs jq filters.
    pub(crate) fn jq(&self) -> &Jq {
        &self.0.jq
    }

    /// Held for reading by whoever adopts a file until the file’s row is written, and for writing by whoever removes files that
    /// have no row.
    pub(crate) fn storing(&self) -> &RwLock<()> {
        &self.0.storing
    }

    /// What the plugins have registered.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What is known of permissions, roles and policies.
    pub(crate) fn access(&self) -> &Catalogue {
        &self.0.access
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The domain that is always there.
    pub fn default_domain(&self) -> &Arc<Domain> {
        &self.0.default_domain
    }

    /// Serves content over HTTP.
    pub fn content(&self) -> Content {
        Content::new(self.clone(), Arc::clone(&self.0.content))
    }

    pub(crate) fn content_state(&self) -> &content::State {
        &self.0.content
    }

    /// The directory of keys, unfinished files and, unless they lie elsewhere, artifacts.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.0.data_dir
    }

    /// Dispatches, awaits and cancels tasks.
    pub fn tasks(&self) -> Tasks {
        Tasks::new(self.clone())
    }

    /// Counts what the syncs of a repository do in this process, from now on and for as long as it is held.
    pub fn meter(&self, repository: uuid::Uuid) -> Arc<Meter> {
        self.0.meters.of(repository)
    }

    pub(crate) fn held_meter(&self, repository: uuid::Uuid) -> Option<Arc<Meter>> {
        self.0.meters.held(repository)
    }

    /// What this process counts.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// What this process keeps of webhooks.
    pub(crate) fn webhooks(&self) -> &Webhooks {
        &self.0.webhooks
    }

    /// Where tasks of this process meet.
    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn downgrade(&self) -> WeakPulp {
        WeakPulp(Arc::downgrade(&self.0))
    }
}

impl fmt::Debug for Pulp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulp").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}

/// Describes a [`Pulp`]: where its data lies, which plugins it has.
pub struct PulpBuilder {
    data_dir: PathBuf,
    database: Option<String>,
    database_options: DbOptions,
    storage: Option<(Arc<dyn Storage>, PathBuf)>,
    keys: Option<Fernet>,
    settings: Settings,
    plugins: Vec<Box<dyn Plugin>>,
    clock: Arc<dyn Clock>,
}

impl Default for PulpBuilder {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("pulp-data"),
            database: None,
            database_options: DbOptions::default(),
            storage: None,
            keys: None,
            settings: Settings::default(),
            plugins: Vec::new(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl PulpBuilder {
    /// The directory of everything that is not told to lie elsewhere; `pulp-data` by default, made if it is not there.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = path.into();
        self
    }

    /// The database’s address; by default a SQLite file in the data directory.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = Some(url.into());
        self
    }

    /// How the database is opened.
    #[must_use]
    pub fn database_options(mut self, options: DbOptions) -> Self {
        self.database_options = options;
        self
    }

    /// Where artifacts lie, and the directory of files on their way there; by default `media` in the data directory.
    ///
    /// The spool should be on the same file system as a storage that keeps files: adopting one is a rename then.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>, spool_dir: impl Into<PathBuf>) -> Self {
        self.storage = Some((storage, spool_dir.into()));
        self
    }

    /// The keys of encrypted columns; by default those in a file of the data directory, which is made if it is not there.
    #[must_use]
    pub fn keys(mut self, keys: Fernet) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds a plugin; the bundled ones of the enabled features are there already.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.plugins.push(Box::new(plugin));
        self
    }

    /// Where the present moment comes from.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens everything and brings the database up to date.
    ///
    /// # Errors
    /// If plugins conflict, a setting cannot be used, or database or directory cannot be opened.
    pub async fn build(self) -> Result<Pulp> {
        let mut registry = Registry::default();
        crate::tasks::register(&mut registry);
        crate::version::register(&mut registry);
        crate::resource::register(&mut registry);
        crate::api::register(&mut registry);
        crate::content::guards::register(&mut registry);
        crate::plugins::openpgp::register(&mut registry);
        #[cfg(feature = "certguard")]
        registry.add(&crate::plugins::certguard::Certguard);
        #[cfg(feature = "file")]
        registry.add(&crate::plugins::file::File);
        for plugin in &self.plugins {
            registry.add(plugin.as_ref());
        }
        if let Some(conflict) = registry.conflicts().first() {
            return Err(Error::Internal(conflict.clone()));
        }
        tokio::fs::create_dir_all(&self.data_dir).await.map_err(|source| Error::io("the data directory cannot be made", source))?;
        let url = self.database.clone().unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("pulp.sqlite3").display()));
        let db = Db::open(&url, &self.database_options).await?;
        let mut sets = vec![pulp_migrations::CORE];
        sets.extend_from_slice(registry.migrations());
        db::migrate(&db, &sets).await?;
        let (storage, spool_dir) = match self.storage {
            Some(given) => given,
            None => {
                let local = LocalStorage::open(self.data_dir.join("media"), LocalOptions::default()).await?;
                let spool_dir = local.spool_dir();
                (Arc::new(local) as Arc<dyn Storage>, spool_dir)
            }
        };
        let limits = HostLimits::new(self.settings.download_host_concurrency, self.settings.download_host_bytes_per_second);
        let reach = Reach {
            files: FileDownloader::new(self.settings.allowed_import_paths.iter().cloned()),
            denied_networks: self.settings.denied_networks()?,
            hosts: Hosts::new(limits),
        };
        let mut options = SpoolOptions::default().algorithms(&self.settings.checksums()?);
        options.quota = (self.settings.spool_quota_bytes > 0).then_some(self.settings.spool_quota_bytes);
        options.partial = self.settings.partial_files_bytes;
        let spool = Spool::open(spool_dir, options).await?;
        let fetching = FetcherOptions {
            verify_before_serving: self.settings.verify_before_serving_bytes,
            concurrency: self.settings.lazy_fetch_concurrency,
            ..FetcherOptions::default()
        };
        let fetcher = Fetcher::new(spool.clone(), fetching);
        let keys = match self.keys {
            Some(keys) => keys,
            None => {
                let beside = || self.data_dir.join("database_fields.symmetric.key");
                let path = self.settings.db_encryption_key.clone().unwrap_or_else(beside);
                let found = tokio::task::spawn_blocking(move || Fernet::load_or_create(&path)).await;
                found
                    .map_err(|error| Error::Internal(error.to_string()))?
                    .map_err(|error| Error::Setting { name: "db_encryption_key".to_owned(), reason: error.to_string() })?
            }
        };
        let default_storage = Arc::clone(&storage);
        let storage: Arc<dyn Storage> = if self.settings.domain_enabled {
            Arc::new(DomainStorage::new(storage, Backends { db: db.clone(), keys: keys.clone() }))
        } else {
            storage
        };
        let default_domain = Arc::new(Domain::default(&db, self.clock.now()).await?);
        let access = Catalogue::open(&db, &registry, self.clock.now()).await?;
        let hrefs = Hrefs::new(self.settings.api_root.clone(), self.settings.domain_enabled);
        let credentials = CredentialCache::with_lifetime(Duration::from_secs(self.settings.credential_cache_seconds))
            .map_err(|error| Error::Internal(error.to_string()))?
            .attempts(self.settings.login_attempts_per_minute);
        let jq = Jq::default();
        check_json_header(&self.settings, &jq).await?;
        let oidc = Oidc::new(&self.settings)?;
        let webhooks = Webhooks::new(self.settings.webhook_concurrency);
        let pulp = Pulp(Arc::new(Inner(Parts {
            db,
            settings: self.settings,
            hrefs,
            registry,
            access,
            credentials,
            jq,
            oidc,
            audit: Audit::default(),
            clock: self.clock,
            default_domain,
            data_dir: self.data_dir,
            storage,
            default_storage,
            spool,
            content: Arc::default(),
            keys,
            reach,
            fetcher,
            clients: Clients::default(),
            meters: Meters::default(),
            pages: Pages::default(),
            hub: Hub::default(),
            metrics: Arc::default(),
            webhooks,
            storing: RwLock::default(),
        })));
        pulp.tasks().recover().await?;
        Ok(pulp)
    }
}

/// Whether the settings of the header in which a proxy says who asks can be used. One without the other lets nobody in.
async fn check_json_header(settings: &Settings, jq: &Jq) -> Result<()> {
    let wrong = |name: &str, reason: String| Err(Error::Setting { name: name.to_owned(), reason });
    match (&settings.authentication_json_header, &settings.authentication_json_header_jq_filter) {
        (Some(header), _) if !header.starts_with("HTTP_") => {
            wrong("authentication_json_header", "it must begin with HTTP_, as HTTP_X_RH_IDENTITY does".to_owned())
        }
        (Some(_), None) => wrong("authentication_json_header_jq_filter", "without it, nobody is found in the header".to_owned()),
        (_, Some(filter)) => {
            let checked = jq.check(filter.clone()).await;
            checked.or_else(|error| wrong("authentication_json_header_jq_filter", error.to_string()))
        }
        (None, None) => Ok(()),
    }
}
