//! Sync: the manifest of an upstream, declared line by line.

use std::io::BufReader;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use url::Url;

use super::content::declared;
use super::git::GitStage;
use super::manifest::{Entry, MAX_LINE, ManifestError, PULP_MANIFEST, Reader};
use super::publish::publish;
use super::repository::FileRepository;
use crate::prelude::*;

/// The largest manifest that is fetched, in bytes: some hundred million files.
const MAX_MANIFEST: u64 = 16 << 30;

/// Lines that the thread that reads the manifest hands over at a time, and how often it may be ahead.
const CHUNK: usize = 1_000;
const AHEAD: usize = 4;

/// Syncs a file repository from a remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synchronize {
    /// The repository.
    pub repository: Prn,
    /// The remote.
    pub remote: Prn,
    /// Whether what the upstream no longer has is removed.
    #[serde(default)]
    pub mirror: bool,
    /// Whether a sync that would change nothing is skipped.
    #[serde(default = "yes")]
    pub optimize: bool,
    /// The address of the manifest, where it is not the remote’s.
    #[serde(default)]
    pub url: Option<String>,
}

fn yes() -> bool {
    true
}

#[async_trait]
impl Task for Synchronize {
    const NAME: &'static str = "pulp_file.app.tasks.synchronizing.synchronize";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.repository).shared(&self.remote)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let db = cx.pulp().db();
        let repository = Repository::find(db, self.repository.id).await?;
        let mut remote = Remote::find(db, self.remote.id).await?;
        if let Some(url) = &self.url {
            remote.url.clone_from(url);
        }
        if remote.url.is_empty() {
            return Err(Error::BadRequest("A remote must have a url specified to synchronize.".to_owned()));
        }
        let sync = SyncContext::new(cx.clone(), remote)?.metered(repository.pulp_id);
        if sync.remote().pulp_type == "file.git" {
            let version = synchronize(&sync, &repository, Box::new(GitStage), SyncOptions::default().mirror(self.mirror)).await?;
            if let Some(version) = version.as_ref().filter(|_| self.mirror) {
                let own = FileRepository::find(db, repository.pulp_id).await?;
                publish(&cx, version, own.manifest.as_deref(), false).await?;
            }
            return version::output(&cx, version.as_ref()).await;
        }
        let manifest = fetch_manifest(&sync).await?;
        let latest = RepositoryVersion::latest(db, repository.pulp_id).await?;
        let details = self.details(&sync, &manifest)?;
        if self.optimize && is_same(&repository, &latest, &details, db).await? {
            cx.progress("Skipping Sync (no change from previous sync)", "sync.was_skipped").total(1).increment();
            return Ok(().into());
        }
        let report = cx.progress("Downloading Metadata", "sync.downloading.metadata");
        report.increment();
        report.finish();
        let first = Box::new(ManifestStage { manifest, base: sync.url()? });
        let version = synchronize(&sync, &repository, first, SyncOptions::default().mirror(self.mirror)).await?;
        let number = version.as_ref().map_or(latest.number, |version| version.number);
        note(&repository, details, number, db).await?;
        if let Some(version) = version.as_ref().filter(|_| self.mirror) {
            // A mirror is published as its upstream is.
            let url = sync.url()?;
            let name = url.path_segments().and_then(|mut segments| segments.next_back()).filter(|name| !name.is_empty());
            let name = name.map(|name| percent_encoding::percent_decode_str(name).decode_utf8_lossy());
            publish(&cx, version, Some(name.as_deref().unwrap_or(PULP_MANIFEST)), false).await?;
        }
        version::output(&cx, version.as_ref()).await
    }
}

impl Synchronize {
    /// What this sync goes by.
    fn details(&self, sync: &SyncContext, manifest: &Spooled) -> Result<Json> {
        Ok(json!({
            "url": redact_url_text(&sync.remote().url),
            "mirror": self.mirror,
            "remote_pk": sync.remote().pulp_id,
            "download_policy": sync.policy().as_str(),
            "manifest_checksum": manifest.sha256()?.to_string(),
        }))
    }
}

async fn fetch_manifest(sync: &SyncContext) -> Result<Spooled> {
    let bounded = BoundedLines(sync.downloader());
    match sync.fetch_through(&bounded, sync.url()?, Expected::anything(), Some(MAX_MANIFEST)).await {
        Ok(manifest) => Ok(manifest),
        Err(error) => {
            // Shown as failed, with the task.
            sync.task().progress("Downloading Metadata", "sync.downloading.metadata");
            Err(error)
        }
    }
}

/// Gives a download up as soon as a line of it is too long: what is no manifest need not be fetched to its end.
struct BoundedLines<'a>(&'a dyn Downloader);

#[async_trait]
impl Downloader for BoundedLines<'_> {
    async fn get(&self, request: DownloadRequest) -> Result<Download, DownloadError> {
        let mut download = self.0.get(request).await?;
        let url = RedactedUrl::new(&download.url);
        let body = std::mem::replace(&mut download.body, futures::stream::empty().boxed());
        let mut length = 0;
        download.body = body
            .map(move |chunk| {
                let chunk = chunk?;
                length = match memchr::memrchr(b'\n', &chunk) {
                    Some(end) => chunk.len() - end - 1,
                    None => length + chunk.len(),
                };
                if length > 2 * MAX_LINE {
                    let reason = format!("this is no manifest: it has a line of more than {MAX_LINE} bytes; check the url of the remote");
                    return Err(DownloadError::InvalidUrl { url: url.clone(), reason });
                }
                Ok(chunk)
            })
            .boxed();
        Ok(download)
    }
}

/// Whether the last sync went by the same, and nothing has changed the repository since.
async fn is_same(repository: &Repository, latest: &RepositoryVersion, details: &Json, db: &db::Db) -> Result<bool> {
    let last = FileRepository::find(db, repository.pulp_id).await?.last_sync_details.0;
    let mut now = details.clone();
    now["most_recent_version"] = latest.number.into();
    Ok(last == now)
}

async fn note(repository: &Repository, mut details: Json, number: i64, db: &db::Db) -> Result<()> {
    details["most_recent_version"] = number.into();
    let sql = Sql::new("update file_filerepository set last_sync_details = $2 where repository_ptr_id = $1");
    db.execute(sql.bind(repository.pulp_id).bind(details)).await?;
    Ok(())
}

/// Declares what a manifest lists.
struct ManifestStage {
    manifest: Spooled,
    base: Url,
}

#[async_trait]
impl FirstStage for ManifestStage {
    async fn run(self: Box<Self>, out: Sink, cx: &SyncContext) -> Result<()> {
        if let Some(meter) = cx.meter() {
            // What there is to do shows from the start, at the price of reading the manifest twice.
            let file = self.manifest.open().await?;
            let sum = tokio::task::spawn_blocking(move || sum(file)).await;
            let (files, bytes) = self.read_by(sum)?;
            meter.announce(files, bytes);
        }
        let report = cx.task().progress("Parsing Metadata Lines", "sync.parsing.metadata");
        let file = self.manifest.open().await?;
        let (sender, mut entries) = mpsc::channel(AHEAD);
        let reading = tokio::task::spawn_blocking(move || read(file, &sender));
        while let Some(some) = entries.recv().await {
            report.increase_total(i64::try_from(some.len()).unwrap_or(i64::MAX));
            for entry in some {
                let source = FileSource::Url(file_url(&self.base, &entry.relative_path));
                out.send(declared(entry, source)).await?;
                report.increment();
            }
        }
        self.read_by(reading.await)?;
        report.finish();
        Ok(())
    }
}

impl ManifestStage {
    /// What a thread that has read the manifest gives.
    fn read_by<T>(&self, thread: Result<Result<T, ManifestError>, tokio::task::JoinError>) -> Result<T> {
        match thread {
            Ok(read) => read.map_err(|error| Error::BadRequest(format!("{}: {error}.", redact_url(&self.base)))),
            Err(error) => Err(Error::Internal(format!("the thread that reads the manifest ended: {error}"))),
        }
    }
}

/// Files and bytes that a manifest lists.
fn sum(file: std::fs::File) -> Result<(u64, u64), ManifestError> {
    Reader::new(BufReader::with_capacity(256 * 1024, file)).try_fold((0, 0), |(files, bytes): (u64, u64), entry| {
        let size = entry?.size;
        Ok((files + 1, bytes.saturating_add(size)))
    })
}

/// Reads all lines, on a blocking thread. Ends early when nobody listens any more.
fn read(file: std::fs::File, to: &mpsc::Sender<Vec<Entry>>) -> Result<(), ManifestError> {
    let mut chunk = Vec::with_capacity(CHUNK);
    for entry in Reader::new(BufReader::with_capacity(256 * 1024, file)) {
        chunk.push(entry?);
        if chunk.len() == CHUNK && to.blocking_send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).is_err() {
            return Ok(());
        }
    }
    if !chunk.is_empty() {
        // Nobody to hand them to: the sync has ended.
        let _ = to.blocking_send(chunk);
    }
    Ok(())
}

/// Where a file of a manifest is: beside it. What a URL gives a meaning is escaped; a query, such as a token, stays.
fn file_url(manifest: &Url, relative_path: &str) -> Url {
    let mut url = manifest.clone();
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop().extend(relative_path.split('/'));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_beside_the_manifest() {
        let at = |base: &str, path: &str| file_url(&base.parse().unwrap(), path).to_string();
        assert_eq!(at("http://h/a/PULP_MANIFEST", "b/c.iso"), "http://h/a/b/c.iso");
        assert_eq!(at("http://h/PULP_MANIFEST?token=x#y", "c d?e#f%2f:\"ü"), "http://h/c%20d%3Fe%23f%252f:%22%C3%BC?token=x");
        assert_eq!(at("file:///srv/x/PULP_MANIFEST", "c.iso"), "file:///srv/x/c.iso");
    }
}
