//! What a content type says so that its distributions can be replicated from another Pulp.

use async_trait::async_trait;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::Result;
use crate::ids::Prn;
use crate::replicate::Upstream;
use crate::tasks::{DispatchOptions, TaskContext};

/// Replicates the distributions of one type: each gets a remote, a repository and a distribution of its own name here. Registered
/// with [`Registry::replicator`](crate::plugin::Registry::replicator).
#[async_trait]
pub trait Replicator: Send + Sync + 'static {
    /// The type of the distributions, as in `core_distribution.pulp_type`. There must be a
    /// [resource](crate::resource::Resource) for it.
    fn distribution_type(&self) -> &'static str;

    /// The type of the remotes.
    fn remote_type(&self) -> &'static str;

    /// The type of the repositories.
    fn repository_type(&self) -> &'static str;

    /// The address that a remote of this distribution of the upstream has; nothing if it serves nothing that could be synced.
    /// `distribution` is as the upstream’s API shows it.
    ///
    /// # Errors
    /// If the upstream cannot be asked.
    async fn remote_url(&self, upstream: &Upstream, distribution: &Json) -> Result<Option<String>>;

    /// Dispatches the task that makes a repository what its remote has.
    ///
    /// # Errors
    /// As [`Tasks::dispatch`](crate::tasks::Tasks::dispatch).
    async fn sync(&self, cx: &TaskContext, repository: Prn, remote: Prn, options: DispatchOptions) -> Result<Uuid>;
}
