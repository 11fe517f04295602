//! Replication: what another Pulp distributes, distributed here.
//!
//! One task looks at what the upstream has, makes remotes, repositories and distributions of the same names, and dispatches the
//! syncs. When all of them have succeeded, a last one lets all distributions serve the new versions, at once.

mod finalize;
mod local;
mod missing;
mod run;
mod upstream;

pub use finalize::FinalizeReplication;
pub use run::ReplicateDistributions;
pub use upstream::{Upstream, UpstreamPulp};

use crate::plugin::Registry;

/// The label by which objects are known to be replicated; its value is the key of the upstream.
pub const LABEL: &str = "UpstreamPulp";

/// Adds the tasks of this module.
pub(crate) fn register(registry: &mut Registry) {
    registry.task::<ReplicateDistributions>();
    registry.task::<FinalizeReplication>();
}
