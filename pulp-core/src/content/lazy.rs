//! Lazy content: files that are fetched when somebody asks for them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::TryStreamExt as _;
use futures::stream::{self, Stream};
use uuid::Uuid;

use super::{Opened, Representation, ServeContext, ServeError, Served, ServedFile, ServedStream, Source};
use crate::Pulp;
use crate::body::{Body, Part};
use crate::clock::Timestamp;
use crate::digest::{Expected, Sha256};
use crate::download::{self, DownloadError, DownloadRequest, FetchError, FetchHandler, FetchKey, FetchRange, FetchRequest};
use crate::model::save::{NewArtifact, save_artifacts};
use crate::model::source::Place;
use crate::model::{Artifact, ContentArtifact, FileSource, Model as _, Policy, Remote, RemoteArtifact};
use crate::storage::{PartialKey, Spooled, StorageError};

/// Tries of the rows of a file that was fetched: other writers may win.
const TRIES: usize = 5;

/// A file that is not stored: from the store after all, if another unit has brought it there, or from its sources.
pub(super) async fn serve(
    cx: &ServeContext<'_>,
    content_artifact: Uuid,
    places: Option<Vec<Place>>,
    name: String,
    joined: Timestamp,
) -> Result<Served, ServeError> {
    let pulp = cx.pulp;
    let domain = cx.distribution.pulp_domain_id;
    let places = match places {
        Some(places) => places,
        None => Place::of(pulp.db(), content_artifact, failed_after(pulp)).await?,
    };
    let mut stored = None;
    let mut sources = Vec::with_capacity(places.len());
    for mut place in places {
        let remote = place.artifact.remote_id;
        if let (Some(id), Some(file), Some(size), Some(at), Some(sha256)) =
            (place.stored_id, place.stored_file.take(), place.stored_size, place.stored_at, &place.artifact.sha256)
            && stored.is_none()
        {
            stored = Some(ServedFile::from_row(name.clone(), id, &file, size, sha256, at)?);
        }
        // One whose remote is just being deleted is no source any more.
        let read = async { Ok(Remote::find_many(pulp.db(), &[remote]).await?.pop()) };
        if let Some(remote) = pulp.content_state().row(remote, read).await? {
            sources.push(place.with(Remote::clone(&remote)));
        }
    }
    let Some(first) = sources.first() else {
        // An error, since it is not to be remembered: the sources may be asked again soon.
        return Err(ServeError::NotFound(format!(
            "the file \"{name}\" is not stored, and has no source that could be asked now: it has none, or they gave wrong files lately"
        )));
    };
    // An alternate content source only has the bytes: what is done with them, the source of the unit says.
    let own = sources.iter().find(|source| !source.alternate).unwrap_or(first);
    let streamed = own.remote.policy() == Policy::Streamed;
    let (expected, sources) = agreeing(sources);

    if let Some(mut file) = stored.filter(|file| expected.digests.sha256() == file.representation.sha256) {
        if !streamed {
            ContentArtifact::store(pulp.db(), content_artifact, file.artifact, pulp.now()).await?;
        }
        file.representation.modified = Some(joined);
        return Ok(Served::File(file));
    }

    let mut representation = Representation::named(name);
    representation.size = expected.size;
    representation.sha256 = expected.digests.sha256();
    representation.modified = Some(joined);
    let storing = Storing { pulp: pulp.clone(), domain, content_artifact };
    Ok(Served::Stream(ServedStream::new(representation, Lazy { storing, sources, expected, streamed })))
}

/// Sources that gave a wrong file at this moment or later are left alone.
pub(super) fn failed_after(pulp: &Pulp) -> Timestamp {
    pulp.now() - TimeDelta::try_seconds(pulp.settings().remote_content_fetch_failure_cooldown).unwrap_or_default()
}

/// What the sources say together that the file is. Those that contradict the first are left out: theirs is another file.
fn agreeing(sources: Vec<FileSource>) -> (Expected, Vec<FileSource>) {
    let mut expected = Expected::anything();
    let mut agreeing = Vec::with_capacity(sources.len());
    for source in sources {
        let said = source.artifact.expected();
        let other_size = expected.size.zip(said.size).is_some_and(|(known, said)| known != said);
        let other_digest =
            said.digests.iter().any(|(algorithm, digest)| expected.digests.get(algorithm).is_some_and(|known| known != digest));
        if other_size || other_digest {
            tracing::warn!(remote = source.remote.name, "a source of lazy content is left out: its metadata contradicts another source's");
            continue;
        }
        expected.size = expected.size.or(said.size);
        for (algorithm, digest) in &said.digests {
            // It was a digest before.
            let _ = expected.digests.insert(algorithm, digest);
        }
        agreeing.push(source);
    }
    (expected, agreeing)
}

/// Requests for one file of one tenant share a fetch. Without a digest only those for the same content artifact do.
fn key(streamed: bool, domain: Uuid, sha256: Option<Sha256>, content_artifact: Uuid) -> String {
    let keep = if streamed { "streamed" } else { "stored" };
    let file = sha256.map_or_else(|| content_artifact.to_string(), |sha256| sha256.to_string());
    format!("{keep} {domain} {file}")
}

/// The files that were stored last, by the keys of their fetches: whoever looked a file up before that and opens it afterwards finds it here.
#[derive(Debug, Default)]
pub(super) struct Lately(Mutex<VecDeque<(String, ServedFile)>>);

impl Lately {
    /// More than can be stored between a look and the opening that follows it.
    const REMEMBERED: usize = 512;

    fn note(&self, key: String, file: ServedFile) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= Self::REMEMBERED {
            files.pop_front();
        }
        files.push_back((key, file));
    }

    fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != key);
    }

    fn get(&self, key: &str) -> Option<ServedFile> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().rev().find(|(known, _)| known == key).map(|(_, file)| file.clone())
    }
}

struct Lazy {
    storing: Storing,
    sources: Vec<FileSource>,
    expected: Expected,
    streamed: bool,
}

impl Lazy {
    fn key(&self) -> String {
        key(self.streamed, self.storing.domain, self.expected.digests.sha256(), self.storing.content_artifact)
    }

    async fn stored(&self, range: Option<Range<u64>>) -> Result<Opened, ServeError> {
        let pulp = &self.storing.pulp;
        let state = pulp.content_state();
        let file = state.lately.get(&self.key()).ok_or_else(|| ServeError::Busy("the file was just stored; ask again".to_owned()))?;
        let read = state.small.read(pulp.storage(), &file, range, false).await;
        if matches!(read, Err(ServeError::Storage(StorageError::NotFound { .. }))) {
            // Stored, and removed again: the next look leads to a fetch.
            state.lately.forget(&self.key());
        }
        Ok(Opened { size: Some(file.size), verified: true, body: read? })
    }

    fn sources(&self) -> Result<Vec<download::Source>, ServeError> {
        let mut sources = Vec::with_capacity(self.sources.len());
        let mut unusable = None;
        for source in &self.sources {
            let url = source.artifact.url.parse().map_err(|_| "its URL cannot be read".to_owned());
            let client = self.storing.pulp.client(&source.remote).map_err(|error| error.public_message());
            match url.and_then(|url| Ok((url, client?))) {
                Ok((url, client)) => sources.push(download::Source {
                    id: source.artifact.pulp_id.to_string(),
                    downloader: client.downloaders,
                    request: DownloadRequest::new(url).at_once(),
                    retry: client.retry,
                }),
                Err(reason) => unusable = Some(format!("remote \"{}\": {reason}", source.remote.name)),
            }
        }
        match unusable {
            Some(reason) if sources.is_empty() => Err(ServeError::BadGateway(reason)),
            _ => {
                // Of equals the first stays first: an alternate content source before the file's own.
                let hosts = self.storing.pulp.hosts();
                sources.sort_by_cached_key(|source| hosts.rank(&source.request.url));
                Ok(sources)
            }
        }
    }
}

#[async_trait]
impl Source for Lazy {
    async fn open(&self, range: Option<Range<u64>>) -> Result<Opened, ServeError> {
        let handler = Arc::new(self.storing.clone());
        let partial = PartialKey::new(self.storing.domain, &self.expected).filter(|_| !self.streamed);
        let request =
            FetchRequest::new(self.key(), self.sources()?, self.expected.clone(), handler).streamed(self.streamed).partial(partial);
        let fetch_range = range.clone().map(|range| FetchRange::Span(range.start, Some(range.end)));
        match self.storing.pulp.fetcher().open_parts(request, fetch_range).await {
            Ok((meta, parts)) => {
                Ok(Opened { size: meta.length, verified: meta.verified, body: Body::parts(parts.map_err(ServeError::from)) })
            }
            // It has just been stored, after it was looked up and before it was opened.
            Err(FetchError::Kept) => self.stored(range).await,
            // For files of all sizes the same: where no source gives the right one the answer is cut, and the next one says why.
            Err(FetchError::BadGateway(error)) if error.is_wrong_file() => {
                tracing::debug!(%error, "no source gave the right file: the answer is cut");
                Ok(Opened { size: None, verified: false, body: Body::parts(cut(FetchError::BadGateway(error))) })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Nothing, and then the error: not before the head of the answer is on its way, without which nobody would know that it was cut.
fn cut(error: FetchError) -> impl Stream<Item = Result<Part, ServeError>> + Send {
    stream::once(async move {
        tokio::task::yield_now().await;
        Err(error.into())
    })
}

/// Takes a file that was fetched into the storage, and notes it.
#[derive(Clone)]
struct Storing {
    pulp: Pulp,
    domain: Uuid,
    content_artifact: Uuid,
}

impl Storing {
    async fn note(&self, artifact: &NewArtifact, sha256: &Sha256) -> crate::Result<Uuid> {
        let now = self.pulp.now();
        let tx = self.pulp.db().begin().await?;
        let stored = save_artifacts(&tx, std::slice::from_ref(artifact), self.domain, now).await?;
        let id =
            stored.get(&sha256.to_string()).ok_or_else(|| crate::Error::Internal("an artifact vanished while it was saved".to_owned()))?;
        ContentArtifact::store(&tx, self.content_artifact, *id, now).await?;
        ContentArtifact::store_all(&tx, self.domain, &sha256.to_string(), *id, now).await?;
        tx.commit().await?;
        Ok(*id)
    }
}

#[async_trait]
impl FetchHandler for Storing {
    async fn complete(&self, file: Spooled) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let sha256 = file.sha256()?;
        let path = Artifact::place(&sha256, self.domain, self.pulp.settings().domain_enabled);
        let artifact = NewArtifact { file: path.to_string(), size: i64::try_from(file.size())?, digests: file.digests().clone() };
        // The file first: a row must never name what is not there. Another process that did the same left the same file.
        let _storing = self.pulp.storing().read().await;
        self.pulp.storage().adopt(file, &path).await?;
        let mut tries = 1;
        let id = loop {
            match self.note(&artifact, &sha256).await {
                Ok(id) => break id,
                Err(crate::Error::Db(error)) if error.is_retryable() && tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        };
        let (size, now) = (artifact.size, self.pulp.now());
        let kept = ServedFile::from_row(String::new(), id, path.as_str(), size, &sha256.to_string(), now)?;
        self.pulp.content_state().lately.note(key(false, self.domain, Some(sha256), self.content_artifact), kept.clone());
        self.pulp.content_state().lately.note(key(false, self.domain, None, self.content_artifact), kept);
        Ok(())
    }

    fn is_kept(&self, key: &FetchKey) -> bool {
        self.pulp.content_state().lately.get(&key.to_string()).is_some()
    }

    async fn source_failed(&self, source: &download::Source, error: &DownloadError) {
        tracing::warn!(%error, "a source of lazy content failed");
        // A source that cannot be reached is asked again with the next request; one that gave a wrong file is left alone for a while.
        if !error.is_wrong_file() {
            return;
        }
        let Ok(id) = source.id.parse() else {
            return;
        };
        if let Err(error) = RemoteArtifact::note_failure(self.pulp.db(), id, self.pulp.now()).await {
            tracing::warn!(%error, "it could not be noted that a source failed");
        }
    }
}

impl From<FetchError> for ServeError {
    fn from(error: FetchError) -> Self {
        let text = error.to_string();
        match error {
            FetchError::NotFound(_) | FetchError::NoSource => Self::NotFound(text),
            FetchError::GatewayTimeout(_) => Self::GatewayTimeout(text),
            FetchError::Busy | FetchError::Aborted => Self::Busy(text),
            FetchError::Spool(source) => {
                tracing::error!(error = %source, "lazy content cannot be spooled");
                Self::Busy("there is no room to fetch the file at the moment; try again later".to_owned())
            }
            _ => Self::BadGateway(text),
        }
    }
}
