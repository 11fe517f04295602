//! Objects that lie below others: `exporters/core/pulp/{id}/exports/{key}/`.

use std::sync::Arc;

use http::StatusCode;
use uuid::Uuid;

use super::crud;
use super::error::ApiError;
use super::request::Request;
use super::response;
use super::router::Answer;
use crate::Error;
use crate::resource::{Create, Fragment, Parent, Purpose, Record, Resource, action_body, mask};

fn parent_of(resource: &Resource) -> Result<Parent, Error> {
    resource.parent.ok_or_else(|| Error::Internal(format!("nothing is above {}", resource.path)))
}

/// The key of the object that the path names first.
async fn owner(request: &Request, resource: &Resource) -> Result<Uuid, ApiError> {
    let path = parent_of(resource)?.path;
    let owner = request.cx.pulp().registry().resource_at(path).cloned();
    let owner = owner.ok_or_else(|| Error::Internal(format!("there is no resource at {path}")))?;
    Ok(crud::find(request, &owner).await?.id())
}

/// The condition that an object is one of this owner, and can be seen.
fn scope(request: &Request, resource: &Resource, owner: Uuid) -> Result<Fragment, Error> {
    let column = format!("b.{} = ", parent_of(resource)?.column);
    Ok(resource.scope(&request.cx).and(Fragment::new(column).bind(owner)))
}

async fn find(request: &Request, resource: &Resource) -> Result<Record, ApiError> {
    let owner = owner(request, resource).await?;
    let id = resource.key_of(request.parameter("key")).ok_or_else(ApiError::not_found)?;
    let condition = scope(request, resource, owner)?.and(Fragment::new(format!("b.{} = ", resource.key)).bind(id));
    let found = resource.first(&request.cx, condition).await?;
    found.ok_or_else(|| ApiError::no_match(resource.model_name()))
}

/// `GET` of the collection.
pub(super) async fn list(request: Request, resource: Arc<Resource>) -> Answer {
    let owner = owner(&request, &resource).await?;
    let scope = scope(&request, &resource, owner)?;
    crud::list_of(request, &resource, scope).await
}

/// `POST` to the collection: the handler is given the key of the owner.
pub(super) async fn create(mut request: Request, resource: Arc<Resource>) -> Answer {
    let owner = owner(&request, &resource).await?;
    let body = request.payload().await?;
    let cx = &request.cx;
    let input = match &resource.create_body {
        Some(of) => action_body(cx, &of.fields, &body).await?,
        None => resource.validate(cx, &body, Purpose::Create, None).await?,
    };
    match &resource.create {
        Create::By(_, handler) => crud::reply(cx, &resource, handler.handle(cx, Some(owner), input.with_files(body.files)).await?).await,
        _ => Err(Error::Internal(format!("nothing makes an object of {}", resource.path)).into()),
    }
}

/// `GET` of an object.
pub(super) async fn read(request: Request, resource: Arc<Resource>) -> Answer {
    let row = find(&request, &resource).await?;
    let body = resource.render_one(&request.cx, &mask(&request.query), row).await?;
    Ok(response::raw_json(StatusCode::OK, body))
}

/// `DELETE` of an object.
pub(super) async fn delete(request: Request, resource: Arc<Resource>) -> Answer {
    let id = find(&request, &resource).await?.id();
    resource.remove(&request.cx, id).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
