//! What all plugins of a process have registered.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use pulp_migrations::MigrationSet;

use super::{Plugin, PluginDescriptor};
use crate::resource::Resource;
use crate::tasks::{Reconciler, Task, TaskKind};
use crate::version::RepositoryType;

/// The types, tasks and end points of one [`Pulp`](crate::Pulp): filled while it is built, fixed from then on.
#[derive(Default)]
pub struct Registry {
    descriptors: Vec<PluginDescriptor>,
    migrations: Vec<MigrationSet>,
    conflicts: Vec<String>,
    repositories: BTreeMap<&'static str, Arc<dyn RepositoryType>>,
    resources: Vec<Arc<Resource>>,
    resources_by_path: HashMap<&'static str, Arc<Resource>>,
    resources_by_type: HashMap<&'static str, Vec<Arc<Resource>>>,
    tasks: BTreeMap<&'static str, TaskKind>,
    reconcilers: Vec<Reconciler>,
}

impl Registry {
    /// Adds a kind of task: workers run those that are registered.
    pub fn task<T: Task>(&mut self) {
        if self.tasks.insert(T::NAME, TaskKind::of::<T>()).is_some() {
            self.conflict(format!("two tasks are called `{}`", T::NAME));
        }
    }

    /// The kind of task of this name.
    pub fn find_task(&self, name: &str) -> Option<&TaskKind> {
        self.tasks.get(name)
    }

    /// All kinds of tasks, by name.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskKind> {
        self.tasks.values()
    }

    /// Adds a piece of housekeeping, done again and again by every process that has workers.
    pub fn reconciler(&mut self, reconciler: Reconciler) {
        self.reconcilers.push(reconciler);
    }

    /// All pieces of housekeeping.
    pub fn reconcilers(&self) -> &[Reconciler] {
        &self.reconcilers
    }

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

    /// Adds a REST resource.
    pub fn resource(&mut self, resource: Resource) {
        let resource = Arc::new(resource);
        if self.resources_by_path.insert(resource.path, Arc::clone(&resource)).is_some() {
            self.conflict(format!("two resources lie at `{}`", resource.path));
        }
        if let Some(pulp_type) = resource.pulp_type {
            if self.resource_of_type(resource.table, pulp_type).is_some() {
                self.conflict(format!("two resources have the type `{pulp_type}` in {}", resource.table));
            }
            self.resources_by_type.entry(pulp_type).or_default().push(Arc::clone(&resource));
        }
        self.resources.push(resource);
    }

    /// The REST resources, in the order in which they were added.
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// The resource whose list lies at this path.
    pub fn resource_at(&self, path: &str) -> Option<&Arc<Resource>> {
        self.resources_by_path.get(path)
    }

    /// The resource of this `pulp_type` in a base table.
    pub fn resource_of_type(&self, table: &str, pulp_type: &str) -> Option<&Arc<Resource>> {
        self.resources_by_type.get(pulp_type)?.iter().find(|resource| resource.table == table)
    }

    /// The resource that a path below the API’s base starts with, and the rest of the path.
    pub fn split_path<'p>(&self, path: &'p str) -> Option<(&Arc<Resource>, &'p str)> {
        let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).take(4).collect();
        ends.reverse();
        ends.into_iter().find_map(|at| Some((self.resource_at(&path[..at])?, &path[at + 1..])))
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
