//! Exporters to a file system: `exporters/core/filesystem/`.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use super::{export, exporter, path};
use crate::export::{ExportPublication, ExportVersion, FilesystemExport, Method};
use crate::ids::Prn;
use crate::plugin::Registry;
use crate::resource::{ActionHandler, Context, Field, Input, Reply, Returns, Target};
use crate::{Error, Result};

const EXPORTERS: &str = "exporters/core/filesystem";

pub(super) fn register(registry: &mut Registry) {
    registry.resource(
        exporter(EXPORTERS, "core.filesystem", "FilesystemExporter")
            .detail("core_filesystemexporter", "exporter_ptr_id")
            .field(path("The directory that an export makes."))
            .field(Field::choice("method", "MethodEnum", Method::WORDS).default("write").help("How files come to their places."))
            .ordered_by(["method"]),
    );
    let source = |name, target, help| Field::href(name, target).write_only().nowhere().help(help);
    registry.resource(
        export(EXPORTERS, "exporters/core/filesystem/exports", "FilesystemExport", "core_filesystemexport")
            .parameter("filesystem_filesystem_export")
            .fields([
                source("publication", Target::PUBLICATION, "The publication to export."),
                source("repository_version", Target::REPOSITORY_VERSION, "The version to export."),
                source("start_repository_version", Target::REPOSITORY_VERSION, "What this version has is left out."),
            ])
            .create_by(Returns::Task, CreateExport),
    );
}

/// `POST …/exports/`.
struct CreateExport;

#[async_trait]
impl ActionHandler for CreateExport {
    async fn handle(&self, cx: &Context, exporter: Option<Uuid>, input: Input) -> Result<Reply> {
        let exporter = exporter.ok_or_else(|| Error::Internal("an export belongs to an exporter".to_owned()))?;
        let exporter = Prn::new("core.filesystemexporter", exporter);
        let start_repository_version = input.id("start_repository_version");
        match (input.id("publication"), input.id("repository_version")) {
            (Some(what), None) => cx.dispatch(ExportPublication(FilesystemExport { exporter, what, start_repository_version })).await,
            (None, Some(what)) => cx.dispatch(ExportVersion(FilesystemExport { exporter, what, start_repository_version })).await,
            _ => Err(Error::Refused(
                json!({"non_field_errors": ["publication or repository_version must either be supplied but not both."]}),
            )),
        }
    }
}
