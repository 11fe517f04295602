//! The record of who changed what, and when. Pulp has none.

use crate::api::crud;
use crate::api::request::Request;
use crate::api::router::Answer;
use crate::plugin::Registry;
use crate::resource::{Field, Filter, FilterKind, Lookup, Resource};
use crate::{Error, Result};

const PATH: &str = "audit";

/// It is for administrators to read, and for nobody to change.
pub(super) fn register(registry: &mut Registry) {
    let text = |name| Filter::new(name, FilterKind::Text, &[Lookup::Exact, Lookup::In]);
    let mut records = Resource::new(PATH, "core_auditrecord", "AuditRecord");
    records.in_domain = false;
    records.fields.retain(|field| field.name != "pulp_last_updated");
    records.ordering = vec!["pulp_id", "pulp_created"];
    registry.resource(
        records
            .help("A request that changed something, or was to: who sent it, and what became of it. Bodies are not kept.")
            .field(Field::text("username").read_only().help("Who asked."))
            .field(Field::integer("user_id").column("user_id").read_only().help("The key of the user, who may be gone."))
            .field(
                Field::text("authentication")
                    .read_only()
                    .help("How it was known who asked: password, token, oidc, session, remote_user, json_header."),
            )
            .field(Field::new("token", crate::resource::Kind::Uuid).column("token_id").nullable().read_only().help("The key of the token."))
            .field(Field::text("remote_address").nullable().read_only().help("The other end of the connection: a proxy, if there is one."))
            .field(Field::text("forwarded_for").nullable().read_only().help("For whom a proxy said that it asked; nothing vouches for it."))
            .field(Field::text("correlation_id").read_only().help("What log lines and tasks of the request carry."))
            .field(Field::text("method").read_only().help("The method."))
            .field(Field::text("operation").read_only().help("The path below the base, with names in the place of keys."))
            .field(Field::text("path").read_only().help("The path."))
            .field(Field::text("object").nullable().read_only().help("The href of what was made or changed."))
            .field(
                Field::integer("status").nullable().read_only().help("The status of the answer; null if the client did not wait for it."),
            )
            .field(Field::text("task").nullable().read_only().help("The href of the task, or group of tasks, that went on with it."))
            .filters([
                text("username"),
                text("authentication"),
                text("correlation_id"),
                text("method"),
                Filter::new("operation", FilterKind::Text, &[Lookup::Exact, Lookup::In, Lookup::Contains, Lookup::StartsWith]),
                text("object"),
                Filter::new("status", FilterKind::Integer, &[Lookup::Exact, Lookup::Gte, Lookup::Lt]),
                Filter::time("pulp_created"),
            ]),
    );
}

/// `GET audit/`: what this process has done a moment ago is among it.
pub(crate) async fn list(request: Request) -> Answer {
    let pulp = request.cx.pulp().clone();
    pulp.flush_audit().await;
    crud::list(request, records(&pulp)?).await
}

fn records(pulp: &crate::Pulp) -> Result<std::sync::Arc<Resource>> {
    pulp.registry().resource_at(PATH).cloned().ok_or_else(|| Error::Internal(format!("there is no resource at {PATH}")))
}
