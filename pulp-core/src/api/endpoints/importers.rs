//! Importers, imports, and the check of what could be imported.

mod mapping;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use self::mapping::{KeepMapping, Mapping, is_mapped};
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::ids::Prn;
use crate::import::{self, PulpImport, Source, check_file, check_mapping};
use crate::plugin::Registry;
use crate::resource::{
    ActionHandler, Change, Context, Create, Field, Filter, Input, Kind, Parent, Reply, Resource, Returns, Shape, Target, action_body,
};
use crate::tasks::DispatchOptions;
use crate::{Error, Result};

const IMPORTERS: &str = "importers/core/pulp";

pub(super) fn register(registry: &mut Registry) {
    import::register(registry);
    let texts = |schema: Json| json!({"type": "object", "additionalProperties": schema});
    let mut importers = Resource::new(IMPORTERS, "core_importer", "PulpImporter");
    importers.pulp_type = Some("core.pulp");
    registry.resource(
        importers
            .field(Field::text("name").required().unique().help("The unique name."))
            .detail("core_pulpimporter", "importer_ptr_id")
            .field(
                Field::new("repo_mapping", Kind::Dictionary)
                    .nowhere()
                    .write_only()
                    .keyword("writeOnly", Json::Null)
                    .keyword("additionalProperties", json!({"type": "string", "minLength": 1}))
                    .help("The names of repositories in an archive, each with that of the one here that gets its content."),
            )
            .field(
                Field::computed("repo_mapping", Shape::Schema(texts(json!({"type": "string"}))), Mapping)
                    .keyword("readOnly", Json::Null)
                    .help("The names of repositories in an archive, each with that of the one here that gets its content."),
            )
            .filter(Filter::name("name"))
            .ordered_by(["name", "pulp_type"])
            .create(Create::Now)
            .update(Change::Now)
            .delete(Change::Now)
            .hooks(KeepMapping),
    );
    let mut imports = Resource::new("importers/core/pulp/imports", "core_import", "Import");
    imports.filterable = false;
    imports.default_order = "pulp_id";
    registry.resource(
        imports
            .model("core.pulpimport")
            .parameter("pulp_pulp_import")
            .below(Parent { path: IMPORTERS, segment: "imports", column: "importer_id", key: "importer_pk" })
            .field(Field::href("task", Target::TASK).required().help("The task that imports."))
            .field(Field::json("params").required().keyword("type", "object").help("What was asked for."))
            .delete(Change::Now)
            .detail("core_pulpimport", "import_ptr_id")
            .create_with("PulpImport", fields(), Returns::TaskGroup, CreateImport),
    );
    let evaluation = || {
        Kind::Object(
            "Evaluation",
            vec![
                Field::text("context").required().help("The parameter."),
                Field::boolean("is_valid").required().help("Whether it would do."),
                Field::list("messages", Kind::Text).required().help("Why not."),
            ],
        )
    };
    registry.component(
        "PulpImportCheck",
        check_fields()
            .map(|field| field.write_only().keyword("writeOnly", Json::Null))
            .into_iter()
            .chain(["path", "toc", "repo_mapping"].map(|name| Field::new(name, evaluation()).read_only().keyword("readOnly", Json::Null))),
    );
}

fn fields() -> [Field; 3] {
    [
        Field::text("path").help("The archive, below an allowed directory."),
        Field::text("toc").help("The table of contents of an archive in chunks; they lie beside it."),
        Field::boolean("create_repositories").default(false).help("Whether repositories that are not there are made."),
    ]
}

fn check_fields() -> [Field; 3] {
    [
        Field::text("path").help("An archive."),
        Field::text("toc").help("A table of contents."),
        Field::text("repo_mapping").help("A mapping of repositories, as JSON text."),
    ]
}

fn unsaid(message: &str) -> Error {
    Error::Refused(json!({"non_field_errors": [message]}))
}

/// `POST …/imports/`.
struct CreateImport;

#[async_trait]
impl ActionHandler for CreateImport {
    async fn handle(&self, cx: &Context, importer: Option<Uuid>, input: Input) -> Result<Reply> {
        let importer = importer.ok_or_else(|| Error::Internal("an import belongs to an importer".to_owned()))?;
        let (name, source) = match (input.text("path"), input.text("toc")) {
            (None, None) => return Err(unsaid("One of 'path' or 'toc' must be specified.")),
            (Some(_), Some(_)) => return Err(unsaid("Only one of 'path' and 'toc' may be specified.")),
            (Some(path), None) => ("path", Source::Path(path.to_owned())),
            (None, Some(toc)) => ("toc", Source::Toc(toc.to_owned())),
        };
        let (files, path) = (cx.pulp().import_files().clone(), source.path().to_owned());
        let allowed = tokio::task::spawn_blocking(move || files.covers(std::path::Path::new(&path))).await;
        if !allowed.map_err(|error| Error::Internal(error.to_string()))? {
            return Err(Error::field(name, format!("{name} '{}' is not an allowed import path", source.path())));
        }
        let create_repositories = input.boolean("create_repositories").unwrap_or(false);
        if create_repositories && is_mapped(cx, importer).await? {
            return Err(unsaid("The option 'create_repositories' is not compatible with 'repo_mapping'."));
        }
        let tasks = cx.pulp().tasks();
        let group = tasks.create_group(cx.domain(), &format!("Import of {}", source.path()), &[]).await?;
        let task = PulpImport { importer: Prn::new("core.pulpimporter", importer), source, create_repositories };
        tasks.dispatch(task, DispatchOptions { group: Some(group.pulp_id), ..cx.dispatch_options() }).await?;
        Ok(Reply::TaskGroup(group.pulp_id))
    }
}

/// `POST importers/core/pulp/import-check/`.
pub(crate) async fn check(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let cx = &request.cx;
    let input = action_body(cx, &check_fields(), &body).await?;
    let mut answer = Map::new();
    for name in ["path", "toc"] {
        if let Some(path) = input.text(name) {
            answer.insert(name.to_owned(), json!(check_file(cx.pulp(), path).await));
        }
    }
    if let Some(mapping) = input.text("repo_mapping") {
        answer.insert("repo_mapping".to_owned(), json!(check_mapping(mapping)));
    }
    if answer.is_empty() {
        return Err(unsaid("One of 'path', 'toc', or 'repo_mapping' must be specified.").into());
    }
    Ok(response::json(StatusCode::OK, &Json::Object(answer)))
}
