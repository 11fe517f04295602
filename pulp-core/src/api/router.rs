//! From a path to a route.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Method, Response};

use super::error::ApiError;
use super::request::Request;
use crate::body::Body;
use crate::resource::Resource;

/// What a handler gives.
pub(crate) type Answer = Result<Response<Body>, ApiError>;

/// The parameters of a path: names and values.
type Parameters = Vec<(String, String)>;

type Handler = Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// Who may use a route.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// Everybody.
    Anyone,
    /// Who may do everything.
    Superuser,
    /// Whoever a policy lets.
    Policy(Arc<Guarded>),
}

impl Access {
    /// Whether nobody has to log in.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Anyone)
    }
}

/// What a policy has to decide about.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// The policy’s name.
    pub(crate) policy: String,
    /// What is acted on, by the parameter `id`.
    pub(crate) resource: Option<Arc<Resource>>,
    /// What `id` names where that is above what is acted on: the repository of a version, the group of a member.
    pub(crate) parent: Option<Arc<Resource>>,
    pub(crate) acts: Acts,
}

/// What methods do, as policies call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acts {
    /// To a collection: list, create.
    Collection,
    /// To an object: retrieve, update, partial_update, destroy.
    Object,
    /// This, whatever the method.
    Named(&'static str),
}

impl Acts {
    /// The action of a method.
    pub(crate) fn action(self, method: &Method) -> &'static str {
        match (self, method.as_str()) {
            (Self::Named(name), _) => name,
            (Self::Collection, "GET" | "HEAD") => "list",
            (Self::Collection, "POST") => "create",
            (Self::Object, "GET" | "HEAD") => "retrieve",
            (Self::Object, "PUT") => "update",
            (Self::Object, "PATCH") => "partial_update",
            (Self::Collection | Self::Object, "DELETE") => "destroy",
            _ => "metadata",
        }
    }
}

/// The methods of one path.
#[derive(Clone)]
pub(crate) struct Route {
    /// Where it was added: `repositories/file/file/{id}/`.
    pub(crate) path: String,
    handlers: Vec<(Method, Handler)>,
    pub(crate) access: Access,
    /// Whether it answers with JSON, so that a request which accepts none is refused.
    pub(crate) json: bool,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("allow", &self.allow()).field("access", &self.access).finish_non_exhaustive()
    }
}

impl Route {
    pub(crate) fn new(access: Access) -> Self {
        Self { path: String::new(), handlers: Vec::new(), access, json: true }
    }

    /// It answers with something other than JSON.
    #[must_use]
    pub(crate) fn any_type(mut self) -> Self {
        self.json = false;
        self
    }

    /// Adds a method.
    #[must_use]
    pub(crate) fn on<F, A>(mut self, method: Method, handler: F) -> Self
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.handlers.push((method, Arc::new(move |request| Box::pin(handler(request)))));
        self
    }

    pub(crate) fn get<F, A>(self, handler: F) -> Self
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.on(Method::GET, handler)
    }

    pub(crate) fn post<F, A>(self, handler: F) -> Self
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.on(Method::POST, handler)
    }

    /// The handler of a method; HEAD is served as GET, without the body.
    pub(crate) fn handler(&self, method: &Method) -> Option<&Handler> {
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        self.handlers.iter().find(|(known, _)| known == wanted).map(|(_, handler)| handler)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    /// The header `Allow`.
    pub(crate) fn allow(&self) -> String {
        let mut all: Vec<&str> = Vec::new();
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if let Some((known, _)) = self.handlers.iter().find(|(known, _)| *known == method) {
                all.push(match known.as_str() {
                    "GET" => "GET",
                    "POST" => "POST",
                    "PUT" => "PUT",
                    "PATCH" => "PATCH",
                    _ => "DELETE",
                });
            }
        }
        if all.contains(&"GET") {
            all.push("HEAD");
        }
        all.push("OPTIONS");
        all.join(", ")
    }
}

/// All routes, by their paths below the API’s base.
#[derive(Debug, Default)]
pub(crate) struct Router {
    routes: matchit::Router<Arc<Route>>,
    known: HashSet<String>,
}

impl Router {
    /// Adds a route. Parameters read `{name}`; a path of the same shape that is there already stays as it is.
    pub(crate) fn add(&mut self, path: impl Into<String>, mut route: Route) {
        let path = path.into();
        route.path.clone_from(&path);
        if route.is_empty() || !self.known.insert(path.clone()) {
            return;
        }
        if let Err(error) = self.routes.insert(path.as_str(), Arc::new(route)) {
            tracing::error!(path, %error, "a route cannot be added");
        }
    }

    /// The route of a path, and the parameters in it.
    pub(crate) fn find(&self, path: &str) -> Option<(Arc<Route>, Parameters)> {
        let found = self.routes.at(path).ok()?;
        let mut parameters = Vec::with_capacity(found.params.len());
        for (name, value) in found.params.iter() {
            parameters.push((name.to_owned(), super::request::decoded(value)?));
        }
        Some((Arc::clone(found.value), parameters))
    }

    /// Every path, as it was added, with every method that is answered there; in no order.
    pub(crate) fn answered(&self) -> impl Iterator<Item = (String, Method)> + '_ {
        self.known.iter().flat_map(|path| {
            let methods: Vec<Method> = match self.routes.at(path) {
                Ok(found) => found.value.handlers.iter().map(|(method, _)| method.clone()).collect(),
                Err(_) => Vec::new(),
            };
            methods.into_iter().map(|method| (path.clone(), method))
        })
    }

    /// All paths, in no order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }
}
