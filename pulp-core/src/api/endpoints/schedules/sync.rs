//! A repository's sync as somebody asks for it: the same checks, and the same task, as by its own path.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::router::{Access, Acts, Guarded};
use crate::api::{access, crud};
use crate::body::Body;
use crate::db::{ExecutorExt, Sql};
use crate::model::Repository;
use crate::resource::{Context, On, RawBody, Target};
use crate::tasks::{Plan, Planned};

/// The action of repositories that can be synced.
const SYNC: &str = "sync";

/// Works out the task that a sync of a repository would be, if whoever asks may have it done.
///
/// # Errors
/// As the repository's own `sync/` answers: 404 for one that the asker may not see, 403, 400.
pub(super) async fn plan(cx: &Context, repository: Uuid, options: &Json) -> Result<Planned, ApiError> {
    let sql = Sql::new("select * from core_repository where pulp_id = $1 and pulp_domain_id = $2");
    let found: Option<Repository> = cx.pulp().db().optional(sql.bind(repository).bind(cx.domain().pulp_id)).await?;
    let row = found.ok_or_else(ApiError::not_found)?;
    let resource = cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, &row.pulp_type).cloned();
    let action = resource.as_ref().and_then(|resource| resource.find_action(SYNC, On::Object, &Method::POST)).cloned();
    let Some((resource, action)) = resource.zip(action) else {
        let message = format!("Repositories of the type {} cannot be synced.", row.pulp_type);
        return Err(ApiError::new(StatusCode::BAD_REQUEST, json!({"repository": [message]})));
    };
    let plan = Plan::default();
    let mut request = Request {
        cx: cx.clone().planning(&plan),
        by: None,
        path: String::new(),
        headers: HeaderMap::new(),
        query: Vec::new(),
        parameters: vec![("id".to_owned(), repository.to_string())],
        body: Mutex::new(Body::empty()),
        read: Some(RawBody::json(options.as_object().cloned().unwrap_or_default())),
    };
    let guarded =
        Guarded { policy: resource.path.to_owned(), resource: Some(Arc::clone(&resource)), parent: None, acts: Acts::Named(SYNC) };
    access::check(&mut request, &Access::Policy(Arc::new(guarded)), &Method::POST).await?;
    crud::act(request, resource, action).await?;
    plan.take().ok_or_else(|| ApiError::detail(StatusCode::BAD_REQUEST, "The sync of this repository is no task that can be scheduled."))
}
