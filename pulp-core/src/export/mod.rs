//! Exports: a version or a publication as files on a disk, and repositories as archives in Pulp’s own format.
//!
//! Exporters are objects of the API (`exporters/core/…`); what they do is here, as tasks. Both write below the directories
//! that the operator allows, through handles of directories: no `..` and no symbolic link leads out of them.

mod allowed;
mod archive;
mod chosen;
mod directory;
mod files;
mod filesystem;
mod json;
mod pulp;
mod record;
mod resources;

pub(crate) use allowed::check as check_path;
pub(crate) use archive::checksum;
pub(crate) use chosen::last_exported;
pub(crate) use directory::refused;
pub use filesystem::{ExportPublication, ExportVersion, FilesystemExport, Method};
pub use pulp::{ExportParameters, PulpExport};

use crate::plugin::Registry;

/// Adds the tasks of this module.
pub(crate) fn register(registry: &mut Registry) {
    registry.task::<ExportPublication>();
    registry.task::<ExportVersion>();
    registry.task::<PulpExport>();
}
