//! The service: finds the route, the user, and lets the handler answer.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, LOCATION, VARY};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body as HttpBody;

use super::error::ApiError;
use super::openapi::{Documents, Options};
use super::request::{Request, pairs};
use super::router::{Answer, Router};
use super::trail::{RemoteAddress, Trail};
use super::{access, auth, negotiate, response, routes};
use crate::body::{Body, BodyError};
use crate::db::{ExecutorExt, Sql};
use crate::model::{Domain, Model};
use crate::resource::Context;
use crate::{Pulp, compress};

/// The REST API of one [`Pulp`]; cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pulp: Pulp,
    router: Router,
    documents: Arc<Documents>,
}

impl Pulp {
    /// The REST API, to be mounted by any server: a request in, a response out. Make it once and clone it.
    pub fn api(&self) -> Api {
        let (router, documents) = routes::all(self.registry());
        Api(Arc::new(Inner { pulp: self.clone(), router, documents }))
    }
}

impl Api {
    /// Answers a request. Errors are responses, too.
    pub async fn handle<B>(&self, request: http::Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let began = Instant::now();
        let (parts, body) = request.into_parts();
        let correlation_id = negotiate::correlation_id(&parts.headers);
        let method = parts.method.clone();
        let wanted = compress::is_wanted(&parts.method, &parts.headers);
        let answer = self.answer(parts, Body::new(body), &correlation_id).await;
        let mut response = answer.unwrap_or_else(ApiError::into_response);
        finish(response.headers_mut(), &correlation_id);
        if self.0.pulp.settings().compress_answers {
            response = compress::compress(wanted, response);
        }
        self.0.pulp.metrics().api.observe(&method, response.status(), began.elapsed());
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn answer(&self, parts: http::request::Parts, body: Body, correlation_id: &str) -> Answer {
        let Inner { pulp, router, .. } = &*self.0;
        let path = parts.uri.path();
        let (domain, rest) = split(pulp, path).ok_or_else(ApiError::not_found)?;
        let Some((route, parameters)) = router.find(rest) else {
            // A path that only lacks its last slash is sent on.
            if !rest.ends_with('/') && router.find(&format!("{rest}/")).is_some() {
                return Ok(moved(&parts.uri));
            }
            return Err(ApiError::not_found());
        };
        // What everybody may ask for is in no domain; where there are domains, all else is in one.
        if domain.is_none() && pulp.settings().domain_enabled && !route.access.is_open() {
            return Err(ApiError::not_found());
        }
        let query = pairs(parts.uri.query().unwrap_or_default());
        if route.json {
            if !negotiate::accepts_json(&parts.headers) {
                return Err(ApiError::detail(StatusCode::NOT_ACCEPTABLE, "Could not satisfy the request Accept header."));
            }
            if query.iter().any(|(name, value)| name == "format" && value != "json" && value != "api") {
                return Err(ApiError::not_found());
            }
        }
        let mut cx = Context::new(pulp.clone(), find_domain(pulp, domain.unwrap_or(Domain::DEFAULT)).await?)
            .with_correlation_id(correlation_id)
            .with_diagnostics(negotiate::diagnostics(&parts.headers));
        if let Some(origin) = negotiate::origin(&parts.headers, &parts.uri) {
            cx = cx.with_origin(origin);
        }
        let mut by = None;
        if !route.access.is_open() {
            let asker = auth::authenticate(pulp, &parts.headers, &parts.method).await?;
            by = Some(asker.by);
            if asker.as_described {
                cx = cx.with_policies_as_described();
            }
            cx = cx.with_user(Arc::new(asker.user)).within(asker.limit).load_access().await?;
        }
        let allow = route.allow();
        let Some(handler) = route.handler(&parts.method) else {
            access::check_unknown(&cx, &route.access)?;
            if parts.method == Method::OPTIONS {
                return Ok(allowed(response::empty(StatusCode::OK), &allow));
            }
            return Err(ApiError::method(&parts.method, allow));
        };
        let body = body.into();
        let from = parts.extensions.get::<RemoteAddress>().copied();
        let mut request = Request { cx, by, path: path.to_owned(), headers: parts.headers, query, parameters, body, read: None };
        let trail = Trail::begin(&request, &route, &parts.method, from);
        let answer = match access::check(&mut request, &route.access, &parts.method).await {
            Ok(()) => handler(request).await.unwrap_or_else(ApiError::into_response),
            Err(refused) => refused.into_response(),
        };
        if let Some(trail) = trail {
            trail.end(&answer);
        }
        Ok(allowed(answer, &allow))
    }

    /// The API document (OpenAPI 3.0.1), as `docs/api.json` has it: of all components, or of those named, separated by
    /// commas (`core`, or a plugin’s label). `bindings` gives operation ids without their path; `pk_path` gives paths by
    /// key, `…/{pulp_id}/`, rather than by href.
    ///
    /// # Errors
    /// [`Error::BadRequest`](crate::Error::BadRequest) if there is no such component; [`Error::Internal`](crate::Error::Internal) if
    /// the descriptions of two resources contradict each other.
    pub fn openapi(&self, component: Option<&str>, bindings: bool, pk_path: bool) -> crate::Result<serde_json::Value> {
        let Inner { pulp, documents, .. } = &*self.0;
        documents.document(pulp, &Options::new(pulp.registry(), component, bindings, pk_path)?, None)
    }

    /// All paths below the base, for the API document and for tests.
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.0.router.paths().map(str::to_owned).collect();
        paths.sort_unstable();
        paths
    }
}

/// The domain’s name, if the path has one, and what is below the API’s base.
fn split<'a>(pulp: &Pulp, path: &'a str) -> Option<(Option<&'a str>, &'a str)> {
    let rest = path.strip_prefix(pulp.settings().api_root.as_str())?;
    if let Some(rest) = rest.strip_prefix("api/v3/") {
        return Some((None, rest));
    }
    let (domain, rest) = rest.split_once('/').filter(|_| pulp.settings().domain_enabled)?;
    Some((Some(domain), rest.strip_prefix("api/v3/")?))
}

async fn find_domain(pulp: &Pulp, name: &str) -> Result<Arc<Domain>, ApiError> {
    if name == pulp.default_domain().name {
        return Ok(Arc::clone(pulp.default_domain()));
    }
    let sql = Sql::new(format!("select * from {} where name = $1", Domain::TABLE)).bind(name);
    pulp.db().optional::<Domain>(sql).await?.map(Arc::new).ok_or_else(ApiError::not_found)
}

fn moved(uri: &http::Uri) -> Response<Body> {
    let mut target = format!("{}/", uri.path());
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut response = response::empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(target) = HeaderValue::from_str(&target) {
        response.headers_mut().insert(LOCATION, target);
    }
    response
}

fn allowed(mut response: Response<Body>, allow: &str) -> Response<Body> {
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// What every response says.
fn finish(headers: &mut HeaderMap, correlation_id: &str) {
    if let Ok(id) = HeaderValue::from_str(correlation_id) {
        headers.insert("correlation-id", id);
    }
    headers.entry(VARY).or_insert(HeaderValue::from_static("Accept, Cookie"));
    headers.insert("access-control-expose-headers", HeaderValue::from_static("Correlation-ID"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
    headers.insert("referrer-policy", HeaderValue::from_static("same-origin"));
}
