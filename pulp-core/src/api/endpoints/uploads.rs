//! Uploads in chunks: made, filled in any order, committed to an artifact.

pub(crate) mod range;
mod task;

use http::StatusCode;
use http::header::CONTENT_RANGE;
use serde_json::json;
use uuid::Uuid;

use self::range::ContentRange;
use crate::api::crud;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::db::{ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{Model, Upload, UploadChunk};
use crate::plugin::Registry;
use crate::resource::{AccessPolicy, Context, Create, Field, Filter, FilterKind, Lookup, Record, Resource, action_body};
use crate::storage::ArtifactPath;
use crate::{Error, Pulp, Result};

pub(super) fn register(registry: &mut Registry) {
    registry.task::<task::CommitUpload>();
    let mut uploads = Resource::new("uploads", "core_upload", "Upload");
    uploads.roles = true;
    // So Pulp's document says; what is sent is a role as everywhere.
    uploads.role_body = "Upload";
    let owner = ["core.change_upload", "core.delete_upload", "core.manage_roles_upload", "core.view_upload"];
    uploads.policy = Some(
        AccessPolicy::usual()
            .rule(&["update", "partial_update", "commit"], &["has_model_or_domain_or_obj_perms:core.change_upload"])
            .rule(&["destroy"], &["has_model_or_domain_or_obj_perms:core.delete_upload"])
            .role("core.upload_owner", None, &owner),
    );
    registry.resource(
        uploads
            .field(Field::integer("size").required().at_least(0).keyword("minimum", json!(null)).help("Bytes of the whole file."))
            .create(Create::Now)
            .ordered_by(["size"])
            .filter(Filter::new("size", FilterKind::Integer, &[Lookup::Exact, Lookup::Lt, Lookup::Gt, Lookup::Range])),
    );
}

fn resource(cx: &Context) -> Result<std::sync::Arc<Resource>> {
    cx.pulp().registry().resource_at("uploads").cloned().ok_or_else(|| Error::Internal("there is no resource of uploads".to_owned()))
}

async fn find(request: &Request) -> Result<Record, ApiError> {
    let uploads = resource(&request.cx)?;
    crud::find(request, &uploads).await
}

/// An upload with its chunks.
pub(crate) async fn read(request: Request) -> Answer {
    let uploads = resource(&request.cx)?;
    let row = find(&request).await?;
    let chunks = Sql::new("select * from core_uploadchunk where upload_id = $1 order by pulp_created, pulp_id").bind(row.id());
    let chunks: Vec<UploadChunk> = request.cx.pulp().db().all(chunks).await?;
    let mut body = uploads.to_json(&request.cx, row).await?;
    body["chunks"] = chunks.iter().map(|chunk| json!({"offset": chunk.offset, "size": chunk.size})).collect();
    Ok(response::json(StatusCode::OK, &body))
}

/// Takes a chunk. One that has the place of another takes its place.
pub(crate) async fn chunk(mut request: Request) -> Answer {
    let uploads = resource(&request.cx)?;
    let row = find(&request).await?;
    let size = row.integer("size").unwrap_or_default();
    let body = request.payload().await?;
    let fields = [Field::file("file").required(), Field::text("sha256").nullable()];
    let mut input = action_body(&request.cx, &fields, &body).await?.with_files(body.files);
    let refused = |message: &str| ApiError::new(StatusCode::BAD_REQUEST, json!({"non_field_errors": [message]}));
    let Some(file) = input.take_file("file") else { return Err(Error::field("file", "No file was submitted.").into()) };
    if file.size() == 0 {
        return Err(Error::field("file", "The submitted file is empty.").into());
    }
    let header = request.headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).and_then(ContentRange::parse);
    let range = header.ok_or_else(|| refused("Invalid or missing content range header."))?;
    if i64::try_from(file.size()) != Ok(range.size()) {
        return Err(refused("Chunk size does not match content range."));
    }
    if range.last >= size {
        return Err(refused("End byte is greater than upload size."));
    }
    if let Some(wanted) = input.text("sha256")
        && !file.sha256().map_err(Error::from)?.to_string().eq_ignore_ascii_case(wanted)
    {
        return Err(Error::BadRequest("Checksum does not match chunk upload.".to_owned()).into());
    }
    let pulp = request.cx.pulp();
    let id = new_id();
    let place: ArtifactPath =
        format!("upload/{}/{id}", row.id()).parse().map_err(|_| Error::Internal("a chunk's path is no path".to_owned()))?;
    pulp.storage().adopt(file, &place).await.map_err(Error::from)?;
    match note_chunk(pulp, row.id(), id, range, &place).await {
        Ok(replaced) => drop_files(&request.cx, &replaced).await,
        Err(error) => {
            drop_files(&request.cx, &[place.to_string()]).await;
            return Err(error.into());
        }
    }
    let body = uploads.render_one(&request.cx, &Default::default(), row).await?;
    Ok(response::raw_json(StatusCode::OK, body))
}

/// Writes the row of a stored chunk; gives the files of those whose place it takes.
async fn note_chunk(pulp: &Pulp, upload: Uuid, id: Uuid, range: ContentRange, place: &ArtifactPath) -> Result<Vec<String>> {
    let now = pulp.now();
    let tx = pulp.db().begin().await?;
    let replaced = Sql::new("delete from core_uploadchunk where upload_id = $1 and \"offset\" = $2 and size = $3 returning file");
    let replaced: Vec<String> = tx.column(replaced.bind(upload).bind(range.first).bind(range.size())).await?;
    let insert = Sql::new(
        "insert into core_uploadchunk (pulp_id, pulp_created, pulp_last_updated, \"offset\", size, file, upload_id) values ($1, $2, $2, $3, $4, $5, $6)",
    );
    tx.execute(insert.bind(id).bind(now).bind(range.first).bind(range.size()).bind(place.as_str()).bind(upload)).await?;
    tx.commit().await?;
    Ok(replaced)
}

/// Makes an artifact of the chunks, by a task.
pub(crate) async fn commit(mut request: Request) -> Answer {
    let uploads = resource(&request.cx)?;
    let id = find(&request).await?.id();
    let body = request.payload().await?;
    let cx = &request.cx;
    let input = action_body(cx, &[Field::text("sha256").required()], &body).await?;
    let sha256 = input.text("sha256").unwrap_or_default().to_owned();
    let reply = cx.dispatch(task::CommitUpload { upload: id, sha256 }).await?;
    crud::reply(cx, &uploads, reply).await
}

/// Drops an upload and its chunks.
pub(crate) async fn delete(request: Request) -> Answer {
    let id = find(&request).await?.id();
    remove(&request.cx, id).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Puts an upload that is not committed together and stores it as an artifact, whose key it gives. The upload stays: whoever is done
/// with it [removes](remove) it.
///
/// # Errors
/// If there is no such upload, bytes of it are missing, or it cannot be stored.
pub(crate) async fn into_artifact(cx: &Context, id: Uuid) -> Result<Uuid> {
    let upload = Upload::find(cx.pulp().db(), id).await?;
    super::artifacts::store(cx, task::whole(cx, &upload).await?).await
}

/// Removes an upload’s rows, then its files; one that is gone already counts as removed.
///
/// # Errors
/// If the database cannot be reached.
pub(crate) async fn remove(cx: &Context, id: Uuid) -> Result<()> {
    // All or nothing: an upload without its chunks could not be committed again.
    let tx = cx.pulp().db().begin().await?;
    let files: Vec<String> = tx.column(Sql::new("delete from core_uploadchunk where upload_id = $1 returning file").bind(id)).await?;
    tx.execute(Sql::new("delete from core_upload where pulp_id = $1").bind(id)).await?;
    tx.commit().await?;
    drop_files(cx, &files).await;
    Ok(())
}

/// Removes files that no row names any more; what cannot be removed is left to housekeeping.
async fn drop_files(cx: &Context, files: &[String]) {
    for file in files {
        let Ok(place) = file.parse::<ArtifactPath>() else { continue };
        if let Err(error) = cx.pulp().storage().delete(&place).await {
            tracing::warn!(%error, "the file of an upload's chunk could not be removed");
        }
    }
}
