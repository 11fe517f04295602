//! Publishing a version: every file under its own path, and the manifest.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::manifest::write_line;
use crate::prelude::*;

/// Publications of the type `file.file`.
pub static PUBLICATION: PublicationKind =
    PublicationKind { pulp_type: "file.file", model: "file.filepublication", collection: "publications/file/file" };

/// Lines of the manifest that are written in one go.
const PAGE: usize = 5_000;

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
    let mut lines = page(db, version, None).await?;
    while let Some((last, ..)) = lines.last() {
        // While these go into the file, the next are read.
        let next = async { if lines.len() < PAGE { Ok(Vec::new()) } else { page(db, version, Some(*last)).await } };
        let write = async {
            let mut text = Vec::with_capacity(lines.len() * 96);
            for (_, path, digest, size) in &lines {
                let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                write_line(&mut text, path, digest, size).map_err(|error| Error::io("the manifest cannot be written", error))?;
            }
            Ok(file.write(Bytes::from(text)).await?)
        };
        (lines, ()) = tokio::try_join!(next, write)?;
    }
    Ok(file.finish().await?)
}

/// A file’s key, path, digest, and size, which of one that is not here only its sources tell.
type Line = (Uuid, String, String, Option<i64>);

/// Some of the version’s files, in the order of their keys.
async fn page(db: &db::Db, version: &RepositoryVersion, after: Option<Uuid>) -> Result<Vec<Line>> {
    let mut sql = Sql::new(
        "select unit.content_ptr_id, unit.relative_path, unit.digest, coalesce(artifact.size, (\
            select max(source.size) from core_remoteartifact source where source.content_artifact_id = file.pulp_id)) \
         from core_repositorycontent rc \
         join file_filecontent unit on unit.content_ptr_id = rc.content_id \
         join core_contentartifact file on file.content_id = rc.content_id \
         left join core_artifact artifact on artifact.pulp_id = file.artifact_id",
    );
    Members::of(version).push_where(&mut sql);
    if let Some(after) = after {
        sql.push(" and rc.content_id > ").push_bind(after);
    }
    sql.push(" order by rc.content_id limit ").push_bind(PAGE as i64);
    Ok(db.all(sql).await?)
}
