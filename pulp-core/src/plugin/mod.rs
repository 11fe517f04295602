//! The SDK: what a content type implements, and the registry it tells about itself.

mod export;
mod registry;
mod replicate;

pub use export::{Exported, ExportedColumn, ExportedContent, ExportedKind};
pub use registry::Registry;
pub use replicate::Replicator;

use pulp_migrations::MigrationSet;
use serde::Serialize;

/// What a plugin says about itself; shown in the status.
#[derive(Debug, Clone, Serialize)]
pub struct PluginDescriptor {
    /// Short, unique: the first half of its types’ names (`file` in `file.file`).
    pub label: &'static str,
    /// The version whose wire protocol it speaks.
    pub version: &'static str,
    /// The Python distribution that brings this component to a Pulp; clients show it.
    pub package: &'static str,
    /// The Python module likewise.
    pub module: &'static str,
    /// Whether its objects can live in a domain other than the default one.
    pub domain_compatible: bool,
}

/// A content type, or any other extension: all that a third party implements.
pub trait Plugin: Send + Sync + 'static {
    /// What it is.
    fn descriptor(&self) -> PluginDescriptor;

    /// Its tables.
    fn migrations(&self) -> MigrationSet;

    /// Adds its types, tasks and end points.
    fn register(&self, registry: &mut Registry);
}
