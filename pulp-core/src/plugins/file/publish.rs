//! Publishing a version: every file under its own path, and the manifest.

use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::manifest::write_line;
use crate::prelude::*;

/// Publications of the type `file.file`.
pub static PUBLICATION: PublicationKind =
    PublicationKind { pulp_type: "file.file", model: "file.filepublication", collection: "publications/file/file" };

/// Lines of the manifest that are written in one go.
const PAGE: i64 = 2_500;

/// Pages that are read at the same time.
const AT_ONCE: usize = 2;

/// Publishes a version of a file repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// The repository.
    pub repository: Prn,
    /// The version; the latest, when the task runs, if unset.
    #[serde(default)]
    pub repository_version: Option<Uuid>,
    /// The name of the manifest; without one none is written.
    #[serde(default)]
    pub manifest: Option<String>,
    /// Whether it is a checkpoint.
    #[serde(default)]
    pub checkpoint: bool,
}

#[async_trait]
impl Task for Publish {
    const NAME: &'static str = "pulp_file.app.tasks.publishing.publish";

    fn resources(&self) -> Resources {
        Resources::none().shared(&self.repository)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let version = match self.repository_version {
            Some(version) => RepositoryVersion::find(cx.pulp().db(), version).await?,
            None => RepositoryVersion::latest(cx.pulp().db(), self.repository.id).await?,
        };
        let publication = publish(&cx, &version, self.manifest.as_deref(), self.checkpoint).await?;
        Ok(TaskOutput { result: Some(shown(&cx, PUBLICATION.collection, publication.pulp_id).await?) })
    }
}

/// Writes the publication.
pub(super) async fn publish(
    cx: &TaskContext,
    version: &RepositoryVersion,
    manifest: Option<&str>,
    checkpoint: bool,
) -> Result<Publication> {
    let mut writer = PublicationWriter::begin(cx, version, PUBLICATION).await?;
    writer.pass_through();
    if checkpoint {
        writer.checkpoint();
    }
    if let Some(name) = manifest {
        let written = match write_manifest(cx, version).await {
            Ok(file) => writer.metadata(name, file).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            writer.discard().await;
            return Err(error);
        }
    }
    let detail = Sql::new("insert into file_filepublication (publication_ptr_id, manifest) values ($1, $2)");
    writer.commit(detail.bind(manifest)).await
}

/// The manifest of a version, in the spool.
async fn write_manifest(cx: &TaskContext, version: &RepositoryVersion) -> Result<Spooled> {
    let db = cx.pulp().db();
    let mut file = cx.pulp().spool().create();
    let members = Members::held(db, version).await?;
    let mut pages = pin!(pages(db.clone(), members));
    while let Some(lines) = pages.try_next().await? {
        let mut text = Vec::with_capacity(lines.len() * 96);
        for (path, digest, size) in &lines {
            let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            write_line(&mut text, path, digest, size).map_err(|error| Error::io("the manifest cannot be written", error))?;
        }
        file.write(Bytes::from(text)).await?;
    }
    Ok(file.finish().await?)
}

/// The files, in the order of their keys. While one page goes into the manifest, the next are read.
fn pages(db: db::Db, members: Members) -> impl Stream<Item = Result<Vec<Line>>> + Send {
    let pages = stream::try_unfold((db, None), move |(db, after)| async move {
        let Some(last) = members.end_of_page(&db, after, PAGE).await? else { return Ok(None) };
        Ok(Some((lines(db.clone(), members, after, last), (db, Some(last)))))
    });
    pages.try_buffered(AT_ONCE)
}

/// Path, digest and size. Of a file that is not here, its unit tells the digest, and its sources the size.
type Line = (String, String, Option<i64>);

/// The files behind one key, up to another, so that a page costs what is on it.
async fn lines(db: db::Db, members: Members, after: Option<Uuid>, last: Uuid) -> Result<Vec<Line>> {
    let mut sql = Sql::new(
        "select file.relative_path, \
         coalesce(artifact.sha256, (select unit.digest from file_filecontent unit where unit.content_ptr_id = rc.content_id)), \
         coalesce(artifact.size, (select max(source.size) from core_remoteartifact source where source.content_artifact_id = file.pulp_id)) \
         from core_repositorycontent rc",
    );
    sql.push(joins(db.dialect()));
    members.push_where(&mut sql);
    if let Some(after) = after {
        sql.push(" and rc.content_id > ").push_bind(after);
    }
    sql.push(" and rc.content_id <= ").push_bind(last).push(" order by rc.content_id");
    Ok(db.all(sql).await?)
}

/// What a line needs, looked up by key. PostgreSQL takes what lies between two keys for one row, and would as soon compare all of the page with as many
/// files as look each of them up: with a million units a page took seconds.
fn joins(dialect: db::Dialect) -> &'static str {
    match dialect {
        db::Dialect::Postgres => {
            " cross join lateral (select f.pulp_id, f.relative_path, f.artifact_id from core_contentartifact f where f.content_id = rc.content_id limit 1) file \
              left join lateral (select a.sha256, a.size from core_artifact a where a.pulp_id = file.artifact_id limit 1) artifact on true"
        }
        db::Dialect::Sqlite => {
            " join core_contentartifact file on file.content_id = rc.content_id left join core_artifact artifact on artifact.pulp_id = file.artifact_id"
        }
    }
}
