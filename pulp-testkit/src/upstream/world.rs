//! What an upstream holds, plans and remembers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::watch;

use super::fault::{Met, Planned};
use crate::Blob;

/// A request as it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// Its method.
    pub method: Method,
    /// Its path, percent-decoded, without the leading slash: as files are named here.
    pub path: String,
    /// Path and query as they were sent.
    pub target: String,
    /// All its headers, credentials included.
    pub headers: HeaderMap,
    /// Whether the client showed a certificate, and it was accepted.
    pub client_certificate: bool,
}

impl Recorded {
    /// The value of a header, if it came once and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Range` header.
    #[must_use]
    pub fn range(&self) -> Option<&str> {
        self.header("range")
    }
}

#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) blob: Blob,
    pub(super) etag: String,
    /// Counts the times that the path was written; the modification time follows it.
    pub(super) revision: u64,
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<String, File>,
    plan: Vec<(String, Planned)>,
    log: Vec<Recorded>,
    sent: BTreeMap<String, u64>,
    released: bool,
    basic: Option<HeaderValue>,
    header: Option<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
pub(super) struct World {
    inner: Mutex<Inner>,
    /// Changes with everything that a test may wait for.
    changed: watch::Sender<()>,
}

impl World {
    pub(super) fn new() -> Self {
        Self { inner: Mutex::default(), changed: watch::Sender::new(()) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked elsewhere is no reason to hide what this one would say.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, path: &str, blob: Blob) {
        let etag = match &blob {
            Blob::Bytes(_) => blob.sha256(),
            Blob::Seeded { seed, len } => format!("seeded-{seed}-{len}"),
            Blob::Repeated { byte, len } => format!("repeated-{byte}-{len}"),
        };
        let mut inner = self.inner();
        let revision = inner.files.get(path).map_or(0, |file| file.revision + 1);
        let file = File { blob, etag, revision };
        inner.files.insert(path.to_owned(), file);
    }

    pub(super) fn remove(&self, path: &str) {
        self.inner().files.remove(path);
    }

    pub(super) fn file(&self, path: &str) -> Option<File> {
        self.inner().files.get(path).cloned()
    }

    pub(super) fn files(&self) -> Vec<(String, Blob)> {
        let inner = self.inner();
        let files = inner.files.iter();
        files.map(|(path, file)| (path.clone(), file.blob.clone())).collect()
    }

    pub(super) fn plan(&self, path: &str, planned: Planned) {
        let mut inner = self.inner();
        if planned.holds() {
            inner.released = false;
        }
        inner.plan.push((path.to_owned(), planned));
    }

    pub(super) fn heal(&self, path: &str) {
        self.inner().plan.retain(|(at, _)| at != path);
    }

    pub(super) fn meet(&self, path: &str, is_head: bool) -> Met {
        let mut inner = self.inner();
        let plan = inner.plan.iter_mut();
        Met::draw(plan.filter(|(at, _)| at == path || at == "*").map(|(_, planned)| planned), is_head)
    }

    pub(super) fn record(&self, request: Recorded) {
        self.inner().log.push(request);
        self.changed.send_replace(());
    }

    pub(super) fn log(&self) -> Vec<Recorded> {
        self.inner().log.clone()
    }

    pub(super) fn forget(&self) {
        let mut inner = self.inner();
        inner.log.clear();
        inner.sent.clear();
    }

    pub(super) fn hits(&self, path: &str) -> usize {
        let inner = self.inner();
        inner.log.iter().filter(|seen| seen.path == path).count()
    }

    pub(super) fn sent(&self, path: &str, bytes: u64) {
        *self.inner().sent.entry(path.to_owned()).or_default() += bytes;
        self.changed.send_replace(());
    }

    pub(super) fn bytes_sent(&self, path: &str) -> u64 {
        self.inner().sent.get(path).copied().unwrap_or_default()
    }

    pub(super) fn release(&self) {
        self.inner().released = true;
        self.changed.send_replace(());
    }

    /// Waits until held bodies are released.
    pub(super) async fn held(&self) {
        self.until(|world| world.inner().released).await;
    }

    /// Waits until `reached` is true of what has happened here.
    pub(super) async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.changed.subscribe();
        while !reached(self) {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    pub(super) fn require_basic(&self, value: HeaderValue) {
        self.inner().basic = Some(value);
    }

    pub(super) fn require_header(&self, name: HeaderName, value: HeaderValue) {
        self.inner().header = Some((name, value));
    }

    /// The status that a request without the required credentials gets.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<u16> {
        let inner = self.inner();
        if let Some(wanted) = &inner.basic
            && headers.get(http::header::AUTHORIZATION) != Some(wanted)
        {
            return Some(401);
        }
        if let Some((name, wanted)) = &inner.header
            && headers.get(name) != Some(wanted)
        {
            return Some(403);
        }
        None
    }
}
