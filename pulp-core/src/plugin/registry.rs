//! What all plugins of a process have registered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use pulp_migrations::MigrationSet;

use super::{Plugin, PluginDescriptor};
use crate::version::RepositoryType;

/// The types, tasks and end points of one [`Pulp`](crate::Pulp): filled while it is built, fixed from then on.
#[derive(Default)]
pub struct Registry {
    descriptors: Vec<PluginDescriptor>,
    migrations: Vec<MigrationSet>,
    conflicts: Vec<String>,
    repositories: BTreeMap<&'static str, Arc<dyn RepositoryType>>,
}

impl Registry {
    /// Asks a plugin for all it has.
    pub(crate) fn add(&mut self, plugin: &dyn Plugin) {
        let descriptor = plugin.descriptor();
        if self.descriptors.iter().any(|known| known.label == descriptor.label) {
            self.conflict(format!("two plugins are called `{}`", descriptor.label));
        }
        self.descriptors.push(descriptor);
        self.migrations.push(plugin.migrations());
        plugin.register(self);
    }

    /// The plugins, in the order in which they were added.
    pub fn plugins(&self) -> &[PluginDescriptor] {
        &self.descriptors
    }

    /// Their tables, likewise.
    pub fn migrations(&self) -> &[MigrationSet] {
        &self.migrations
    }

    /// Adds the rules of a type of repository.
    pub fn repository(&mut self, rules: impl RepositoryType) {
        let pulp_type = rules.pulp_type();
        if self.repositories.insert(pulp_type, Arc::new(rules)).is_some() {
            self.conflict(format!("the repository type `{pulp_type}` is registered twice"));
        }
    }

    /// The rules of repositories of this type.
    pub fn repository_type(&self, pulp_type: &str) -> Option<&Arc<dyn RepositoryType>> {
        self.repositories.get(pulp_type)
    }

    /// Notes that two registrations do not go together: building the [`Pulp`](crate::Pulp) fails with it.
    pub(crate) fn conflict(&mut self, message: String) {
        self.conflicts.push(message);
    }

    pub(crate) fn conflicts(&self) -> &[String] {
        &self.conflicts
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("plugins", &self.descriptors).finish_non_exhaustive()
    }
}
