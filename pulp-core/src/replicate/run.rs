//! The task that looks at what the upstream has.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::finalize::{FinalizeReplication, Replicated};
use super::local::{Local, labels, settle};
use super::missing::{Kept, remove_missing};
use super::{Upstream, UpstreamPulp};
use crate::clock::Timestamp;
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Distribution, Model, RepositoryVersion};
use crate::plugin::Replicator;
use crate::resource::{GeneralCreate, GeneralUpdate, Input};
use crate::tasks::{DispatchOptions, Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// Replicates the distributions of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicateDistributions {
    /// The upstream.
    pub upstream: Prn,
    /// Which distributions, this time; as the upstream says if unset. With it, nothing is removed.
    #[serde(default)]
    pub q_select: Option<String>,
}

/// What tasks that change the distributions of a domain agree about.
pub(super) fn distributions_of(domain: Uuid) -> String {
    format!("pdrn:{domain}:distributions")
}

#[async_trait]
impl Task for ReplicateDistributions {
    const NAME: &'static str = "pulpcore.app.tasks.replica.replicate_distributions";

    fn resources(&self) -> Resources {
        Resources::none().shared(&self.upstream)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let done = self.replicate(&cx).await;
        // However it went: nobody waits for more tasks.
        if let Some(group) = cx.group() {
            cx.pulp().tasks().complete_group(group).await?;
        }
        done.map(|()| TaskOutput::default())
    }
}

impl ReplicateDistributions {
    async fn replicate(&self, cx: &TaskContext) -> Result<()> {
        let started = cx.pulp().now();
        let row = UpstreamPulp::find(cx.pulp().db(), self.upstream.id).await?;
        let upstream = Upstream::new(cx.pulp(), &row)?;
        let options = DispatchOptions { immediate: Some(false), ..cx.child_options() }.shared(&self.upstream);
        let run = Run { cx, row: &row, upstream: &upstream, options, q_select: self.q_select.as_deref().or(row.q_select.as_deref()) };
        let mut replicated = Vec::new();
        for kind in cx.pulp().registry().replicators() {
            let (names, kept) = run.replicate(kind.as_ref()).await?;
            if self.q_select.is_none() {
                remove_missing(cx, &row, kind.as_ref(), &kept, &run.options).await?;
            }
            replicated.push(Replicated {
                distribution_type: kind.distribution_type().to_owned(),
                repository_type: kind.repository_type().to_owned(),
                names,
            });
        }
        // What was left out this time may have changed meanwhile: only a whole replication is one to start from.
        let started = self.q_select.is_none().then_some(started);
        let last = FinalizeReplication { upstream: self.upstream.clone(), replicated, started };
        let options = DispatchOptions { immediate: Some(false), ..cx.child_options() }.exclusive(distributions_of(cx.domain().pulp_id));
        cx.pulp().tasks().dispatch(last, options).await?;
        Ok(())
    }
}

struct Run<'a> {
    cx: &'a TaskContext,
    row: &'a UpstreamPulp,
    upstream: &'a Upstream,
    /// Of the tasks that do the work.
    options: DispatchOptions,
    q_select: Option<&'a str>,
}

/// A distribution here that a distribution of the upstream will become.
#[derive(FromRow)]
struct Here {
    pulp_id: Uuid,
    pulp_type: String,
    name: String,
    base_path: String,
    pulp_labels: Column<Json>,
    repository_version_id: Option<Uuid>,
}

impl Run<'_> {
    /// Replicates the distributions of one type: their names, and what stands for them here.
    async fn replicate(&self, kind: &dyn Replicator) -> Result<(Vec<String>, Kept)> {
        let collection = self.cx.pulp().registry().resource_of_type(Distribution::TABLE, kind.distribution_type());
        let collection = collection.ok_or_else(|| Error::Internal(format!("there is no resource of {}", kind.distribution_type())))?.path;
        let (mut names, mut kept) = (Vec::new(), Kept::default());
        let mut seen = HashSet::new();
        let mut offset = 0;
        loop {
            let page = self.upstream.page(collection, self.q_select, offset).await?;
            if page.is_empty() {
                return Ok((names, kept));
            }
            offset += page.len();
            for distribution in &page {
                let text = |field: &str| distribution.get(field).and_then(Json::as_str);
                let (Some(name), Some(base_path)) = (text("name"), text("base_path")) else {
                    return Err(Error::BadRequest(format!(
                        "a distribution of the upstream Pulp \"{}\" has no name or path",
                        self.row.name
                    )));
                };
                // A list that changes while it is read can show an object twice.
                if !seen.insert(name.to_owned()) {
                    continue;
                }
                let Some(url) = kind.remote_url(self.upstream, distribution).await? else { continue };
                let url = self.upstream.absolute(&url)?;
                let local = settle(self.cx, self.row, kind, name, &url).await?;
                let here = self.find(name, base_path).await?;
                if !self.is_unchanged(distribution, &local, here.as_ref()).await? {
                    self.sync(kind, &local).await?;
                }
                self.distribute(kind, name, base_path, &local, here.as_ref()).await?;
                kept.remotes.insert(local.remote);
                kept.repositories.insert(local.repository);
                kept.distributions.extend(here.map(|here| here.pulp_id));
                kept.names.insert(name.to_owned());
                names.push(name.to_owned());
            }
        }
    }

    /// The distribution that has the name, or else the path.
    async fn find(&self, name: &str, base_path: &str) -> Result<Option<Here>> {
        let sql = Sql::new(
            "select pulp_id, pulp_type, name, base_path, pulp_labels, repository_version_id from core_distribution \
             where pulp_domain_id = $1 and (name = $2 or base_path = $3) order by case when name = $2 then 0 else 1 end limit 1",
        );
        let domain = self.cx.domain().pulp_id;
        Ok(self.cx.pulp().db().optional(sql.bind(domain).bind(name).bind(base_path)).await?)
    }

    /// Whether the upstream says that what it serves is what the last replication has fetched.
    async fn is_unchanged(&self, distribution: &Json, local: &Local, here: Option<&Here>) -> Result<bool> {
        let since = distribution.get("no_content_change_since").and_then(Json::as_str);
        let since = since.and_then(|text| text.parse::<Timestamp>().ok());
        let (Some(since), Some(last)) = (since, self.row.last_replication) else { return Ok(false) };
        let Some(served) = here.and_then(|here| here.repository_version_id) else { return Ok(false) };
        if local.changed || since >= last {
            return Ok(false);
        }
        Ok(RepositoryVersion::latest(self.cx.pulp().db(), local.repository).await?.pulp_id == served)
    }

    async fn sync(&self, kind: &dyn Replicator, local: &Local) -> Result<()> {
        let registry = self.cx.pulp().registry();
        let model = |table: &str, pulp_type: &str| {
            let found = registry.resource_of_type(table, pulp_type).map(|resource| resource.model.clone());
            found.ok_or_else(|| Error::Internal(format!("there is no resource of the type {pulp_type} in {table}")))
        };
        let repository = Prn::new(model("core_repository", kind.repository_type())?, local.repository);
        let remote = Prn::new(model("core_remote", kind.remote_type())?, local.remote);
        kind.sync(self.cx, repository, remote, self.options.clone()).await.map(|_| ())
    }

    /// Has the distribution made, or changed where it differs. What it serves stays, until all syncs have ended.
    async fn distribute(&self, kind: &dyn Replicator, name: &str, base_path: &str, local: &Local, here: Option<&Here>) -> Result<()> {
        let registry = self.cx.pulp().registry();
        let resource = registry.resource_of_type(Distribution::TABLE, kind.distribution_type());
        let resource = resource.ok_or_else(|| Error::Internal(format!("there is no resource of {}", kind.distribution_type())))?;
        let mut input = Input::default();
        input.set("name", name);
        input.set("base_path", base_path);
        input.set("pulp_labels", labels(self.row, here.map(|here| &here.pulp_labels.0)));
        let rules = registry.repository_type(kind.repository_type());
        let repository = Prn::new(rules.map_or("core.repository", |rules| rules.model()), local.repository);
        let options = self.options.clone().exclusive(distributions_of(self.cx.domain().pulp_id)).shared(repository);
        match here {
            None => self.cx.pulp().tasks().dispatch(GeneralCreate::new(resource.path, input), options).await.map(|_| ()),
            Some(here) if here.pulp_type != kind.distribution_type() => Err(Error::Conflict(format!(
                "there is a distribution \"{}\" of the type {} at {}: rename it, or the distribution of the upstream",
                here.name, here.pulp_type, here.base_path
            ))),
            Some(here) => {
                let same = here.name == name && here.base_path == base_path && input.get("pulp_labels") == Some(&json!(here.pulp_labels.0));
                if same {
                    return Ok(());
                }
                let prn = Prn::new(resource.model.as_str(), here.pulp_id).to_string();
                let task = GeneralUpdate { resource: resource.path.to_owned(), prn, id: here.pulp_id, input };
                self.cx.pulp().tasks().dispatch(task, options).await.map(|_| ())
            }
        }
    }
}
