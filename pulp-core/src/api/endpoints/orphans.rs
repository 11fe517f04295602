//! Removing what nobody needs any more.

use serde_json::Value as Json;
use uuid::Uuid;

use super::tasks::dispatched;
use crate::Error;
use crate::api::request::Request;
use crate::api::router::Answer;
use crate::resource::{Field, Kind, NO_MATCH, Target, action_body};
use crate::tasks::OrphanCleanup;

/// Removes the orphans of the domain, by a task; a body says which, and how old they must be.
pub(crate) async fn cleanup(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let cx = &request.cx;
    let fields =
        [Field::list("content_hrefs", Kind::Text), Field::integer("orphan_protection_time").nullable().at_least(0).at_most(u32::MAX)];
    let input = action_body(cx, &fields, &body.only(&fields)).await?;
    let hrefs = input.get("content_hrefs").and_then(Json::as_array);
    if hrefs.is_some_and(Vec::is_empty) {
        return Err(Error::field("content_hrefs", "Must not be [].").into());
    }
    let content = match hrefs {
        None => None,
        Some(hrefs) => {
            let mut content: Vec<Uuid> = Vec::with_capacity(hrefs.len());
            for href in hrefs.iter().filter_map(Json::as_str) {
                let unit = cx.resolve(Target::CONTENT, href).await;
                let unit = unit.map_err(|reason| {
                    let told =
                        if reason == NO_MATCH { format!("URI not valid: {href}") } else { format!("URI {href} not found for content.") };
                    Error::field("content_hrefs", told)
                })?;
                content.push(unit.id);
            }
            Some(content)
        }
    };
    dispatched(
        &request,
        OrphanCleanup { domain: cx.domain().pulp_id, content, orphan_protection_time: input.integer("orphan_protection_time") },
    )
    .await
}

/// `DELETE orphans/`, the older way to say it.
pub(crate) async fn delete(request: Request) -> Answer {
    let domain = request.cx.domain().pulp_id;
    dispatched(&request, OrphanCleanup::of(domain)).await
}
