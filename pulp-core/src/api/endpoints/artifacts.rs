//! Artifacts: stored files.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::small::text;
use crate::api::crud;
use crate::api::request::Request;
use crate::api::router::Answer;
use crate::digest::Algorithm;
use crate::model::save::find_artifacts;
use crate::plugin::Registry;
use crate::resource::{
    AccessPolicy, ActionHandler, Condition, Context, Field, Filter, FilterKind, FilterValue, Fragment, Input, Lookup, Reply, Resource,
    Returns, Scope, Target, bases, content_file,
};
use crate::storage::Spooled;
use crate::{Error, Result};

pub(super) fn register(registry: &mut Registry) {
    let digest = |name| Field::text(name).nullable().help("A digest of the file: it is checked when given.");
    let mut artifacts = Resource::new("artifacts", "core_artifact", "Artifact")
        .field(Field::text("file").required().read_only().help("Its path in the storage."))
        .field(Field::file("file").required().keyword("writeOnly", json!(null)).help("The file."))
        .field(Field::integer("size").help("Bytes: they are checked when given."));
    for algorithm in Algorithm::ALL {
        artifacts = artifacts.field(digest(algorithm.name())).filter(text(algorithm.name()));
    }
    registry.resource(
        artifacts
            .policy(AccessPolicy::explicit().rule_for("admin", &["create", "list", "retrieve"], &[]).scope(Scope::Everything))
            .create_by(Returns::Object(201), CreateArtifact)
            .multipart_only()
            .filters([
                Filter::custom("orphaned_for", FilterKind::Number, OrphanedFor),
                Filter::custom("repository_version", FilterKind::Href(Target::REPOSITORY_VERSION), InVersion),
            ])
            .ordered_by(["file", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "size", "timestamp_of_interest"]),
    );
}

/// How long a list waits for files that clients have just been given.
const PATIENCE: Duration = Duration::from_secs(1);

/// `GET` of the collection: whoever has fetched a lazy file to its end finds it there.
pub(crate) async fn list(request: Request, resource: Arc<Resource>) -> Answer {
    request.cx.pulp().fetcher().settle(PATIENCE).await;
    crud::list(request, resource).await
}

/// Stores a file that a client sent.
struct CreateArtifact;

#[async_trait]
impl ActionHandler for CreateArtifact {
    async fn handle(&self, cx: &Context, _: Option<Uuid>, mut input: Input) -> Result<Reply> {
        let refused = |message: String| Error::Refused(json!({"non_field_errors": [message]}));
        let Some(file) = input.take_file("file") else { return Err(Error::field("file", "No file was submitted.")) };
        let allowed = cx.pulp().settings().checksums()?;
        let forbidden: Vec<String> = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| input.text(algorithm.name()).is_some() && !allowed.contains(algorithm))
            .map(|algorithm| format!("'{algorithm}'"))
            .collect();
        if !forbidden.is_empty() {
            return Err(refused(format!("Checksum algorithms [{}] forbidden for this Pulp instance.", forbidden.join(", "))));
        }
        if input.integer("size").is_some_and(|size| u64::try_from(size) != Ok(file.size())) {
            return Err(refused("The size did not match actual size of file.".to_owned()));
        }
        for algorithm in Algorithm::ALL {
            if let Some(wanted) = input.text(algorithm.name())
                && file.digests().get(algorithm).is_none_or(|actual| !actual.eq_ignore_ascii_case(wanted))
            {
                return Err(refused(format!("The {algorithm} checksum did not match.")));
            }
        }
        let sha256 = file.sha256()?;
        let known = find_artifacts(cx.pulp().db(), Algorithm::Sha256, &[sha256.to_string().as_str()], cx.domain().pulp_id).await?;
        if !known.is_empty() {
            return Err(refused(format!("Artifact with sha256 checksum of '{sha256}' already exists.")));
        }
        let id = store(cx, file).await?;
        Ok(Reply::Object(StatusCode::CREATED, id))
    }
}

/// Whether an artifact is in use is for orphan cleanup to find out.
pub(crate) async fn delete(_: Request) -> Answer {
    Err(Error::Forbidden.into())
}

/// Gives a spooled file its place in the storage and its row; the key of that row.
pub(crate) async fn store(cx: &Context, file: Spooled) -> Result<Uuid> {
    content_file::store(cx.pulp(), cx.domain().pulp_id, file).await
}

/// Artifacts that nothing refers to, for long enough.
struct OrphanedFor;

#[async_trait]
impl Condition for OrphanedFor {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let until = bases::minutes_ago(cx, "orphaned_for", value)?;
        Ok(Fragment::new(
            "not exists (select 1 from core_contentartifact ca where ca.artifact_id = b.pulp_id) and b.timestamp_of_interest < ",
        )
        .bind(until))
    }
}

/// Artifacts of the units of a version.
struct InVersion;

#[async_trait]
impl Condition for InVersion {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let Some(id) = value.as_id() else { return Ok(Fragment::never()) };
        Ok(Fragment::new("b.pulp_id in (select ca.artifact_id from core_contentartifact ca where ca.content_id in (")
            .then(bases::members(cx, id).await?)
            .text("))"))
    }
}
