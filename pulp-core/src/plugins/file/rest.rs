//! The REST resources of the content type.

use serde_json::{Value as Json, json};

use super::content::{FILE, unit};
use super::manifest::{PULP_MANIFEST, check_path};
use super::publish::Publish;
use super::repository::{FileRepository, MODEL};
use super::sync::Synchronize;
use crate::prelude::*;

/// The path of units below the API’s base.
const UNITS: &str = "content/file/files";

/// Adds them all.
pub(super) fn register(registry: &mut Registry) {
    registry.resource(repository());
    registry.resource(content());
    registry.resource(publication());
    registry.resource(distribution());
    registry.resource(super::alternate::resource());
    registry.resource(
        Resource::remote("remotes/file/file", "file.file", "file.FileRemote")
            .detail("file_fileremote", "remote_ptr_id")
            .field(bases::policy(&["immediate", "on_demand", "streamed"])),
    );
    registry.resource(
        Resource::remote("remotes/file/git", "file.git", "file.FileGitRemote")
            .detail("file_filegitremote", "remote_ptr_id")
            .constant("policy", "immediate")
            .field(Field::text("git_ref").default("HEAD").help("The branch, tag or commit whose tree is synced.")),
    );
}

fn manifest_name() -> Field {
    Field::text("manifest").nullable().default(PULP_MANIFEST).help("The name of the manifest; without one none is written.")
}

fn repository() -> Resource {
    Resource::repository("repositories/file/file", "file.file", "file.FileRepository")
        .detail("file_filerepository", "repository_ptr_id")
        .field(Field::boolean("autopublish").default(false).help("Whether each new version is published by itself."))
        .field(manifest_name())
        .field(Field::json("last_sync_details").read_only().help("What the last sync went by."))
        .action(bases::modify())
        .action(bases::compose())
        .action(
            Action::post("sync", Sync)
                .body(
                    "FileRepositorySyncURL",
                    [
                        Field::href("remote", Target::REMOTE).help("The remote to sync from; the repository's own if unset."),
                        Field::boolean("mirror").default(false).help("Whether what the remote no longer has is removed."),
                        Field::boolean("optimize").default(true).help("Whether a sync that would change nothing is skipped."),
                    ],
                )
                .help("Fetches what the remote has into a new version."),
        )
}

/// `POST …/sync/`.
struct Sync;

#[async_trait]
impl ActionHandler for Sync {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, input: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("a sync is done to a repository".to_owned()))?;
        let named = input.id("remote");
        let remote = match named {
            Some(remote) => Some(remote),
            None => Repository::find(cx.pulp().db(), id).await?.remote_id,
        };
        let Some(remote) = remote else {
            return Err(Error::field("remote", "This field is required since a remote is not set on the repository."));
        };
        let remote = Remote::find(cx.pulp().db(), remote).await?;
        let model = match remote.pulp_type.as_str() {
            "file.file" => "file.fileremote",
            "file.git" => "file.filegitremote",
            other => {
                return Err(Error::field(
                    "remote",
                    format!("Type for Remote '{}' ({other}) does not match Repository type file.", remote.name),
                ));
            }
        };
        let mirror = input.boolean("mirror").unwrap_or(false);
        if mirror && FileRepository::find(cx.pulp().db(), id).await?.autopublish {
            return Err(Error::Refused(json!(["Cannot use mirror mode with autopublished repository."])));
        }
        let task = Synchronize {
            repository: Prn::new(MODEL, id),
            remote: Prn::new(model, remote.pulp_id),
            mirror,
            optimize: input.boolean("optimize").unwrap_or(true),
            url: None,
        };
        cx.dispatch(task).await
    }
}

fn content() -> Resource {
    let text = |name| Filter::new(name, FilterKind::Text, Lookup::EXACT);
    Resource::content(UNITS, "file.file", "file.FileContent", CreateContent)
        .made_by(MakeContent)
        .detail("file_filecontent", "content_ptr_id")
        .of_one_file()
        .lasting()
        .field(relative_path())
        .fields(content_file::fields())
        .field(Field::href("repository", Target::REPOSITORY).write_only().nowhere().help("A repository to add the unit to."))
        .field(overwrite())
        .filters([Filter::name("relative_path").in_detail(), text("digest").in_detail(), text("sha256").on("d.digest")])
        .ordered_by(["digest", "relative_path"])
        .policy(
            AccessPolicy::usual()
                .rule(&["upload"], &["has_model_or_domain_perms:file.upload_files"])
                .permission("upload_files")
                .role("file.file_uploader", None, &["file.upload_files"])
                .scope(Scope::InViewedRepositories),
        )
        .action(
            Action::post("upload", UploadContent)
                .on_collection()
                .body(
                    "FileContentUpload",
                    [relative_path(), Field::new("pulp_labels", Kind::Labels), overwrite()].into_iter().chain(content_file::fields()),
                )
                .returns(Returns::Component(201, "FileContentUpload"))
                .help("Makes a unit at once."),
        )
}

fn relative_path() -> Field {
    Field::text("relative_path").required().check(canonical).help("The path of the file below the root of a repository.")
}

fn overwrite() -> Field {
    Field::boolean("overwrite").write_only().nowhere().help("Whether the unit may replace one of the repository.")
}

fn canonical(value: &Json) -> Result<(), String> {
    let path = value.as_str().unwrap_or_default();
    check_path(path).map_err(|_| format!("Relative path is not in canonical form. {path}"))
}

/// `POST` of a unit: settles where its file comes from, and leaves the rest to a task.
struct CreateContent;

#[async_trait]
impl ActionHandler for CreateContent {
    async fn handle(&self, cx: &Context, _: Option<Uuid>, input: Input) -> Result<Reply> {
        content_file::create(cx, FILE.pulp_type, UNITS, input).await
    }
}

/// The task’s part.
struct MakeContent;

#[async_trait]
impl Make for MakeContent {
    async fn make(&self, task: &TaskContext, cx: &Context, input: Input) -> Result<Uuid> {
        let id = save(cx, &input).await?;
        if let Some(repository) = input.id("repository") {
            let overwrite = input.boolean("overwrite").unwrap_or(true);
            AddAndRemove { overwrite, ..AddAndRemove::new(Prn::new(MODEL, repository)).with([id]) }.apply(task).await?;
        }
        content_file::done(cx, &input).await?;
        Ok(id)
    }
}

/// `POST …/upload/`.
struct UploadContent;

#[async_trait]
impl ActionHandler for UploadContent {
    async fn handle(&self, cx: &Context, _: Option<Uuid>, mut input: Input) -> Result<Reply> {
        content_file::settle(cx, FILE.pulp_type, &mut input).await?;
        let id = save(cx, &input).await?;
        content_file::done(cx, &input).await?;
        Ok(Reply::Object(StatusCode::CREATED, id))
    }
}

/// Makes the unit, or finds it: its key.
async fn save(cx: &Context, input: &Input) -> Result<Uuid> {
    let artifact = content_file::artifact(cx, input).await?;
    let path = input.text("relative_path").unwrap_or_default();
    let saved = save_unit(cx.pulp(), cx.domain().pulp_id, &unit(path, &artifact.sha256), path, artifact.pulp_id).await?;
    match input.get("pulp_labels") {
        Some(labels) if saved.new => {
            let sql = Sql::new("update core_content set pulp_labels = $2 where pulp_id = $1");
            cx.pulp().db().execute(sql.bind(saved.id).bind(labels.clone())).await?;
        }
        _ => {}
    }
    Ok(saved.id)
}

fn publication() -> Resource {
    Resource::publication("publications/file/file", "file.file", "file.FilePublication", CreatePublication)
        .detail("file_filepublication", "publication_ptr_id")
        .field(manifest_name())
}

/// `POST` of a publication.
struct CreatePublication;

#[async_trait]
impl ActionHandler for CreatePublication {
    async fn handle(&self, cx: &Context, _: Option<Uuid>, input: Input) -> Result<Reply> {
        let db = cx.pulp().db();
        let version = match (input.id("repository_version"), input.id("repository")) {
            (Some(version), _) => RepositoryVersion::find(db, version).await?,
            (None, Some(repository)) => RepositoryVersion::latest(db, repository).await?,
            (None, None) => return Err(Error::Refused(json!({"repository": ["This field is required."]}))),
        };
        let task = Publish {
            repository: Prn::new(MODEL, version.repository_id),
            repository_version: Some(version.pulp_id),
            manifest: input.text("manifest").map(str::to_owned),
            checkpoint: input.boolean("checkpoint").unwrap_or(false),
        };
        cx.dispatch(task).await
    }
}

fn distribution() -> Resource {
    Resource::distribution("distributions/file/file", "file.file", "file.FileDistribution")
        .field(bases::repository())
        .field(bases::repository_version())
        .field(bases::publication())
        .field(Field::boolean("checkpoint").in_base().help("Whether it serves the checkpoints of its repository."))
        .detail("file_filedistribution", "distribution_ptr_id")
}
