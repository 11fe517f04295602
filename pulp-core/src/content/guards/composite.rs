//! Several guards, of which one must let the request pass.

use async_trait::async_trait;
use uuid::Uuid;

use super::super::{ContentGuard, Denied, GuardRequest};
use super::{denied, found};
use crate::db::{ExecutorExt, Sql};
use crate::resource::Target;

/// Composites may hold composites, themselves included.
const DEPTH: u8 = 4;

/// `core.composite`.
pub(super) struct Composite;

#[async_trait]
impl ContentGuard for Composite {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        if request.depth >= DEPTH {
            tracing::warn!(guard = %request.guard, "content guards hold each other too deeply");
            return Err(denied());
        }
        let sql = Sql::new(
            "select g.pulp_id, g.pulp_type, g.name from core_compositecontentguard_guards m \
             join core_contentguard g on g.pulp_id = m.contentguard_id where m.compositecontentguard_id = $1 order by m.id",
        );
        let members: Vec<(Uuid, String, String)> = found(request, request.pulp.db().all(sql.bind(request.guard)).await.map(Some))?;
        if members.is_empty() {
            return Ok(());
        }
        let registry = request.pulp.registry();
        let mut refusals = Vec::with_capacity(members.len());
        for (guard, kind, name) in members {
            let said = match registry.content_guard(&kind) {
                Some(handler) => handler.permit(&GuardRequest { guard, depth: request.depth + 1, ..*request }).await,
                None => Err(Denied("the content guard cannot be asked".to_owned())),
            };
            match said {
                Ok(()) => return Ok(()),
                Err(Denied(reason)) => refusals.push(refusal(request, guard, &kind, &name, &reason)),
            }
        }
        Err(Denied(format!("Access forbidden. Refusals: [{}]", refusals.join(", "))))
    }
}

/// As Pulp words it, the class of its model included.
fn refusal(request: &GuardRequest<'_>, guard: Uuid, kind: &str, name: &str, reason: &str) -> String {
    let registry = request.pulp.registry();
    let resource = registry.resource_of_type(Target::CONTENT_GUARD.table, kind);
    let path = resource.map_or("contentguards", |resource| resource.path);
    let model = resource.map_or("ContentGuard", |resource| resource.model_name());
    let label = kind.split('.').next().unwrap_or_default();
    let class = match registry.plugins().iter().find(|plugin| plugin.label == label) {
        Some(plugin) => format!("{}.models.{model}", plugin.module),
        None => format!("pulpcore.app.models.publication.{model}"),
    };
    let domain = request.domain;
    let href = request.pulp.hrefs().object(domain, path, guard);
    format!("\"Guard: '{name}', HREF: '{href}', class: '<class '{class}'>', denial: [{reason}].\"")
}
