//! What all plugins of a process have registered.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use pulp_migrations::MigrationSet;

use super::{Exported, Plugin, PluginDescriptor, Replicator};
use crate::content::{ContentGuard, DistributionHandler};
use crate::model::save::ContentKind;
use crate::resource::{AccessPolicy, Field, Resource};
use crate::tasks::{Reconciler, Task, TaskKind};
use crate::version::RepositoryType;

/// The types, tasks and end points of one [`Pulp`](crate::Pulp): filled while it is built, fixed from then on.
#[derive(Default)]
pub struct Registry {
    descriptors: Vec<PluginDescriptor>,
    migrations: Vec<MigrationSet>,
    conflicts: Vec<String>,
    contents: Vec<&'static ContentKind>,
    repositories: BTreeMap<&'static str, Arc<dyn RepositoryType>>,
    components: BTreeMap<&'static str, Vec<Field>>,
    resources: Vec<Arc<Resource>>,
    resources_by_path: HashMap<&'static str, Arc<Resource>>,
    resources_by_type: HashMap<&'static str, Vec<Arc<Resource>>>,
    policies: BTreeMap<&'static str, AccessPolicy>,
    tasks: BTreeMap<&'static str, TaskKind>,
    reconcilers: Vec<Reconciler>,
    distributions: BTreeMap<&'static str, Arc<dyn DistributionHandler>>,
    guards: BTreeMap<&'static str, Arc<dyn ContentGuard>>,
    exported: BTreeMap<&'static str, &'static Exported>,
    replicators: Vec<Arc<dyn Replicator>>,
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

    /// Adds a type of content units.
    pub fn content(&mut self, kind: &'static ContentKind) {
        if self.contents.iter().any(|known| known.pulp_type == kind.pulp_type) {
            self.conflict(format!("the content type `{}` is registered twice", kind.pulp_type));
        }
        self.contents.push(kind);
    }

    /// The types of content units.
    pub fn contents(&self) -> &[&'static ContentKind] {
        &self.contents
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

    /// Adds a component of the API document that is no resource and no action’s body: the object that an answer of
    /// [`Returns::Component`](crate::resource::Returns::Component) shows. `name` is without the `Response` that answers have
    /// at the end of their component’s name.
    pub fn component(&mut self, name: &'static str, fields: impl IntoIterator<Item = Field>) {
        if self.components.insert(name, fields.into_iter().collect()).is_some() {
            self.conflict(format!("two components of the API document are called `{name}`"));
        }
    }

    /// Components of the API document, by name.
    pub(crate) fn components(&self) -> impl Iterator<Item = (&'static str, &[Field])> {
        self.components.iter().map(|(name, fields)| (*name, fields.as_slice()))
    }

    /// Says who may do what at end points that belong to no resource.
    pub fn policy(&mut self, name: &'static str, policy: AccessPolicy) {
        if self.policies.insert(name, policy).is_some() {
            self.conflict(format!("two access policies are called `{name}`"));
        }
    }

    /// The policies of end points that belong to no resource, by name.
    pub(crate) fn policies(&self) -> impl Iterator<Item = (&&'static str, &AccessPolicy)> {
        self.policies.iter()
    }

    /// The REST resources, in the order in which they were added.
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// The resource whose list lies at this path.
    pub fn resource_at(&self, path: &str) -> Option<&Arc<Resource>> {
        self.resources_by_path.get(path)
    }

    /// The resource whose objects lie below those of the one at `path`, after this segment.
    pub fn resource_below(&self, path: &str, segment: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|resource| resource.parent.is_some_and(|parent| parent.path == path && parent.segment == segment))
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

    /// Adds a type of distributions: `file.file`, and what it serves.
    pub fn distribution(&mut self, pulp_type: &'static str, handler: impl DistributionHandler + 'static) {
        if self.distributions.insert(pulp_type, Arc::new(handler)).is_some() {
            self.conflict(format!("the distribution type `{pulp_type}` is registered twice"));
        }
    }

    /// What serves distributions of this type.
    pub fn distribution_handler(&self, pulp_type: &str) -> Option<&dyn DistributionHandler> {
        self.distributions.get(pulp_type).map(AsRef::as_ref)
    }

    /// Adds a type of content guards: `core.rbac`, say.
    pub fn guard(&mut self, pulp_type: &'static str, guard: impl ContentGuard + 'static) {
        if self.guards.insert(pulp_type, Arc::new(guard)).is_some() {
            self.conflict(format!("the content guard type `{pulp_type}` is registered twice"));
        }
    }

    /// What answers for content guards of this type.
    pub fn content_guard(&self, pulp_type: &str) -> Option<&dyn ContentGuard> {
        self.guards.get(pulp_type).map(AsRef::as_ref)
    }

    /// Says how repositories of a type are exported and imported.
    pub fn exported(&mut self, exported: &'static Exported) {
        if self.exported.insert(exported.pulp_type, exported).is_some() {
            self.conflict(format!("how `{}` is exported is registered twice", exported.pulp_type));
        }
    }

    /// How repositories of this type are exported and imported.
    pub fn exported_type(&self, pulp_type: &str) -> Option<&'static Exported> {
        self.exported.get(pulp_type).copied()
    }

    /// Says how distributions of a type are replicated.
    pub fn replicator(&mut self, replicator: impl Replicator) {
        let kind = replicator.distribution_type();
        if self.replicators.iter().any(|known| known.distribution_type() == kind) {
            self.conflict(format!("how `{kind}` is replicated is registered twice"));
        }
        self.replicators.push(Arc::new(replicator));
    }

    /// How distributions are replicated, type by type.
    pub fn replicators(&self) -> &[Arc<dyn Replicator>] {
        &self.replicators
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
