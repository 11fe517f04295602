//! The tasks that look after stored files: what is lost or damaged is fetched again from its sources.

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ProgressReport, Resources, Task, TaskContext, TaskOutput};
use crate::content::Change;
use crate::db::{DbError, ExecutorExt, Sql};
use crate::digest::{Algorithm, Expected, Hasher, Sha256, hash_file};
use crate::download::{DownloadRequest, SaveOptions, download_to_spool};
use crate::ids::Prn;
use crate::model::{Artifact, FileSource, Model, RepositoryVersion};
use crate::storage::{ArtifactPath, StorageError};
use crate::version::Members;
use crate::{Error, Pulp, Result};

/// Rows that are read at a time.
const BATCH: i64 = 500;

/// Files that are looked at, or fetched, at the same time.
const AT_ONCE: usize = 4;

/// Repairs the files of a version of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairVersion {
    /// The repository.
    pub repository: Prn,
    /// The version.
    pub version: Uuid,
    /// Whether files are read and compared with their digests; else it counts that they are there.
    pub verify_checksums: bool,
}

#[async_trait]
impl Task for RepairVersion {
    const NAME: &'static str = "pulpcore.app.tasks.repository.repair_version";

    fn resources(&self) -> Resources {
        Resources::none().shared(&self.repository)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let version = RepositoryVersion::find(cx.pulp().db(), self.version).await?;
        repair(&cx, Scope::Version(&version), self.verify_checksums).await
    }
}

/// Repairs all files of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairAll {
    /// The domain.
    pub domain: Uuid,
    /// As in [`RepairVersion`].
    pub verify_checksums: bool,
}

#[async_trait]
impl Task for RepairAll {
    const NAME: &'static str = "pulpcore.app.tasks.repository.repair_all_artifacts";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(format!("pdrn:{}:repair", self.domain))
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        repair(&cx, Scope::Domain(self.domain), self.verify_checksums).await
    }
}

/// Whose files are looked at.
#[derive(Debug, Clone, Copy)]
enum Scope<'a> {
    Version(&'a RepositoryVersion),
    Domain(Uuid),
}

impl Scope<'_> {
    async fn page(self, pulp: &Pulp, after: Uuid) -> Result<Vec<Artifact>, DbError> {
        let mut sql = Sql::new("select artifact.* from core_artifact artifact where artifact.pulp_id > ");
        sql.push_bind(after);
        match self {
            Self::Version(version) => {
                sql.push(
                    " and artifact.pulp_id in (select file.artifact_id from core_repositorycontent rc \
                     join core_contentartifact file on file.content_id = rc.content_id",
                );
                Members::of(version).push_where(&mut sql);
                sql.push(" and file.artifact_id is not null)");
            }
            Self::Domain(domain) => {
                sql.push(" and artifact.pulp_domain_id = ").push_bind(domain);
            }
        }
        sql.push(" order by artifact.pulp_id limit ").push_bind(BATCH);
        pulp.db().all(sql).await
    }
}

/// What a repair counts, as progress of its task.
struct Reports {
    missing: ProgressReport,
    corrupted: ProgressReport,
    repaired: ProgressReport,
}

async fn repair(cx: &TaskContext, scope: Scope<'_>, verify: bool) -> Result<TaskOutput> {
    let reports = Reports {
        missing: cx.progress("Identify missing units", "repair.missing"),
        corrupted: cx.progress("Identify corrupted units", "repair.corrupted"),
        repaired: cx.progress("Repair corrupted units", "repair.repaired"),
    };
    let mut after = Uuid::nil();
    loop {
        let artifacts = scope.page(cx.pulp(), after).await?;
        let Some(last) = artifacts.last() else { break };
        after = last.pulp_id;
        let touched = stream::iter(artifacts).map(|artifact| look_after(cx.pulp(), artifact, verify, &reports)).buffer_unordered(AT_ONCE);
        if touched.try_fold(false, |any, touched| async move { Ok(any || touched) }).await? {
            // Nobody is to go on with what was read of a damaged file.
            Change::Everything.announce(cx.pulp()).await;
        }
    }
    reports.missing.finish();
    reports.corrupted.finish();
    reports.repaired.finish();
    Ok(().into())
}

/// How a stored file is.
enum Condition {
    Sound,
    Missing,
    Corrupted,
}

/// Looks at one file, and repairs it if need be; whether anything was done to it.
async fn look_after(pulp: &Pulp, artifact: Artifact, verify: bool, reports: &Reports) -> Result<bool> {
    let Ok(path) = artifact.file.parse::<ArtifactPath>() else {
        tracing::warn!(file = artifact.file, "the path of an artifact is none of ours; it is passed over");
        return Ok(false);
    };
    let corrupted = match condition(pulp, &artifact, &path, verify).await? {
        Condition::Sound => return Ok(false),
        Condition::Missing => false,
        Condition::Corrupted => true,
    };
    if corrupted {
        reports.corrupted.increment()
    } else {
        reports.missing.increment()
    }
    if fetch(pulp, &artifact, &path).await? {
        reports.repaired.increment();
        return Ok(true);
    }
    if corrupted {
        // Better no file than a wrong one: whoever brings the right one again is asked for it.
        pulp.storage().delete(&path).await?;
    }
    tracing::warn!(file = artifact.file, "a file is lost or damaged, and no source gives it; upload it again");
    Ok(corrupted)
}

async fn condition(pulp: &Pulp, artifact: &Artifact, path: &ArtifactPath, verify: bool) -> Result<Condition> {
    let storage = pulp.storage();
    let size = match storage.size(path).await {
        Ok(size) => size,
        Err(StorageError::NotFound { .. }) => return Ok(Condition::Missing),
        Err(error) => return Err(error.into()),
    };
    if !verify {
        return Ok(Condition::Sound);
    }
    if u64::try_from(artifact.size) != Ok(size) {
        return Ok(Condition::Corrupted);
    }
    let digests = match storage.local_file(path).map(std::fs::File::open) {
        Some(Ok(file)) => hash_file(&[Algorithm::Sha256], file).await.map_err(|error| Error::io("a stored file cannot be read", error))?.0,
        Some(Err(error)) => return Err(Error::io("a stored file cannot be opened", error)),
        None => {
            let mut hasher = Hasher::new(&[Algorithm::Sha256]);
            let mut chunks = storage.open(path, None).await?;
            while let Some(chunk) = chunks.try_next().await? {
                hasher.update(&chunk);
            }
            hasher.finish().0
        }
    };
    let same = digests.get(Algorithm::Sha256) == Some(artifact.sha256.as_str());
    Ok(if same { Condition::Sound } else { Condition::Corrupted })
}

/// Fetches a file from the first source that gives it; whether one did.
pub(super) async fn fetch(pulp: &Pulp, artifact: &Artifact, path: &ArtifactPath) -> Result<bool> {
    let Ok(sha256) = artifact.sha256.parse::<Sha256>() else { return Ok(false) };
    let expected = Expected { size: u64::try_from(artifact.size).ok(), digests: sha256.into() };
    let units = Sql::new("select pulp_id from core_contentartifact where artifact_id = $1 order by pulp_id").bind(artifact.pulp_id);
    let mut asked: Vec<String> = Vec::new();
    for unit in pulp.db().column::<Uuid>(units).await? {
        // Whoever asks for a repair wants every source to be tried, those that failed lately too.
        for source in FileSource::of(pulp.db(), unit, pulp.now() + TimeDelta::days(1)).await? {
            if asked.contains(&source.artifact.url) {
                continue;
            }
            asked.push(source.artifact.url.clone());
            match fetch_from(pulp, &source, &expected, path).await {
                Ok(()) => return Ok(true),
                Err(error) => tracing::warn!(%error, remote = source.remote.name, "a source does not give the file that is to be repaired"),
            }
        }
    }
    Ok(false)
}

async fn fetch_from(pulp: &Pulp, source: &FileSource, expected: &Expected, path: &ArtifactPath) -> Result<()> {
    let url = source.artifact.url.parse().map_err(|_| Error::BadRequest("the URL of a source cannot be read".to_owned()))?;
    let client = pulp.client(&source.remote)?;
    let options = SaveOptions::expecting(expected.clone()).retry(client.retry);
    let file = download_to_spool(&*client.downloaders, DownloadRequest::new(url), pulp.spool(), &options).await?;
    let _storing = pulp.storing().read().await;
    Ok(pulp.storage().adopt(file, path).await?)
}
