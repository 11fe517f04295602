//! What a content type writes of a sync, and what it is given.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

use super::meter::Counting;
use super::{Declared, Meter};
use crate::clients::RemoteClient;
use crate::digest::Expected;
use crate::download::{DownloadError, DownloadRequest, Downloader, SaveOptions, download_to_spool};
use crate::model::{Policy, Remote};
use crate::storage::{PartialKey, Spooled};
use crate::tasks::TaskContext;
use crate::{Error, Pulp, Result};

/// The first stage of a sync: reads an upstream’s metadata and declares what it has.
///
/// ```
/// use async_trait::async_trait;
/// use pulp_core::Result;
/// use pulp_core::model::save::{ContentKind, Unit};
/// use pulp_core::sync::{Declared, DeclaredFile, FileSource, FirstStage, Sink, SyncContext};
///
/// static NOTE: ContentKind = ContentKind { pulp_type: "notes.note", table: "notes_note", columns: &["name"], key: &["name"] };
///
/// /// One note, always the same.
/// struct OneNote;
///
/// #[async_trait]
/// impl FirstStage for OneNote {
///     async fn run(self: Box<Self>, out: Sink, cx: &SyncContext) -> Result<()> {
///         let text = cx.pulp().spool().store("remember the milk").await?;
///         let file = DeclaredFile {
///             relative_path: "milk.txt".to_owned(),
///             expected: Default::default(),
///             source: FileSource::Spooled(text),
///         };
///         out.send(Declared::one(Unit::new(&NOTE, vec!["milk".into()]), file)).await?;
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait FirstStage: Send {
    /// Declares all that the upstream has. When it returns, nothing more comes; with an error, no version is made.
    async fn run(self: Box<Self>, out: Sink, cx: &SyncContext) -> Result<()>;
}

/// Takes declared units. It makes its caller wait while the pipeline is full.
#[derive(Debug, Clone)]
pub struct Sink(pub(super) mpsc::Sender<Declared>);

/// The pipeline has ended, for an error that it reports itself: stop declaring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sync has ended")]
pub struct SyncEnded;

impl From<SyncEnded> for Error {
    fn from(_: SyncEnded) -> Self {
        Error::Canceled
    }
}

impl Sink {
    /// Declares a unit.
    ///
    /// # Errors
    /// [`SyncEnded`]: return; the error that ended it is the one that is shown.
    pub async fn send(&self, declared: Declared) -> Result<(), SyncEnded> {
        self.0.send(declared).await.map_err(|_| SyncEnded)
    }
}

/// What a sync knows: the task that it is, the remote, how to fetch from it.
#[derive(Clone)]
pub struct SyncContext {
    task: TaskContext,
    remote: Arc<Remote>,
    client: RemoteClient,
    meter: Option<Arc<Meter>>,
}

impl SyncContext {
    /// Of this task, from this remote.
    ///
    /// # Errors
    /// If an option of the remote cannot be used; the message names the field.
    pub fn new(task: TaskContext, remote: Remote) -> Result<Self> {
        let client = task.pulp().client(&remote)?;
        Ok(Self { task, remote: Arc::new(remote), client, meter: None })
    }

    /// Counts for whoever holds the [meter](Pulp::meter) of this repository.
    #[must_use]
    pub fn metered(mut self, repository: Uuid) -> Self {
        self.meter = self.pulp().held_meter(repository);
        self
    }

    /// What somebody watches this sync by, if somebody does: tell it what the upstream lists.
    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_deref()
    }

    /// The library.
    pub fn pulp(&self) -> &Pulp {
        self.task.pulp()
    }

    /// The task, for progress reports.
    pub fn task(&self) -> &TaskContext {
        &self.task
    }

    /// The remote.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// When files are fetched.
    pub fn policy(&self) -> Policy {
        self.remote.policy()
    }

    /// Downloads at the same time.
    pub fn concurrency(&self) -> usize {
        self.client.concurrency
    }

    /// How the remote is asked, once and without retries.
    pub fn downloader(&self) -> &dyn Downloader {
        self.client.downloaders.as_ref()
    }

    /// The remote’s address.
    ///
    /// # Errors
    /// [`Error::Validation`] if it is not a URL.
    pub fn url(&self) -> Result<Url> {
        self.remote.url.parse().map_err(|_| Error::field("url", "The remote's url is not a valid URL."))
    }

    /// For a program that connects to the host of a URL by itself: which addresses it is to use, as curl is told (`host:port:address,address`),
    /// where the settings deny networks.
    ///
    /// # Errors
    /// If the host lies in one of those.
    pub async fn pins(&self, url: &Url) -> Result<Option<String>> {
        let denied = |denied: crate::download::Denied| DownloadError::DeniedNetwork { url: url.into(), denied: denied.to_string() };
        Ok(self.pulp().denied_networks().pins(url).await.map_err(denied)?)
    }

    /// Whether the settings deny networks.
    pub fn denies_networks(&self) -> bool {
        !self.pulp().denied_networks().is_empty()
    }

    /// Fetches a file into the spool, with the remote’s retries, and verifies it. Of a file whose size nobody announced no more than
    /// `limit` bytes are taken.
    ///
    /// # Errors
    /// [`Error::Coded`] or [`Error::Download`]: what is wrong with the source or the file, with its URL.
    pub async fn fetch(&self, url: Url, expected: Expected, limit: Option<u64>) -> Result<Spooled> {
        self.fetch_through(self.downloader(), url, expected, limit).await
    }

    /// Our own remote’s client.
    pub(super) fn client(&self) -> &RemoteClient {
        &self.client
    }

    /// Fetches, through this client, a file that was announced: it counts for the meter.
    pub(super) async fn fetch_announced(&self, client: &RemoteClient, url: Url, expected: Expected) -> Result<Spooled> {
        let downloader = client.downloaders.as_ref();
        let partial = PartialKey::new(self.task.domain().pulp_id, &expected);
        let options = SaveOptions::expecting(expected).retry(client.retry).partial(partial);
        let (spool, request) = (self.pulp().spool(), DownloadRequest::new(url));
        let Some(meter) = &self.meter else { return Ok(download_to_spool(downloader, request, spool, &options).await?) };
        let counting = Counting::new(downloader, meter);
        let spooled = download_to_spool(&counting, request, spool, &options).await?;
        counting.complete(spooled.size());
        Ok(spooled)
    }

    /// As [`fetch`](Self::fetch), through a downloader that wraps [ours](Self::downloader).
    ///
    /// # Errors
    /// As `fetch`.
    pub async fn fetch_through(&self, downloader: &dyn Downloader, url: Url, expected: Expected, limit: Option<u64>) -> Result<Spooled> {
        let mut options = SaveOptions::expecting(expected).retry(self.client.retry);
        options.limit = limit;
        Ok(download_to_spool(downloader, DownloadRequest::new(url), self.pulp().spool(), &options).await?)
    }
}

impl std::fmt::Debug for SyncContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncContext").field("task", &self.task).field("remote", &self.remote).finish_non_exhaustive()
    }
}
