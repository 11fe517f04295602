//! End points that are not plain reading and writing, and the resources that belong to no plugin.

mod access_policies;
pub(super) mod artifacts;
pub(super) mod assignments;
pub(super) mod audit;
mod content;
pub(super) mod disk_usage;
mod domains;
mod exporters;
pub(super) mod groups;
mod guards;
pub(super) mod importers;
pub(super) mod login;
mod masters;
pub(super) mod object_roles;
pub(super) mod orphans;
pub(super) mod repair;
mod roles;
pub(super) mod root;
mod schedules;
pub(super) mod scrub;
mod signing;
mod small;
pub(super) mod status;
pub(super) mod tasks;
mod tokens;
pub(super) mod upkeep;
pub(crate) mod uploads;
mod upstream_pulps;
mod users;
pub(super) mod versions;
mod vulnerabilities;
mod webhooks;
mod workers;

use crate::plugin::Registry;

/// Adds the resources and tasks of core.
pub(crate) fn register(registry: &mut Registry) {
    masters::register(registry);
    crate::resource::bases::dependents::register(registry);
    guards::register(registry);
    artifacts::register(registry);
    tasks::register(registry);
    schedules::register(registry);
    tokens::register(registry);
    audit::register(registry);
    upkeep::register(registry);
    scrub::register(registry);
    disk_usage::register(registry);
    uploads::register(registry);
    users::register(registry);
    groups::register(registry);
    roles::register(registry);
    assignments::register(registry);
    access_policies::register(registry);
    login::register(registry);
    versions::register(registry);
    vulnerabilities::register(registry);
    webhooks::register(registry);
    workers::register(registry);
    domains::register(registry);
    signing::register(registry);
    exporters::register(registry);
    importers::register(registry);
    upstream_pulps::register(registry);
}
