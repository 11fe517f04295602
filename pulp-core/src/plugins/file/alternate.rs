//! Alternate content sources: what their manifests list is noted as if it were synced on demand.

use super::sync::Synchronize;
use crate::prelude::*;

/// `acs/file/file/`.
pub(super) fn resource() -> Resource {
    Resource::alternate_content_source("acs/file/file", "file.file", "file.FileAlternateContentSource", Manifests)
        .detail("file_filealternatecontentsource", "alternatecontentsource_ptr_id")
}

/// A path leads to a manifest.
struct Manifests;

#[async_trait]
impl Refresh for Manifests {
    fn repository_type(&self) -> &'static str {
        "file.file"
    }

    async fn dispatch(&self, cx: &Context, path: AlternatePath, options: DispatchOptions) -> Result<()> {
        let task = Synchronize { repository: path.repository, remote: path.remote, mirror: false, optimize: false, url: Some(path.url) };
        cx.pulp().tasks().dispatch(task, options).await?;
        Ok(())
    }
}
