//! Exporters and their exports.

mod fields;
mod filesystem;
mod pulp;

use async_trait::async_trait;

use crate::plugin::Registry;
use crate::resource::{Change, Context, Create, Field, Filter, Hooks, Input, Parent, Record, Resource, Target};
use crate::{Error, Result, export};

pub(super) fn register(registry: &mut Registry) {
    export::register(registry);
    filesystem::register(registry);
    pulp::register(registry);
}

/// What every exporter has.
fn exporter(path: &'static str, pulp_type: &'static str, schema: &'static str) -> Resource {
    let mut exporter = Resource::new(path, "core_exporter", schema);
    exporter.pulp_type = Some(pulp_type);
    exporter
        .field(Field::text("name").required().unique().help("The unique name."))
        .filter(Filter::name("name"))
        .ordered_by(["name", "path", "pulp_type"])
        .create(Create::Now)
        .update(Change::Task)
        .delete(Change::Task)
        .hooks(AllowedPath)
}

fn path(help: &'static str) -> Field {
    Field::text("path").required().help(help)
}

/// What every export has, beside what its kind adds: `exporter` is the path of its exporters.
fn export(exporter: &'static str, path: &'static str, schema: &'static str, table: &'static str) -> Resource {
    let mut export = Resource::new(path, "core_export", schema);
    export.filterable = false;
    export.default_order = "pulp_id";
    export
        .below(Parent { path: exporter, segment: "exports", column: "exporter_id", key: "exporter_pk" })
        .field(Field::href("task", Target::TASK).nullable().help("The task that exports."))
        .field(Field::computed_by("exported_resources", fields::uris(), std::sync::Arc::new(fields::Exported)).help("What is in it."))
        .field(Field::json("params").read_only().keyword("type", "object").help("What was asked for."))
        .delete(Change::Now)
        .detail(table, "export_ptr_id")
}

/// Exporters write to allowed directories only.
struct AllowedPath;

#[async_trait]
impl Hooks for AllowedPath {
    async fn validate(&self, cx: &Context, input: &mut Input, _: Option<&Record>) -> Result<()> {
        let Some(path) = input.text("path") else { return Ok(()) };
        match export::check_path(path, &cx.pulp().settings().allowed_export_paths).await {
            Err(Error::BadRequest(message)) => Err(Error::field("path", message)),
            other => other.map(|_| ()),
        }
    }
}
