//! End points that are not plain reading and writing, and the resources that belong to no plugin.

pub(super) mod artifacts;
mod content;
pub(super) mod login;
mod masters;
pub(super) mod orphans;
pub(super) mod root;
mod small;
pub(super) mod status;
pub(super) mod tasks;
pub(crate) mod uploads;
mod users;
pub(super) mod versions;
mod workers;

use crate::plugin::Registry;

/// Adds the resources and tasks of core.
pub(crate) fn register(registry: &mut Registry) {
    masters::register(registry);
    artifacts::register(registry);
    tasks::register(registry);
    uploads::register(registry);
    users::register(registry);
    versions::register(registry);
    workers::register(registry);
    small::register(registry);
}
