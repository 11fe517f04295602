//! Removing what the upstream does not have.

use std::collections::HashSet;

use serde_json::Value as Json;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::run::distributions_of;
use super::{LABEL, UpstreamPulp};
use crate::Result;
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::plugin::Replicator;
use crate::resource::GeneralDelete;
use crate::tasks::{DispatchOptions, TaskContext};

/// Objects that are looked at in one go.
const PAGE: i64 = 1_000;

/// What stands for a distribution of the upstream.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) distributions: HashSet<Uuid>,
    /// Names of distributions. A task of this replication may have made one by now, whose key nobody knows here.
    pub(super) names: HashSet<String>,
    pub(super) repositories: HashSet<Uuid>,
    pub(super) remotes: HashSet<Uuid>,
}

/// Has everything of a type removed that stands for nothing, as far as the policy of the upstream allows it.
pub(super) async fn remove_missing(
    cx: &TaskContext,
    upstream: &UpstreamPulp,
    kind: &dyn Replicator,
    kept: &Kept,
    options: &DispatchOptions,
) -> Result<()> {
    if upstream.policy == "nodelete" {
        return Ok(());
    }
    let nameless = HashSet::new();
    let of = [
        ("core_distribution", kind.distribution_type(), &kept.distributions, &kept.names),
        ("core_repository", kind.repository_type(), &kept.repositories, &nameless),
        ("core_remote", kind.remote_type(), &kept.remotes, &nameless),
    ];
    for (table, pulp_type, kept, names) in of {
        let Some(resource) = cx.pulp().registry().resource_of_type(table, pulp_type) else { continue };
        let mut after = Uuid::nil();
        loop {
            let sql = Sql::new(format!(
                "select pulp_id, name, pulp_labels from {table} where pulp_domain_id = $1 and pulp_type = $2 and pulp_id > $3 order by pulp_id limit $4"
            ));
            let sql = sql.bind(cx.domain().pulp_id).bind(pulp_type).bind(after).bind(PAGE);
            let page: Vec<(Uuid, String, Column<Json>)> = cx.pulp().db().all(sql).await?;
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            for (id, name, labels) in page {
                let ours = labels.get(LABEL).and_then(Json::as_str) == Some(upstream.pulp_id.to_string().as_str());
                let is_kept = kept.contains(&id) || names.contains(&name);
                if is_kept || (upstream.policy == "labeled" && !ours) {
                    continue;
                }
                let prn = Prn::new(resource.model.as_str(), id).to_string();
                let task = GeneralDelete { resource: resource.path.to_owned(), prn, id };
                let options = options.clone().exclusive(distributions_of(cx.domain().pulp_id));
                cx.pulp().tasks().dispatch(task, options).await?;
            }
        }
    }
    Ok(())
}
