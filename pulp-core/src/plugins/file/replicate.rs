//! Replicating distributions of files.

use serde_json::Value as Json;

use super::manifest::PULP_MANIFEST;
use super::sync::Synchronize;
use crate::prelude::*;

/// See [`Replicator`].
pub(super) struct Replication;

#[async_trait]
impl Replicator for Replication {
    fn distribution_type(&self) -> &'static str {
        "file.file"
    }

    fn remote_type(&self) -> &'static str {
        "file.file"
    }

    fn repository_type(&self) -> &'static str {
        "file.file"
    }

    async fn remote_url(&self, upstream: &Upstream, distribution: &Json) -> Result<Option<String>> {
        let named = |field: &str| distribution.get(field).and_then(Json::as_str).map(str::to_owned);
        let Some(base) = named("base_url") else { return Ok(None) };
        // What says how the manifest is called: the publication, or the repository that is published.
        let version = named("repository_version");
        let repository =
            version.as_deref().and_then(|version| version.split_once("versions/")).map(|(repository, _)| repository.to_owned());
        let Some(source) = named("publication").or_else(|| named("repository")).or(repository) else { return Ok(None) };
        let source = upstream.read(&source).await?;
        let manifest = source.get("manifest").and_then(Json::as_str).unwrap_or(PULP_MANIFEST);
        Ok(Some(format!("{base}{manifest}")))
    }

    async fn sync(&self, cx: &TaskContext, repository: Prn, remote: Prn, options: DispatchOptions) -> Result<Uuid> {
        let task = Synchronize { repository, remote, mirror: true, optimize: true };
        Ok(cx.pulp().tasks().dispatch(task, options).await?.pulp_id)
    }
}
