//! Writing one publication.

use uuid::Uuid;

use crate::content::{Change, grace};
use crate::db::{ExecutorExt, Sql, Tx, Value, rows_per_statement};
use crate::ids::{Prn, new_id};
use crate::model::save::{NewArtifact, SavedUnit, UnitFile, save_artifacts, save_files};
use crate::model::{Artifact, Model, Publication, Repository, RepositoryVersion};
use crate::resource::access::give_to_creator;
use crate::storage::Spooled;
use crate::tasks::{Created, TaskContext};
use crate::version::retain_checkpoints;
use crate::{Error, Result};

/// The type of content units that generated files are.
const METADATA: &str = "core.publishedmetadata";

/// A type of publication, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicationKind {
    /// As in `core_publication.pulp_type`: `file.file`.
    pub pulp_type: &'static str,
    /// The model’s label in PRNs: `file.filepublication`.
    pub model: &'static str,
    /// The path of the list below the API’s base: `publications/file/file`.
    pub collection: &'static str,
}

/// A publication in the making. Nobody sees it before [`commit`](Self::commit); if it is dropped before, only rows stay that nobody looks
/// at, until the next orphan cleanup.
///
/// ```
/// use pulp_core::prelude::*;
///
/// static KIND: PublicationKind =
///     PublicationKind { pulp_type: "notes.notes", model: "notes.notespublication", collection: "publications/notes/notes" };
///
/// /// Serves every unit under its own path, and a file that says hello.
/// async fn publish(cx: &TaskContext, version: &RepositoryVersion) -> Result<Publication> {
///     let mut writer = PublicationWriter::begin(cx, version, KIND).await?;
///     writer.pass_through();
///     writer.metadata("hello.txt", cx.pulp().spool().store("hello").await?).await?;
///     writer.commit(Sql::new("insert into notes_publication (publication_ptr_id) values ($1)")).await
/// }
/// ```
#[derive(Debug)]
pub struct PublicationWriter {
    cx: TaskContext,
    kind: PublicationKind,
    id: Uuid,
    repository: Uuid,
    pass_through: bool,
    checkpoint: bool,
    created: bool,
}

impl PublicationWriter {
    /// Begins a publication of a version.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn begin(cx: &TaskContext, version: &RepositoryVersion, kind: PublicationKind) -> Result<Self> {
        let id = new_id();
        let sql = Sql::new(
            "insert into core_publication (pulp_id, pulp_created, pulp_last_updated, pulp_type, repository_version_id, pulp_domain_id) \
             values ($1, $2, $2, $3, $4, $5)",
        );
        let sql = sql.bind(id).bind(cx.pulp().now()).bind(kind.pulp_type).bind(version.pulp_id).bind(cx.domain().pulp_id);
        let tx = cx.pulp().db().begin_relaxed().await?;
        tx.execute(sql).await?;
        if let Some(resource) = cx.pulp().registry().resource_of_type("core_publication", kind.pulp_type) {
            give_to_creator(cx.pulp(), &tx, cx.user(), resource.path, (&resource.model, id)).await?;
        }
        tx.commit().await?;
        Ok(Self { cx: cx.clone(), kind, id, repository: version.repository_id, pass_through: false, checkpoint: false, created: true })
    }

    /// The key that the publication has.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Every file of the version’s units is served under its own path too.
    pub fn pass_through(&mut self) {
        self.pass_through = true;
    }

    /// The publication is a point in time that checkpoint distributions serve.
    pub fn checkpoint(&mut self) {
        self.checkpoint = true;
    }

    /// Adds a generated file under a path.
    ///
    /// # Errors
    /// If the path is taken, or the file cannot be stored.
    pub async fn metadata(&mut self, relative_path: &str, file: Spooled) -> Result<()> {
        let (pulp, domain, now) = (self.cx.pulp(), self.cx.domain().pulp_id, self.cx.pulp().now());
        let sha256 = file.sha256()?;
        let path = Artifact::place(&sha256, domain, pulp.settings().domain_enabled);
        let artifact =
            NewArtifact { file: path.to_string(), size: i64::try_from(file.size()).unwrap_or(i64::MAX), digests: file.digests().clone() };
        let _storing = pulp.storing().read().await;
        pulp.storage().adopt(file, &path).await?;
        let tx = pulp.db().begin_relaxed().await?;
        let stored = save_artifacts(&tx, &[artifact], domain, now).await?;
        let id = new_id();
        let content = Sql::new(
            "insert into core_content (pulp_id, pulp_created, pulp_last_updated, pulp_type, timestamp_of_interest, pulp_domain_id) \
             values ($1, $2, $2, $3, $2, $4)",
        );
        tx.execute(content.bind(id).bind(now).bind(METADATA).bind(domain)).await?;
        let metadata = Sql::new("insert into core_publishedmetadata (content_ptr_id, relative_path, publication_id) values ($1, $2, $3)");
        tx.execute(metadata.bind(id).bind(relative_path).bind(self.id)).await.map_err(|error| taken(error, relative_path))?;
        let file = UnitFile {
            unit: SavedUnit { id, new: true },
            relative_path,
            artifact: stored.get(&sha256.to_string()).copied(),
            source: None,
            expected: &Default::default(),
        };
        save_files(&tx, &[file], domain, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Adds paths that lead to files of units, by the keys of their content artifacts.
    ///
    /// # Errors
    /// If a path is taken.
    pub async fn artifacts(&mut self, paths: &[(String, Uuid)]) -> Result<()> {
        let now = self.cx.pulp().now();
        for some in paths.chunks(rows_per_statement(6)) {
            let mut sql = Sql::new(
                "insert into core_publishedartifact (pulp_id, pulp_created, pulp_last_updated, relative_path, content_artifact_id, publication_id) values ",
            );
            sql.push_rows(some.iter().map(|(path, file)| -> [Value; 6] {
                [new_id().into(), now.into(), now.into(), path.as_str().into(), file.into(), self.id.into()]
            }));
            let first = some.first().map_or("", |(path, _)| path.as_str());
            self.cx.pulp().db().execute(sql).await.map_err(|error| taken(error, first))?;
        }
        Ok(())
    }

    /// Makes the publication visible, at once. `detail` inserts the row of the type’s own table: its `$1` is the publication’s key, and its
    /// values, if it has any more, begin at `$2`.
    ///
    /// # Errors
    /// If the database cannot be reached, or the task is no longer in charge; nothing is visible then.
    pub async fn commit(mut self, detail: Sql) -> Result<Publication> {
        let result = self.finish(detail).await;
        if result.is_err() {
            self.discard().await;
        }
        result
    }

    async fn finish(&mut self, detail: Sql) -> Result<Publication> {
        let tx = self.cx.pulp().db().begin().await?;
        self.cx.hold(&tx).await?;
        let (text, values) = detail.into_parts();
        let detail = values.into_iter().fold(Sql::new(text).bind(self.id), Sql::bind);
        tx.execute(detail).await?;
        let publication = complete(&tx, self).await?;
        let (now, seconds) = (self.cx.pulp().now(), self.cx.pulp().settings().distributed_publication_retention_period);
        grace::note_repository(&tx, self.repository, now, seconds).await?;
        tx.commit().await?;
        self.created = false;
        Change::Repository(self.repository).announce(self.cx.pulp()).await;
        let href = self.cx.pulp().hrefs().object(&self.cx.domain().name, self.kind.collection, self.id);
        self.cx.created(Created { prn: Prn::new(self.kind.model, self.id), href });
        Ok(publication)
    }

    /// Gives the publication up.
    pub async fn discard(&mut self) {
        if !std::mem::take(&mut self.created) {
            return;
        }
        let sql = Sql::new("delete from core_publication where pulp_id = $1 and not complete").bind(self.id);
        if let Err(error) = self.cx.pulp().db().execute(sql).await {
            tracing::warn!(%error, "the rows of a publication that failed stay until the next orphan cleanup");
        }
    }
}

async fn complete(tx: &Tx, writer: &PublicationWriter) -> Result<Publication> {
    let sql = Sql::new(
        "update core_publication set complete = true, pass_through = $2, checkpoint = $3, pulp_last_updated = $4 where pulp_id = $1",
    );
    tx.execute(sql.bind(writer.id).bind(writer.pass_through).bind(writer.checkpoint).bind(writer.cx.pulp().now())).await?;
    if writer.checkpoint
        && let Some(keep) = Repository::find(tx, writer.repository).await?.retain_checkpoints
    {
        retain_checkpoints(tx, writer.repository, keep).await?;
    }
    Publication::find(tx, writer.id).await
}

fn taken(error: crate::db::DbError, path: &str) -> Error {
    if error.is_unique() { Error::Conflict(format!("a path of the publication is taken twice: {path}")) } else { error.into() }
}
