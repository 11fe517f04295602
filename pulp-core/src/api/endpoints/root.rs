//! `GET` of the base: where the lists are.

use http::StatusCode;
use serde_json::{Map, Value as Json};

use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;

pub(crate) async fn index(request: Request) -> Answer {
    let base = request.url();
    let registry = request.cx.pulp().registry();
    let lists: Map<String, Json> = registry
        .resources()
        .iter()
        .filter(|resource| resource.list)
        .map(|resource| (resource.path.to_owned(), Json::from(format!("{base}{}/", resource.path))))
        .collect();
    Ok(response::json(StatusCode::OK, &lists))
}
