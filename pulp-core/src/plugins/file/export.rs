//! What an archive in Pulp’s own format carries of a file repository.

use super::content::FILE;
use super::manifest::check_path;
use crate::prelude::*;

/// Repositories and their units.
pub(super) static EXPORTED: Exported = Exported {
    pulp_type: "file.file",
    module: "pulp_file.app.modelresource",
    resource: "FileRepositoryResource",
    table: "file_filerepository",
    pointer: "repository_ptr_id",
    columns: &[ExportedColumn::text("manifest"), ExportedColumn::boolean("autopublish"), ExportedColumn::json("last_sync_details")],
    not_imported: &["last_sync_details"],
    contents: &[ExportedContent {
        resource: "FileContentResource",
        kind: &FILE,
        columns: &[ExportedColumn::text("relative_path"), ExportedColumn::text("digest")],
        check,
    }],
};

fn check(unit: &Unit) -> Result<(), String> {
    let text = |column| match unit.value(column) {
        Some(Value::Text(Some(text))) => text.as_str(),
        _ => "",
    };
    check_path(text("relative_path")).map_err(|_| format!("\"{}\" is no path of a file", text("relative_path").escape_debug()))?;
    text("digest").parse::<Sha256>().map(|_| ()).map_err(|_| format!("\"{}\" is no sha256", text("digest").escape_debug()))
}
