//! The REST API: a request in, a response out, no server and no framework.
//!
//! [`Pulp::api`](crate::Pulp::api) gives the service. [`routes`](self) is the one place that lists every path.
//!
//! ```no_run
//! # async fn run() -> pulp_core::Result<()> {
//! use pulp_core::{Pulp, body::Body};
//!
//! let pulp = Pulp::builder().build().await?;
//! let status = pulp.api().handle(http::Request::get("/pulp/api/v3/status/").body(Body::empty()).unwrap()).await;
//! assert_eq!(status.status(), 200);
//! # Ok(())
//! # }
//! ```

mod access;
pub(crate) mod auth;
mod crud;
pub(crate) mod endpoints;
mod error;
mod negotiate;
mod nested;
mod openapi;
pub(crate) mod payload;
mod request;
mod response;
mod router;
mod routes;
mod service;
mod session;
mod trail;

pub(crate) use auth::{Asker, asker_of};
pub(crate) use endpoints::uploads;
pub(crate) use negotiate::origin;
pub use service::Api;
pub use trail::RemoteAddress;

use http::{HeaderMap, Response};

use crate::body::Body;
use crate::plugin::Registry;
use crate::{Error, Pulp};

/// For what a front end answers beside the API and shows to administrators alone: nothing if the request comes from one, else the answer
/// to it. Tokens that let their user have a part of the permissions make nobody an administrator.
pub async fn refuse_all_but_administrators(pulp: &Pulp, headers: &HeaderMap) -> Option<Response<Body>> {
    match auth::is_administrator(pulp, headers).await {
        Ok(true) => None,
        Ok(false) => Some(error::ApiError::from(Error::Forbidden).into_response()),
        Err(error) => Some(error.into_response()),
    }
}

/// Adds the resources, tasks and documented shapes of core.
pub(crate) fn register(registry: &mut Registry) {
    endpoints::register(registry);
    openapi::register(registry);
}
