//! Serving: what is published, and below it what the remote of a distribution has.

use crate::prelude::*;

use super::content::unit;
use super::manifest::{PULP_MANIFEST, check_path};

/// What distributions of the type serve.
pub(super) fn handler() -> Chain {
    Chain::new().then(PublishedHandler).then(PullThroughHandler::new(Files)).used_by(usage)
}

fn usage(url: &str) -> Vec<String> {
    vec![format!("curl -O {url}{PULP_MANIFEST}"), format!("wget {url}{PULP_MANIFEST}"), format!("pulp mirror {url}{PULP_MANIFEST}")]
}

/// A file that is pulled through is a unit at its path; the manifest may change any time.
struct Files;

#[async_trait]
impl PullThrough for Files {
    fn is_unit(&self, path: &ContentPath) -> bool {
        path.as_str() != PULP_MANIFEST && check_path(path.as_str()).is_ok()
    }

    async fn save(&self, tx: &Tx, pulled: &Pulled<'_>) -> Result<Uuid> {
        let path = pulled.path.as_str();
        let sha256 = pulled.digests.get(Algorithm::Sha256).ok_or_else(|| Error::Internal("a pulled file has no sha256".to_owned()))?;
        let saved: SavedUnit =
            save_unit_in(tx, pulled.distribution.pulp_domain_id, &unit(path, sha256), path, pulled.artifact, pulled.pulp.now()).await?;
        let file = Sql::new("select pulp_id from core_contentartifact where content_id = $1 and relative_path = $2");
        Ok(tx.scalar(file.bind(saved.id).bind(path)).await?)
    }
}
