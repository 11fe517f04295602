//! Domains: tenants with names, storages and rules of their own.

mod migrate;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::db::{Executor, ExecutorExt, Sql, Tx};
use crate::model::{Domain, Model, backend};
use crate::plugin::Registry;
use crate::resource::{
    AccessPolicy, Action, Change, Compute, Context, Create, Extra, Field, Filter, Hooks, Input, Kind, Record, Resource, Shape, Target,
};
use crate::storage::ArtifactPath;
use crate::{Error, Result};

/// Kinds of storage, as Pulp calls them.
const STORAGE_CLASSES: &[&str] = &[
    "pulpcore.app.models.storage.FileSystem",
    "storages.backends.s3boto3.S3Boto3Storage",
    "storages.backends.s3.S3Storage",
    "storages.backends.azure_storage.AzureStorage",
];

/// Objects of these tables keep a domain from being removed.
const IN_USE: [&str; 5] = ["core_repository", "core_remote", "core_publication", "core_distribution", "core_contentguard"];

pub(super) fn register(registry: &mut Registry) {
    registry.task::<migrate::MigrateBackend>();
    registry.resource(domains());
}

fn class() -> Field {
    Field::choice("storage_class", "StorageClassEnum", STORAGE_CLASSES).required().help("In what kind of storage artifacts lie.")
}

fn domains() -> Resource {
    let mut domains = Resource::new("domains", "core_domain", "Domain");
    domains.in_domain = false;
    domains.labels = Some(201);
    domains.policy = Some(policy());
    let guard = || Shape::Uri;
    domains
        .field(
            Field::text("name")
                .required()
                .unique()
                .max_length(50)
                .check(name)
                .keyword("pattern", "^[-a-zA-Z0-9_]+$")
                .help("The name, which is part of paths."),
        )
        .field(Field::text("description").nullable().help("For people."))
        .field(Field::new("pulp_labels", Kind::Labels))
        .field(class())
        .field(
            Field::json("storage_settings")
                .required()
                .write_only()
                .keyword("writeOnly", Json::Null)
                .keyword("type", "object")
                .help("That storage's settings; secrets are not shown."),
        )
        .field(
            Field::computed("storage_settings", Shape::Schema(json!({"type": "object"})), Settings)
                .required()
                .help("That storage's settings; secrets are not shown."),
        )
        .field(Field::boolean("redirect_to_object_storage").default(true).help("Whether clients are sent to the object storage."))
        .field(Field::boolean("hide_guarded_distributions").default(false).help("Whether guarded distributions are left out of listings."))
        .field(
            Field::text("default_content_guard")
                .nullable()
                .write_only()
                .keyword("writeOnly", Json::Null)
                .nowhere()
                .keyword("format", "uri")
                .keyword("minLength", Json::Null)
                .help("The guard of distributions that are made without one."),
        )
        .field(
            Field::computed("default_content_guard", guard(), Guard)
                .nullable()
                .keyword("readOnly", Json::Null)
                .help("The guard of distributions that are made without one."),
        )
        .field(Field::computed("default_content_guard_prn", Shape::Text, Guard).help("That guard's PRN."))
        .extra("default_content_guard_id", Extra::Uuid)
        .create(Create::Now)
        .update(Change::Task)
        .delete(Change::Task)
        .hooks(Rules)
        .action(
            Action::post("migrate", migrate::Migrate)
                .on_collection()
                .body("DomainBackendMigrator", [class(), Field::json("storage_settings").required().keyword("type", "object")])
                .help("Copies the artifacts of the domain into another storage, and uses that from then on."),
        )
        .filter(Filter::name("name"))
        .ordered_by(["description", "hide_guarded_distributions", "name", "pulp_labels", "redirect_to_object_storage", "storage_class"])
}

fn policy() -> AccessPolicy {
    let may = |verb: &str| format!("has_model_or_obj_perms:core.{verb}_domain");
    let owner = ["core.change_domain", "core.delete_domain", "core.manage_roles_domain", "core.view_domain"];
    AccessPolicy::explicit()
        .rule(&["list", "retrieve", "my_permissions"], &[])
        .rule(&["create"], &["has_model_perms:core.add_domain"])
        .rule(&["update", "partial_update", "migrate", "set_label", "unset_label"], &[&may("change")])
        .rule(&["destroy"], &[&may("delete")])
        .rule(&["list_roles", "add_role", "remove_role"], &[&may("manage_roles")])
        .permission("manage_roles_domain")
        .creator(&["core.domain_owner"])
        .role("core.domain_creator", None, &["core.add_domain"])
        .role("core.domain_owner", None, &owner)
        .role("core.domain_viewer", None, &["core.view_domain"])
}

fn name(value: &Json) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    if matches!(name, "api" | "content") {
        return Err("Name can not be 'api' or 'content'.".to_owned());
    }
    if name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        Ok(())
    } else {
        Err("Enter a valid \"slug\" consisting of letters, numbers, underscores or hyphens.".to_owned())
    }
}

/// The settings of a body, completed and encrypted.
///
/// # Errors
/// A refusal that names what is wrong.
pub(super) fn settings(cx: &Context, class: &str, given: &Json, before: Option<&Map<String, Json>>) -> Result<Map<String, Json>> {
    let refused = |what: Json| Error::Refused(json!({"storage_settings": what}));
    if !backend::is_installed(class) {
        return Err(Error::field("storage_class", "Backend is not installed on Pulp."));
    }
    // A task reads what was checked and encrypted before; nobody else can write what reads as such.
    if given.is_string() {
        return cx.pulp().unseal_settings(given).map_err(|_| refused(json!(["Improper JSON string passed in"])));
    }
    let Json::Object(given) = given else { return Err(refused(json!(["Improper JSON string passed in"]))) };
    backend::complete(class, given, before).map_err(refused)
}

struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        if current.is_some_and(is_default) {
            return Err(Error::BadRequest("Default domain can not be updated.".to_owned()));
        }
        if let Some(guard) = input.get("default_content_guard").cloned() {
            self.guard(cx, input, current, &guard).await?;
        }
        let before = match current {
            Some(row) => Some(cx.pulp().unseal_settings(row.json("storage_settings").unwrap_or(&Json::Null))?),
            None => None,
        };
        let class_before = current.and_then(|row| row.text("storage_class"));
        let class = input.text("storage_class").or(class_before).unwrap_or_default().to_owned();
        let same_class = class_before == Some(class.as_str());
        match input.remove("storage_settings") {
            Some(given) => {
                let values = settings(cx, &class, &given, before.as_ref().filter(|_| same_class))?;
                if !same_class || before.as_ref() != Some(&values) {
                    input.set("storage_settings", cx.pulp().seal_settings(&values)?);
                }
            }
            None if !same_class => {
                settings(cx, &class, &json!({}), None)?;
            }
            None => {}
        }
        Ok(())
    }

    async fn may_delete(&self, _: &Context, current: &Record) -> Result<()> {
        if is_default(current) { Err(Error::BadRequest("Default domain can not be deleted.".to_owned())) } else { Ok(()) }
    }

    async fn created(&self, _: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        set_guard(tx, id, input).await
    }

    async fn updated(&self, _: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        set_guard(tx, before.id(), input).await
    }

    async fn deleting(&self, cx: &Context, tx: &Tx, id: Uuid) -> Result<()> {
        // So that the storage is known when the row that names it is gone.
        if let Ok(any) = format!("artifact/{id}/none").parse::<ArtifactPath>() {
            cx.pulp().storage().holder(&any).await?;
        }
        empty(cx, tx, id).await
    }

    async fn committed(&self, cx: &Context, id: Uuid) {
        if matches!(Domain::find(cx.pulp().db(), id).await, Err(Error::NotFound { .. })) {
            sweep(cx, id).await;
        }
        crate::content::Change::Everything.announce(cx.pulp()).await;
    }
}

impl Rules {
    /// The default guard is one of the domain's own.
    async fn guard(&self, cx: &Context, input: &mut Input, current: Option<&Record>, guard: &Json) -> Result<()> {
        let id = match guard.as_str() {
            None => None,
            Some(text) => {
                let wrong = |message: String| Error::field("default_content_guard", message);
                let row = current.ok_or_else(|| wrong("A domain that does not exist yet has no content guards.".to_owned()))?;
                let domain = Domain::find(cx.pulp().db(), row.id()).await?;
                let inside = Context::new(cx.pulp().clone(), std::sync::Arc::new(domain));
                Some(inside.resolve(Target::CONTENT_GUARD, text).await.map_err(wrong)?)
            }
        };
        if current.is_some_and(|row| row.uuid("default_content_guard_id") == id.as_ref().map(|prn| prn.id)) {
            input.remove("default_content_guard");
        } else {
            input.set("default_content_guard", json!(id.map(|prn| prn.to_string())));
        }
        Ok(())
    }
}

fn is_default(row: &Record) -> bool {
    row.text("name") == Some(Domain::DEFAULT)
}

async fn set_guard(tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
    if input.has("default_content_guard") {
        let sql = Sql::new("update core_domain set default_content_guard_id = $1 where pulp_id = $2");
        tx.execute(sql.bind(input.id("default_content_guard")).bind(id)).await?;
    }
    Ok(())
}

/// Removes what belongs to a domain and to nothing in it that people have made.
async fn empty(cx: &Context, tx: &Tx, id: Uuid) -> Result<()> {
    for table in IN_USE {
        let there = if table == "core_remote" { " and deleted_at is null" } else { "" };
        if !tx.rows(Sql::new(format!("select 1 from {table} where pulp_domain_id = $1{there} limit 1")).bind(id)).await?.is_empty() {
            let what = table.trim_start_matches("core_");
            return Err(Error::Conflict(format!("the domain is in use: it has at least one {what}")));
        }
    }
    let of_domain = "(select pulp_id from core_content where pulp_domain_id = $1)";
    let mut statements = vec![
        "delete from core_remoteartifact where pulp_domain_id = $1".to_owned(),
        "delete from core_remote where pulp_domain_id = $1 and deleted_at is not null".to_owned(),
        format!("delete from core_contentartifact where content_id in {of_domain}"),
    ];
    for kind in cx.pulp().registry().contents() {
        statements.push(format!("delete from {} where content_ptr_id in {of_domain}", kind.table));
    }
    let tables = ["core_content", "core_artifact", "core_upload", "core_pulptemporaryfile", "core_task", "core_taskgroup"];
    for table in tables.into_iter().chain(["core_releasedcontent", "core_releasedartifact"]) {
        statements.push(format!("delete from {table} where pulp_domain_id = $1"));
    }
    for statement in statements {
        tx.execute(Sql::new(statement).bind(id)).await?;
    }
    Ok(())
}

/// Removes the files of a domain that is gone.
async fn sweep(cx: &Context, id: Uuid) {
    use futures::StreamExt;
    let storage = cx.pulp().storage();
    let Ok(any) = format!("artifact/{id}/none").parse::<ArtifactPath>() else { return };
    let Ok(Some(holder)) = storage.holder(&any).await else { return };
    let prefix = format!("artifact/{id}");
    let mut files = holder.list(&prefix);
    while let Some(file) = files.next().await {
        let gone = match file {
            Ok(path) => holder.delete(&path).await,
            Err(error) => Err(error),
        };
        if let Err(error) = gone {
            tracing::warn!(%error, domain = %id, "a file of a domain that is gone could not be removed");
        }
    }
}

struct Settings;

#[async_trait]
impl Compute for Settings {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let one = |row: &Record| {
            // Where the server keeps its own artifacts is nothing that clients need.
            let class = row.text("storage_class").unwrap_or_default();
            let values = cx.pulp().unseal_settings(row.json("storage_settings").unwrap_or(&Json::Null)).unwrap_or_default();
            let values =
                if is_default(row) { backend::complete(class, &values, Some(&default_settings())).unwrap_or_default() } else { values };
            backend::shown(class, &values)
        };
        Ok(rows.iter().map(|row| vec![one(row)]).collect())
    }
}

fn default_settings() -> Map<String, Json> {
    Map::from_iter([("location".to_owned(), json!(""))])
}

/// The default guard, as href and PRN.
struct Guard;

#[async_trait]
impl Compute for Guard {
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let guards: Vec<Uuid> = rows.iter().filter_map(|row| row.uuid("default_content_guard_id")).collect();
        let mut types = std::collections::HashMap::new();
        if !guards.is_empty() {
            let mut sql = Sql::new("select pulp_id, pulp_type from core_contentguard where pulp_id in ");
            sql.push_list(guards);
            types.extend(cx.pulp().db().all::<(Uuid, String)>(sql).await?);
        }
        let one = |row: &Record, field: &str| {
            let Some(id) = row.uuid("default_content_guard_id") else { return Json::Null };
            let Some(kind) = types.get(&id) else { return Json::Null };
            let Some(resource) = cx.pulp().registry().resource_of_type(Target::CONTENT_GUARD.table, kind) else { return Json::Null };
            match field {
                "default_content_guard" => {
                    json!(cx.pulp().hrefs().object(row.text("name").unwrap_or_default(), resource.path, id))
                }
                _ => json!(format!("prn:{}:{id}", resource.model)),
            }
        };
        Ok(rows.iter().map(|row| fields.iter().map(|field| one(row, field)).collect()).collect())
    }
}
