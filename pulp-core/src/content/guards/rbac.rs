//! By who asks: users who log in, and may download.

use async_trait::async_trait;
use uuid::Uuid;

use super::super::{ContentGuard, Denied, GuardRequest};
use crate::Pulp;
use crate::api::Asker;
use crate::db::DbError;
use crate::resource::Grants;

/// `core.rbac`.
pub(super) struct Rbac;

#[async_trait]
impl ContentGuard for Rbac {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        let asker = crate::api::asker_of(request.pulp, request.headers).await;
        let asker = asker.ok_or_else(|| Denied("Authentication credentials were not provided.".to_owned()))?;
        let domain = request.distribution.pulp_domain_id;
        let may = may_download(request.pulp, asker, domain, request.guard).await.unwrap_or_else(|error| {
            tracing::error!(%error, guard = %request.guard, "it cannot be found out who may download");
            false
        });
        if may { Ok(()) } else { Err(Denied("You do not have permission to perform this action.".to_owned())) }
    }
}

/// What a user needs to download, on the guard, on all guards of its domain, or on all.
pub(crate) const DOWNLOAD: &str = "core.download_rbaccontentguard";

/// What roles on such guards are stored with.
pub(crate) const MODEL: &str = "core.rbaccontentguard";

/// Whether somebody may download what this guard guards.
async fn may_download(pulp: &Pulp, asker: Asker, domain: Uuid, guard: Uuid) -> Result<bool, DbError> {
    let (db, catalogue) = (pulp.db(), pulp.access());
    let grants = Grants::load(db, &asker.user, domain).await?.within(asker.limit);
    Ok(grants.everywhere(catalogue, DOWNLOAD)
        || grants.in_domain(catalogue, DOWNLOAD)
        || grants.on_object(db, catalogue, (MODEL, guard), DOWNLOAD).await?)
}
