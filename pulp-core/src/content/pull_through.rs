//! Pull-through: a distribution that has what its remote has.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use url::Url;
use uuid::Uuid;

use super::{ContentPath, DistributionHandler, Opened, Representation, ServeContext, ServeError, Served, ServedStream, Source, file_at};
use crate::Pulp;
use crate::body::Body;
use crate::db::{ExecutorExt as _, Sql, Tx};
use crate::digest::{Algorithm, Digests, Expected};
use crate::download::{self, DownloadRequest, FetchHandler, FetchRange, FetchRequest};
use crate::ids::new_id;
use crate::model::save::{NewArtifact, save_artifacts};
use crate::model::{Artifact, Distribution, Model as _, Policy, Remote, TreeFile};
use crate::storage::Spooled;

/// What a content type makes of a file that its remote has and nobody has synced.
#[async_trait]
pub trait PullThrough: Send + Sync + 'static {
    /// Where the remote has the file: at its URL and the path, unless the type knows better. `None` if it cannot have it.
    fn url(&self, remote: &Remote, path: &ContentPath) -> Option<Url> {
        join(&remote.url, path)
    }

    /// Whether the file is one of a content unit, and so is kept. Everything else (metadata, say) may change any time: it
    /// is passed on whenever somebody asks.
    fn is_unit(&self, path: &ContentPath) -> bool;

    /// Makes the content unit of a file that was fetched, or finds it, within the transaction. Gives the key of the content artifact.
    ///
    /// # Errors
    /// If the file is no unit after all, or the database cannot be reached. The client still gets the file; it is not kept.
    async fn save(&self, tx: &Tx, pulled: &Pulled<'_>) -> crate::Result<Uuid>;

    /// Called once the unit is saved: to add it to the distribution’s repository, say.
    ///
    /// # Errors
    /// Whatever went wrong. It goes to the log.
    async fn saved(&self, pulled: &Pulled<'_>) -> crate::Result<()> {
        let _ = pulled;
        Ok(())
    }
}

/// A file that was fetched from a remote.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Pulled<'a> {
    /// The library.
    pub pulp: &'a Pulp,
    /// The distribution below which somebody asked for it.
    pub distribution: &'a Distribution,
    /// The remote that had it.
    pub remote: &'a Remote,
    /// The path.
    pub path: &'a ContentPath,
    /// The stored file’s key.
    pub artifact: Uuid,
    /// Its size in bytes.
    pub size: u64,
    /// Its digests.
    pub digests: &'a Digests,
}

/// Serves what the distribution’s remote has. To be asked last.
pub struct PullThroughHandler(Arc<dyn PullThrough>);

impl PullThroughHandler {
    /// Makes of files what this type makes of them.
    pub fn new(content: impl PullThrough) -> Self {
        Self(Arc::new(content))
    }
}

impl fmt::Debug for PullThroughHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullThroughHandler")
    }
}

#[async_trait]
impl DistributionHandler for PullThroughHandler {
    async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
        let Some(remote) = cx.distribution.remote_id else {
            return Ok(Served::NotFound("the distribution has no remote".to_owned()));
        };
        // Dots would lead out of the remote's own part of its host.
        if path.is_directory() || !path.is_plain() {
            return Ok(Served::NotFound(format!("the remote is not asked for \"{path}\": it names no file")));
        }
        let remote = Remote::find(cx.pulp.db(), remote).await?;
        let Some(url) = self.0.url(&remote, path) else {
            return Ok(Served::NotFound(format!("the remote cannot have \"{path}\"")));
        };
        if let Some(file) = known(cx.pulp, &remote, &url, path).await? {
            return file_at(cx, file).await;
        }
        let pulling = Pulling {
            pulp: cx.pulp.clone(),
            content: Arc::clone(&self.0),
            distribution: cx.distribution.clone(),
            path: path.clone(),
            kept: self.0.is_unit(path) && remote.policy() != Policy::Streamed,
            remote,
            url,
        };
        let mut stream = ServedStream::new(Representation::named(path.as_str()), Asked(Arc::new(pulling)));
        // Whether the remote has it is known only when it has been asked.
        stream.certain = false;
        Ok(Served::Stream(stream))
    }

    fn remembers(&self, distribution: &Distribution, decision: &Served) -> bool {
        // What is not there now, the remote may have later.
        distribution.remote_id.is_none() || matches!(decision, Served::File(_))
    }
}

/// A path below a URL, part by part.
fn join(base: &str, path: &ContentPath) -> Option<Url> {
    let mut url: Url = base.parse().ok()?;
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut().ok()?.pop_if_empty().extend(path.as_str().split('/'));
    Some(url)
}

/// The file that was pulled from there before.
async fn known(pulp: &Pulp, remote: &Remote, url: &Url, path: &ContentPath) -> Result<Option<TreeFile>, ServeError> {
    let mut sql = Sql::new("select ");
    sql.push_bind(path.as_str()).push(format!(" as relative_path, {}, ra.pulp_created as joined ", TreeFile::COLUMNS)).push(
        "from core_remoteartifact ra join core_contentartifact ca on ca.pulp_id = ra.content_artifact_id \
         left join core_artifact a on a.pulp_id = ca.artifact_id where ra.remote_id = ",
    );
    sql.push_bind(remote.pulp_id).push(" and ra.url = ").push_bind(url.as_str());
    sql.push(" order by a.pulp_id is null, ra.pulp_id desc limit 1");
    Ok(pulp.db().optional(sql).await?)
}

/// What is to be fetched, and what becomes of it.
struct Pulling {
    pulp: Pulp,
    content: Arc<dyn PullThrough>,
    distribution: Distribution,
    remote: Remote,
    path: ContentPath,
    url: Url,
    kept: bool,
}

struct Asked(Arc<Pulling>);

#[async_trait]
impl Source for Asked {
    async fn open(&self, range: Option<Range<u64>>) -> Result<Opened, ServeError> {
        let pulling = &self.0;
        let client = pulling.pulp.client(&pulling.remote).map_err(|error| ServeError::BadGateway(error.public_message()))?;
        let source = download::Source {
            id: pulling.remote.pulp_id.to_string(),
            downloader: client.downloaders,
            request: DownloadRequest::new(pulling.url.clone()).at_once(),
            retry: client.retry,
        };
        let key = format!("pull {} {} {}", pulling.remote.pulp_id, pulling.distribution.pulp_id, pulling.url);
        let handler: Arc<dyn FetchHandler> = Arc::new(Storing(Arc::clone(pulling)));
        let request = FetchRequest::new(key, vec![source], Expected::anything(), handler).streamed(!pulling.kept);
        let range = range.map(|range| FetchRange::Span(range.start, Some(range.end)));
        let (meta, parts) = pulling.pulp.fetcher().open_parts(request, range).await?;
        // Nobody said what the file is, so it is as right as it can be; validators it has none.
        Ok(Opened { size: meta.length, verified: meta.verified, body: Body::parts(parts.map_err(ServeError::from)) })
    }
}

struct Storing(Arc<Pulling>);

#[async_trait]
impl FetchHandler for Storing {
    async fn complete(&self, file: Spooled) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Pulling { pulp, content, distribution, remote, path, url, .. } = &*self.0;
        let (sha256, size, digests) = (file.sha256()?, file.size(), file.digests().clone());
        let domain = distribution.pulp_domain_id;
        let place = Artifact::place(&sha256, domain, pulp.settings().domain_enabled);
        let artifact = NewArtifact { file: place.to_string(), size: i64::try_from(size)?, digests: digests.clone() };
        let _storing = pulp.storing().read().await;
        pulp.storage().adopt(file, &place).await?;

        let now = pulp.now();
        let tx = pulp.db().begin().await?;
        let stored = save_artifacts(&tx, &[artifact], domain, now).await?;
        let artifact = *stored.get(&sha256.to_string()).ok_or("an artifact vanished while it was saved")?;
        let pulled = Pulled { pulp, distribution, remote, path, artifact, size, digests: &digests };
        let content_artifact = content.save(&tx, &pulled).await?;
        let mut sql = Sql::new(
            "insert into core_remoteartifact (pulp_id, pulp_created, pulp_last_updated, url, size, md5, sha1, sha224, sha256, sha384, sha512, \
             content_artifact_id, remote_id, pulp_domain_id) values ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             on conflict (content_artifact_id, remote_id) do nothing",
        )
        .bind(new_id())
        .bind(now)
        .bind(url.as_str())
        .bind(i64::try_from(size)?);
        for algorithm in Algorithm::ALL {
            sql = sql.bind(digests.get(algorithm));
        }
        tx.execute(sql.bind(content_artifact).bind(remote.pulp_id).bind(domain)).await?;
        tx.commit().await?;
        if let Err(error) = content.saved(&pulled).await {
            tracing::warn!(%error, path = %path, "what follows from a pulled unit failed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_url() {
        let at = |base, path| join(base, &ContentPath::new(path)).map(String::from);
        assert_eq!(at("http://host/a/", "b/c d").as_deref(), Some("http://host/a/b/c%20d"));
        assert_eq!(at("http://host/a", "b?x#y").as_deref(), Some("http://host/a/b%3Fx%23y"));
        assert_eq!(at("http://host/a?token=1", "b").as_deref(), Some("http://host/a/b"));
        assert_eq!(at("no url", "b"), None);
        assert_eq!(at("data:text", "b"), None);
    }
}
