//! Versions of repositories.

pub(crate) mod difference;
mod summary;

use std::sync::Arc;

use serde_json::json;

use crate::api::crud;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::ids::Prn;
use crate::model::{Model, RepositoryVersion};
use crate::plugin::Registry;
use crate::resource::{
    AccessPolicy, Context, Field, Filter, FilterKind, Fragment, Lookup, Naming, Record, Resource, Scope, Shape, Target, bases, mask,
};
use crate::tasks::RepairVersion;
use crate::version::{self, DeleteVersion, ScanVersion};
use crate::{Error, Result};

pub(super) fn register(registry: &mut Registry) {
    difference::register(registry);
    const NUMBER: &[Lookup] = &[Lookup::Exact, Lookup::Gt, Lookup::Gte, Lookup::Lt, Lookup::Lte, Lookup::Range];
    let mut versions = Resource::new("repository_versions", "core_repositoryversion", "RepositoryVersion");
    versions.in_domain = false;
    versions.read = false;
    versions.policy = Some(AccessPolicy::explicit().rule(&["list"], &[]).scope(Scope::VersionsOfViewedRepositories).fixed());
    registry.resource(
        versions
            .visible_if("b.complete")
            .field(Field::integer("number").read_only().help("Its number in the repository."))
            .field(Field::href("repository", Target::REPOSITORY).read_only().help("The repository."))
            .field(
                Field::href("base_version", Target::REPOSITORY_VERSION)
                    .read_only()
                    .keyword("readOnly", json!(null))
                    .help("The version it was made from."),
            )
            .field(
                Field::computed("content_summary", Shape::Component("ContentSummaryResponse"), summary::ContentSummary)
                    .help("How many units of each type it has, added and removed."),
            )
            .field(Field::computed("vuln_report", Shape::Text, summary::VulnerabilityReport).help("Where known vulnerabilities are told."))
            .ordered_by(["complete", "info", "number"])
            .filters([
                Filter::custom("content", FilterKind::Href(Target::CONTENT), bases::VersionContent)
                    .naming(Naming::Units)
                    .lookups(Lookup::EXACT_IN),
                Filter::new("number", FilterKind::Integer, NUMBER),
                Filter::time("pulp_created"),
            ]),
    );
}

fn resource(cx: &Context) -> Result<Arc<Resource>> {
    let found = cx.pulp().registry().resource_at("repository_versions").cloned();
    found.ok_or_else(|| Error::Internal("there is no resource of repository versions".to_owned()))
}

/// The versions of a repository.
pub(crate) async fn list(request: Request, repository: Arc<Resource>) -> Answer {
    let versions = resource(&request.cx)?;
    let id = crud::find(&request, &repository).await?.id();
    let scope = versions.scope(&request.cx).and(Fragment::new("b.repository_id = ").bind(id));
    crud::list_of(request, &versions, scope).await
}

async fn find(request: &Request, repository: &Resource) -> Result<(Arc<Resource>, Record), ApiError> {
    let versions = resource(&request.cx)?;
    let number: i64 = request.parameter("number").parse().map_err(|_| ApiError::not_found())?;
    let id = crud::find(request, repository).await?.id();
    let condition = versions.scope(&request.cx).and(Fragment::new("b.repository_id = ").bind(id).text(" and b.number = ").bind(number));
    let found = versions.first(&request.cx, condition).await?;
    Ok((versions, found.ok_or_else(|| ApiError::no_match("RepositoryVersion"))?))
}

/// One version.
pub(crate) async fn read(request: Request, repository: Arc<Resource>) -> Answer {
    let (versions, row) = find(&request, &repository).await?;
    let body = versions.render_one(&request.cx, &mask(&request.query), row).await?;
    Ok(response::raw_json(http::StatusCode::OK, body))
}

/// Deletes a version, by a task.
pub(crate) async fn delete(request: Request, repository: Arc<Resource>) -> Answer {
    let (_, row) = find(&request, &repository).await?;
    let cx = &request.cx;
    let owner = row.uuid("repository_id").ok_or_else(ApiError::not_found)?;
    version::refuse_in_use(cx.pulp().db(), &RepositoryVersion::find(cx.pulp().db(), row.id()).await?).await?;
    let owner = Prn::new(repository.model.as_str(), owner);
    let reply = cx.dispatch(DeleteVersion { repository: owner, version: row.id() }).await?;
    crud::reply(cx, &repository, reply).await
}

/// Looks up known vulnerabilities of a version, by a task.
pub(crate) async fn scan(request: Request, repository: Arc<Resource>) -> Answer {
    let (_, row) = find(&request, &repository).await?;
    let cx = &request.cx;
    let id = row.uuid("repository_id").ok_or_else(|| Error::Internal("a version has no repository".to_owned()))?;
    let task = ScanVersion { repository: Prn::new(repository.model.as_str(), id), version: row.id() };
    crud::reply(cx, &repository, cx.dispatch(task).await?).await
}

/// Looks after the files of a version, by a task.
pub(crate) async fn repair(mut request: Request, repository: Arc<Resource>) -> Answer {
    let (_, row) = find(&request, &repository).await?;
    let verify_checksums = super::repair::verify_checksums(&mut request).await?;
    let cx = &request.cx;
    let owner = row.uuid("repository_id").ok_or_else(ApiError::not_found)?;
    let repository_prn = Prn::new(repository.model.as_str(), owner);
    let reply = cx.dispatch(RepairVersion { repository: repository_prn, version: row.id(), verify_checksums }).await?;
    crud::reply(cx, &repository, reply).await
}
