//! Repairing what is stored.

use crate::api::crud;
use crate::api::request::Request;
use crate::api::router::Answer;
use crate::resource::{Field, action_body};
use crate::tasks::RepairAll;
use crate::{Error, Result};

/// Looks after all files of the domain, by a task.
pub(crate) async fn all(mut request: Request) -> Answer {
    let verify_checksums = verify_checksums(&mut request).await?;
    let cx = &request.cx;
    let tasks = cx.pulp().registry().resource_at("tasks").cloned();
    let tasks = tasks.ok_or_else(|| Error::Internal("there is no resource of tasks".to_owned()))?;
    let reply = cx.dispatch(RepairAll { domain: cx.domain().pulp_id, verify_checksums }).await?;
    crud::reply(cx, &tasks, reply).await
}

/// Whether the body asks that files are read; so it is if nothing is said.
pub(super) async fn verify_checksums(request: &mut Request) -> Result<bool, crate::api::error::ApiError> {
    let body = request.payload().await?;
    let input = action_body(&request.cx, &[Field::boolean("verify_checksums").default(true)], &body).await?;
    Ok(input.boolean("verify_checksums").unwrap_or(true))
}
