//! The task that makes an artifact of an upload.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::artifacts::store;
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Model, Upload, UploadChunk};
use crate::resource::{Context, Target};
use crate::storage::{ArtifactPath, NewFile, Spooled};
use crate::tasks::{Created, Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// Makes an artifact of an upload’s chunks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommitUpload {
    /// The upload’s key.
    pub(crate) upload: Uuid,
    /// The digest that the whole must have.
    pub(crate) sha256: String,
}

#[async_trait]
impl Task for CommitUpload {
    const NAME: &'static str = "pulpcore.app.tasks.upload.commit";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(Prn::new("core.upload", self.upload))
    }

    async fn run(self, task: TaskContext) -> Result<TaskOutput> {
        let cx = Context::new(task.pulp().clone(), Arc::new(task.domain().clone()));
        // Committed already, or dropped: there is nothing left to do, as in Pulp.
        let upload = match Upload::find(cx.pulp().db(), self.upload).await {
            Ok(upload) => upload,
            Err(Error::NotFound { .. }) => return Ok(TaskOutput::default()),
            Err(other) => return Err(other),
        };
        let file = whole(&cx, &upload).await?;
        let actual = file.sha256()?.to_string();
        if !actual.eq_ignore_ascii_case(self.sha256.trim()) {
            return Err(Error::field("sha256", format!("the upload has the sha256 {actual}, not the one that was given")));
        }
        let id = store(&cx, file).await?;
        super::remove(&cx, self.upload).await?;
        if let Some(href) = cx.href_of(Target::ARTIFACT, id, None) {
            task.created(Created { prn: Prn::new("core.artifact", id), href });
        }
        Ok(TaskOutput::default())
    }
}

/// The chunks, one after the other, as one file. Where chunks overlap, the bytes of the one that begins first count.
pub(super) async fn whole(cx: &Context, upload: &Upload) -> Result<Spooled> {
    let sql = Sql::new("select * from core_uploadchunk where upload_id = $1 order by \"offset\", size desc").bind(upload.pulp_id);
    let chunks: Vec<UploadChunk> = cx.pulp().db().all(sql).await?;
    let mut file = cx.pulp().spool().create_with(NewFile::default());
    let mut at: i64 = 0;
    for chunk in &chunks {
        let end = chunk.offset.saturating_add(chunk.size);
        if chunk.offset > at {
            return Err(missing(at, chunk.offset));
        }
        if end <= at {
            continue;
        }
        let place: ArtifactPath = chunk.file.parse().map_err(|_| Error::Internal("the path of an upload's chunk is no path".to_owned()))?;
        let from = u64::try_from(at - chunk.offset).unwrap_or_default();
        let range = from..u64::try_from(chunk.size).unwrap_or_default();
        let mut bytes = cx.pulp().storage().open(&place, Some(range)).await?;
        while let Some(part) = bytes.next().await {
            file.write(part?).await?;
        }
        at = end;
    }
    if at < upload.size {
        return Err(missing(at, upload.size));
    }
    Ok(file.finish().await?)
}

fn missing(from: i64, to: i64) -> Error {
    Error::BadRequest(format!("The upload is not complete: bytes {from} to {} are missing.", to - 1))
}
