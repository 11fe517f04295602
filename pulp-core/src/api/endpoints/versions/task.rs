//! The task that deletes a version.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Model, RepositoryVersion};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Result, version};

/// Deletes a version of a repository.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeleteVersion {
    /// The repository’s PRN.
    pub(crate) repository: String,
    /// The version’s key.
    pub(crate) version: Uuid,
}

#[async_trait]
impl Task for DeleteVersion {
    const NAME: &'static str = "pulpcore.app.tasks.repository.delete_version";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.repository)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let version = RepositoryVersion::find(cx.pulp().db(), self.version).await?;
        version::delete_version(cx.pulp().db(), &version).await?;
        Ok(TaskOutput::default())
    }
}
