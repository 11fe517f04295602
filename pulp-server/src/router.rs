//! Which part answers a request.

use ::http::header::{CONTENT_TYPE, LOCATION};
use ::http::request::Parts;
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use pulp_core::Pulp;
use pulp_core::api::Api;
use pulp_core::body::Body;
use pulp_core::content::{AtHand, Content};

use crate::config::{Role, Server};
use crate::http::Answer;
use crate::metrics::{self, Metrics};

/// API and content on one port: what lies below the content prefix is content, `/metrics` is that, all else is the API.
#[derive(Debug, Clone)]
pub struct Router {
    api: Option<Api>,
    content: Option<Content>,
    metrics: Option<Metrics>,
    content_prefix: String,
    docs: String,
}

impl Router {
    /// The parts that the process’s roles ask for.
    pub fn new(pulp: &Pulp, server: &Server) -> Self {
        Self {
            api: server.has(Role::Api).then(|| pulp.api()),
            content: server.has(Role::Content).then(|| pulp.content()),
            metrics: Metrics::new(pulp, server.metrics),
            content_prefix: pulp.settings().content_path_prefix.clone(),
            docs: format!("{}docs/", pulp.hrefs().base("default")),
        }
    }

    fn is_content(&self, path: &str) -> bool {
        path.starts_with(&self.content_prefix) || path == self.content_prefix.trim_end_matches('/')
    }
}

impl Answer for Router {
    fn at_hand(&self, request: &Parts) -> Option<AtHand> {
        self.content.as_ref().filter(|_| self.is_content(request.uri.path()))?.at_hand(request)
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if self.is_content(request.uri().path()) {
            return match &self.content {
                Some(content) => content.handle(request).await,
                None => plain(StatusCode::NOT_FOUND, "this process does not serve content"),
            };
        }
        if request.uri().path() == metrics::PATH
            && let Some(metrics) = &self.metrics
        {
            return Box::pin(metrics.answer(request)).await;
        }
        match &self.api {
            Some(_) if request.uri().path() == "/" && request.method() == Method::GET => redirect(&self.docs),
            // Boxed: what is needed for a call of the API would be moved about for every file.
            Some(api) => Box::pin(api.handle(request)).await,
            None => plain(StatusCode::NOT_FOUND, "this process does not serve the API"),
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn redirect(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(location) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
