//! What a version, or a publication, has to export.

use sqlx::FromRow;
use uuid::Uuid;

use super::super::files::{PAGE, UnitFile, Units, of_units};
use super::Method;
use super::place::{From, Place};
use crate::db::{ExecutorExt, Sql};
use crate::download::{DownloadRequest, SaveOptions, download_to_spool};
use crate::model::{FileSource, Publication, RepositoryVersion};
use crate::storage::{ArtifactPath, Spooled};
use crate::version::Members;
use crate::{Error, Pulp, Result};

/// A version, and what of it is left out.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) pulp: Pulp,
    pub(super) version: RepositoryVersion,
    pub(super) start: Option<RepositoryVersion>,
}

/// A file that is not stored, and cannot be read from this host either.
const MISSING: &str = "ca.artifact_id is null and not exists (select 1 from core_remoteartifact ra \
                       where ra.content_artifact_id = ca.pulp_id and ra.url like 'file://%')";

impl Job {
    /// Makes sure that all files are there, before the first is written.
    pub(super) async fn check_stored(&self, publication: Option<&Publication>) -> Result<()> {
        let db = self.pulp.db();
        let mut all: Vec<Sql> = Vec::new();
        if let Some(publication) = publication {
            let sql = format!(
                "select 1 as one from core_publishedartifact pa join core_contentartifact ca on ca.pulp_id = pa.content_artifact_id \
                 where {MISSING} and pa.publication_id = $1 limit 1"
            );
            all.push(Sql::new(sql).bind(publication.pulp_id));
        }
        if publication.is_none_or(|publication| publication.pass_through) {
            let mut sql = Sql::new(format!("select 1 as one from core_contentartifact ca where {MISSING} and ca.content_id in "));
            Members::of(&self.version).push_select(&mut sql);
            sql.push(" limit 1");
            all.push(sql);
        }
        for sql in all {
            if db.optional::<(i32,)>(sql).await?.is_some() {
                return Err(unstored());
            }
        }
        Ok(())
    }

    async fn put(&self, files: Vec<UnitFile>, place: &Place) -> Result<()> {
        let mut from = Vec::with_capacity(files.len());
        for file in files {
            let source = match &file.file {
                Some(path) => From::Storage(stored(path)?),
                // A link would lead to a file that is removed in a moment.
                None if place.method() != Method::Write => return Err(unstored()),
                None => From::Fetched(self.fetch(file.pulp_id).await?),
            };
            from.push((file.relative_path, source));
        }
        place.put(from).await
    }

    /// Reads a file that nobody has stored from where it lies on this host.
    async fn fetch(&self, content_artifact: Uuid) -> Result<Spooled> {
        let mut failure = unstored();
        for source in FileSource::of(self.pulp.db(), content_artifact, self.pulp.now()).await? {
            let Ok(url) = source.artifact.url.parse::<url::Url>() else { continue };
            if url.scheme() != "file" {
                continue;
            }
            let client = self.pulp.client(&source.remote)?;
            let options = SaveOptions::expecting(source.artifact.expected());
            let request = DownloadRequest::new(url);
            match download_to_spool(client.downloaders.as_ref(), request, self.pulp.spool(), &options).await {
                Ok(file) => return Ok(file),
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }
}

fn unstored() -> Error {
    Error::BadRequest("Cannot export artifacts that haven't been downloaded.".to_owned())
}

fn stored(path: &str) -> Result<ArtifactPath> {
    path.parse().map_err(|_| Error::Internal(format!("the path of an artifact is no path: {path}")))
}

/// Puts the files of a version.
pub(super) async fn version_files(job: &Job, place: Place) -> Result<()> {
    units(job, &place).await
}

async fn units(job: &Job, place: &Place) -> Result<()> {
    let mut units = Units::new(&job.version, job.start.as_ref());
    while let Some(page) = units.next(job.pulp.db()).await? {
        if !page.is_empty() {
            job.put(of_units(job.pulp.db(), &page).await?, place).await?;
        }
    }
    Ok(())
}

/// A path of a publication, and the unit that it leads to.
#[derive(FromRow)]
struct Published {
    own_id: Uuid,
    content_id: Uuid,
    pulp_id: Uuid,
    relative_path: String,
    file: Option<String>,
}

/// Puts the files of a publication: generated ones, those published by name, and if it passes them through, those of the units.
pub(super) async fn publication_files(job: &Job, publication: &Publication, place: Place) -> Result<()> {
    let db = job.pulp.db();
    const METADATA: &str = "select pm.content_ptr_id as own_id, ca.content_id, ca.pulp_id, ca.relative_path, a.file \
        from core_publishedmetadata pm join core_contentartifact ca on ca.content_id = pm.content_ptr_id \
        left join core_artifact a on a.pulp_id = ca.artifact_id \
        where pm.publication_id = $1 and pm.content_ptr_id > $2 order by pm.content_ptr_id limit $3";
    const BY_NAME: &str = "select pa.pulp_id as own_id, ca.content_id, ca.pulp_id, pa.relative_path, a.file \
        from core_publishedartifact pa join core_contentartifact ca on ca.pulp_id = pa.content_artifact_id \
        left join core_artifact a on a.pulp_id = ca.artifact_id \
        where pa.publication_id = $1 and pa.pulp_id > $2 order by pa.pulp_id limit $3";
    for (text, of_units) in [(METADATA, false), (BY_NAME, true)] {
        let mut after = Uuid::nil();
        loop {
            let page: Vec<Published> = db.all(Sql::new(text).bind(publication.pulp_id).bind(after).bind(PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = last.own_id;
            let mut left_out = std::collections::HashSet::new();
            if let (true, Some(start)) = (of_units, &job.start) {
                let mut sql = Sql::new("select rc.content_id from core_repositorycontent rc");
                Members::of(start).push_where(&mut sql);
                sql.push(" and rc.content_id in ").push_list(page.iter().map(|one| one.content_id));
                left_out = db.column::<Uuid>(sql).await?.into_iter().collect();
            }
            let files = page.into_iter().filter(|one| !left_out.contains(&one.content_id));
            let files = files.map(|one| UnitFile { pulp_id: one.pulp_id, relative_path: one.relative_path, file: one.file });
            job.put(files.collect(), &place).await?;
        }
    }
    if publication.pass_through { units(job, &place).await } else { Ok(()) }
}
