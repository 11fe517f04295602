//! The `file` content type: plain files, listed in a manifest (`PULP_MANIFEST`).

mod alternate;
mod changes;
mod content;
mod directory;
mod export;
mod git;
mod library;
pub mod manifest;
mod publish;
mod replicate;
mod repository;
mod rest;
mod serve;
mod sync;

pub use changes::Changes;
pub use content::FILE;
pub use directory::IndexDirectory;
pub use library::{Files, Repo, SyncOutcome};
pub use publish::{PUBLICATION, Publish};
pub use repository::FileRepository;
pub use sync::Synchronize;

use pulp_migrations::MigrationSet;

use crate::prelude::*;

/// The content type, to be given to [`PulpBuilder::plugin`](crate::PulpBuilder::plugin).
#[derive(Debug, Clone, Copy, Default)]
pub struct File;

impl Plugin for File {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor { label: "file", version: "3.123.1", package: "pulpcore", module: "pulp_file.app", domain_compatible: true }
    }

    fn migrations(&self) -> MigrationSet {
        pulp_migrations::FILE
    }

    fn register(&self, registry: &mut Registry) {
        registry.content(&FILE);
        registry.repository(repository::Rules);
        registry.exported(&export::EXPORTED);
        registry.replicator(replicate::Replication);
        registry.task::<Synchronize>();
        registry.task::<IndexDirectory>();
        registry.task::<Publish>();
        registry.distribution("file.file", serve::handler());
        rest::register(registry);
    }
}
