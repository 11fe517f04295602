//! Exporters in Pulp’s own format: `exporters/core/pulp/`.

mod chunk;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::fields::{Repositories, uris};
use super::{export, exporter, path};
use crate::db::{ExecutorExt, Sql, Tx, Value, rows_per_statement};
use crate::export::{ExportParameters, PulpExport, last_exported};
use crate::ids::Prn;
use crate::model::{Model, RepositoryVersion};
use crate::plugin::Registry;
use crate::resource::{ActionHandler, Context, Field, Hooks, Input, Kind, Record, Reply, Returns, Target};
use crate::{Error, Result};

const EXPORTERS: &str = "exporters/core/pulp";

/// What is said of versions of other repositories.
const NOT_ITS: &str = "Requested RepositoryVersions must belong to the Repositories named by the Exporter!";

pub(super) fn register(registry: &mut Registry) {
    registry.resource(
        exporter(EXPORTERS, "core.pulp", "PulpExporter")
            .detail("core_pulpexporter", "exporter_ptr_id")
            .field(path("The directory that archives are written to."))
            .field(
                Field::list("repositories", Kind::Href(Target::REPOSITORY))
                    .required()
                    .nowhere()
                    .write_only()
                    .keyword("writeOnly", Json::Null)
                    .help("The repositories that are exported."),
            )
            .field(Field::computed("repositories", uris(), Repositories).required().help("The repositories that are exported."))
            .field(
                Field::href("last_export", Target::PULP_EXPORT)
                    .nullable()
                    .help("The last export: an incremental one that names no versions starts from it."),
            )
            .hooks(KeepRepositories),
    );
    let versions = |name, help| {
        Field::list(name, Kind::Href(Target::REPOSITORY_VERSION))
            .write_only()
            .nowhere()
            .elsewhere(NOT_ITS)
            .keyword("items", json!({"type": "string", "format": "uri", "writeOnly": true}))
            .help(help)
    };
    // Defaults that are told and not filled in: an export shows what it was asked for, and no more.
    let truth = |name, default: bool, help| Field::boolean(name).write_only().nowhere().keyword("default", default).help(help);
    registry.resource(
        export(EXPORTERS, "exporters/core/pulp/exports", "PulpExport", "core_pulpexport")
            .parameter("pulp_pulp_export")
            .fields([
                truth("full", true, "Whether it is whole, or has only what the recipient lacks."),
                truth("dry_run", false, "Taken, and without effect, as with Pulp."),
                versions("versions", "The versions to export, one of each repository; the latest of each if unset."),
                Field::text("chunk_size").write_only().nowhere().help("The size of a chunk, such as `100MB`."),
                versions("start_versions", "The versions that the recipient has, one of each repository."),
                Field::new("meta", Kind::Dictionary).write_only().nowhere().help("Notes for the table of contents."),
            ])
            .field(Field::json("output_file_info").read_only().keyword("type", "object").help("The files, each with its checksum."))
            .field(Field::json("toc_info").read_only().keyword("type", "object").help("The table of contents."))
            .create_by(Returns::Task, CreateExport),
    );
}

/// Keeps the list of an exporter’s repositories.
struct KeepRepositories;

impl KeepRepositories {
    async fn write(tx: &Tx, exporter: Uuid, input: &Input) -> Result<()> {
        let Some(repositories) = input.get("repositories") else { return Ok(()) };
        let mut ids: Vec<Uuid> = prns(repositories).map(|prn| prn.id).collect();
        ids.sort_unstable();
        ids.dedup();
        tx.execute(Sql::new("delete from core_pulpexporter_repositories where pulpexporter_id = $1").bind(exporter)).await?;
        for some in ids.chunks(rows_per_statement(2)) {
            let mut sql = Sql::new("insert into core_pulpexporter_repositories (pulpexporter_id, repository_id) values ");
            sql.push_rows(some.iter().map(|id| -> [Value; 2] { [exporter.into(), id.into()] }));
            tx.execute(sql).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Hooks for KeepRepositories {
    async fn created(&self, _: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        Self::write(tx, id, input).await
    }

    async fn updated(&self, _: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        Self::write(tx, before.id(), input).await
    }
}

/// The objects that a validated list names.
fn prns(list: &Json) -> impl Iterator<Item = Prn> + '_ {
    list.as_array().into_iter().flatten().filter_map(|prn| prn.as_str()?.parse().ok())
}

/// `POST …/exports/`.
struct CreateExport;

#[async_trait]
impl ActionHandler for CreateExport {
    async fn handle(&self, cx: &Context, exporter: Option<Uuid>, input: Input) -> Result<Reply> {
        let exporter = exporter.ok_or_else(|| Error::Internal("an export belongs to an exporter".to_owned()))?;
        let db = cx.pulp().db();
        let sql = Sql::new(
            "select r.pulp_id, r.pulp_type from core_pulpexporter_repositories e join core_repository r on r.pulp_id = e.repository_id \
             where e.pulpexporter_id = $1 order by r.pulp_id",
        );
        let owned: Vec<(Uuid, String)> = db.all(sql.bind(exporter)).await?;
        let mut errors = Map::new();
        let mut chosen = [Vec::new(), Vec::new()];
        for (name, chosen) in ["versions", "start_versions"].into_iter().zip(&mut chosen) {
            if let Some(list) = input.get(name) {
                *chosen = prns(list).map(|prn| prn.id).collect();
                if let Some(message) = unfit(cx, chosen, &owned).await? {
                    errors.insert(name.to_owned(), json!([message]));
                }
            }
        }
        let [versions, start_versions] = chosen;
        let chunk_size = match input.text("chunk_size").map(chunk::size) {
            None => None,
            Some(Ok(size)) => Some(size),
            Some(Err(message)) => {
                errors.insert("chunk_size".to_owned(), json!([message]));
                None
            }
        };
        if !errors.is_empty() {
            return Err(Error::Refused(Json::Object(errors)));
        }
        let full = input.boolean("full").unwrap_or(true);
        let refused = |message: &str| Err(Error::Refused(json!({"non_field_errors": [message]})));
        if full && input.has("start_versions") {
            return refused("start_versions is only valid for incremental exports (full=False)");
        }
        if !full && start_versions.is_empty() && last_exported(db, exporter).await?.is_empty() {
            return refused(
                "Incremental export can only be requested when there is a previous export or start_versions= has been specified.",
            );
        }
        let meta = input.get("meta").and_then(Json::as_object).cloned().unwrap_or_default();
        let repositories = owned.iter().filter_map(|(id, kind)| cx.prn_of(Target::REPOSITORY, *id, Some(kind))).collect();
        let shown = shown(cx, &input).await?;
        let parameters = ExportParameters { shown, versions, start_versions, full, chunk_size, meta };
        cx.dispatch(PulpExport { exporter: Prn::new("core.pulpexporter", exporter), repositories, parameters }).await
    }
}

/// Why these cannot be the versions of an exporter’s repositories.
async fn unfit(cx: &Context, versions: &[Uuid], owned: &[(Uuid, String)]) -> Result<Option<String>> {
    if versions.len() != owned.len() {
        return Ok(Some(format!(
            "Number of versions ({}) does not match the number of Repositories ({}) for the owning  Exporter!",
            owned.len(),
            versions.len()
        )));
    }
    let found = RepositoryVersion::find_many(cx.pulp().db(), versions).await?;
    let mut repositories: Vec<Uuid> = found.iter().map(|version| version.repository_id).collect();
    repositories.sort_unstable();
    repositories.dedup();
    let all = repositories.len() == owned.len() && owned.iter().all(|(id, _)| repositories.contains(id));
    Ok((!all).then(|| NOT_ITS.to_owned()))
}

/// The body as an export shows it: versions by their hrefs.
async fn shown(cx: &Context, input: &Input) -> Result<Json> {
    let mut shown = Map::new();
    for (name, value) in input.iter().filter(|(name, _)| *name != "task") {
        let value = match name {
            "versions" | "start_versions" => {
                let mut hrefs = Vec::new();
                for prn in prns(value) {
                    let version = RepositoryVersion::find(cx.pulp().db(), prn.id).await?;
                    let repository = crate::model::Repository::find(cx.pulp().db(), version.repository_id).await?;
                    let href = cx.href_of(Target::REPOSITORY, repository.pulp_id, Some(&repository.pulp_type)).unwrap_or_default();
                    hrefs.push(json!(format!("{href}versions/{}/", version.number)));
                }
                Json::Array(hrefs)
            }
            _ => value.clone(),
        };
        shown.insert(name.to_owned(), value);
    }
    Ok(Json::Object(shown))
}
