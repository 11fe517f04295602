//! From a request to a response.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use uuid::Uuid;

use super::changes::Stamp;
use super::freshness::Freshness;
use super::missing::{Unresolved, not_found};
use super::path::{ContentPath, base_paths, decode};
use super::render::{self, Rendering};
use super::state::{Decision, PATIENCE, Remembered, Route, Target};
use super::travel::travel;
use super::{
    ContentGuard, DistributionHandler, GuardRequest, Listing, Moment, PublishedHandler, Redirect, ServeContext, ServeError, Served, State,
};
use crate::Pulp;
use crate::body::{Body, SendsFiles};
use crate::db::{DbError, Sql};
use crate::model::{Distribution, Domain};
use crate::storage::StorageError;

/// Tells whether the path was found without asking the database.
pub(super) const CACHE: HeaderName = HeaderName::from_static("x-pulp-cache");

pub(super) const HIT: &str = "HIT";
const MISS: &str = "MISS";

/// Serves content: a cheap handle, to be mounted under any server.
///
/// ```
/// # async fn example(pulp: pulp_core::Pulp) {
/// let content = pulp.content();
/// let request = http::Request::get("/pulp/content/my/files/PULP_MANIFEST").body(()).unwrap();
/// let response = content.handle(request).await;
/// assert_eq!(response.status(), 404); // until somebody distributes something there
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Content {
    pulp: Pulp,
    state: Arc<State>,
}

impl Content {
    pub(crate) fn new(pulp: Pulp, state: Arc<State>) -> Self {
        state.listen(pulp.db());
        Self { pulp, state }
    }

    /// Answers a request. Whatever goes wrong is a response, too; a body of the request is not read.
    ///
    /// What the front end knows of the connection (a client certificate, say) goes to guards through the request’s extensions.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body> {
        let began = Instant::now();
        let (parts, _) = request.into_parts();
        let response = self.answer(&parts).await;
        let metrics = self.pulp.metrics();
        metrics.content.observe(&parts.method, response.status(), began.elapsed());
        response.map(|body| metrics.counted(body))
    }

    pub(super) fn pulp(&self) -> &Pulp {
        &self.pulp
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    async fn answer(&self, request: &http::request::Parts) -> Response<Body> {
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut response = render::message(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
            return response;
        }
        let mut response = match self.serve(request).await {
            Ok(response) => response,
            Err(error) => render::error(&error, &request.uri, &request.headers),
        };
        if request.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn serve(&self, request: &http::request::Parts) -> Result<Response<Body>, ServeError> {
        let settings = self.pulp.settings();
        let (uri, prefix) = (request.uri.path(), settings.content_path_prefix.as_str());
        if prefix.strip_suffix('/') == Some(uri) {
            return Ok(render::add_slash(uri));
        }
        let Some(below) = uri.strip_prefix(prefix).and_then(decode) else {
            return Ok(not_found(&request.uri, &request.headers, Unresolved::Distribution, "Not Found"));
        };
        if !settings.domain_enabled {
            return self.serve_below(request, self.pulp.default_domain(), &below).await;
        }
        let (name, path) = below.split_once('/').map_or((&*below, None), |(name, path)| (name, Some(path)));
        match (self.domain(name).await?, path) {
            (Some(domain), Some(path)) => self.serve_below(request, &domain, path).await,
            (Some(_), None) => Ok(render::add_slash(uri)),
            (None, _) => {
                let reason = format!("there is no domain \"{name}\"");
                Ok(not_found(&request.uri, &request.headers, Unresolved::Domain, &reason))
            }
        }
    }

    /// What lies at a path of a domain. What has to be found first is boxed: its room would be moved about for what is remembered, too.
    async fn serve_below(&self, request: &http::request::Parts, domain: &Domain, path: &str) -> Result<Response<Body>, ServeError> {
        let remembered = self.state.recall(domain.pulp_id, path);
        let first = match remembered {
            Some(remembered) if self.state.is_fresh(&remembered, Instant::now()) || self.state.is_database_away() => {
                self.recalled(request, domain, path, &remembered).await?
            }
            Some(remembered) => Box::pin(self.confirmed(request, domain, path, &remembered)).await?,
            None => match Box::pin(self.decide(request, domain, path)).await {
                // The database went away while it was asked; another request may have had its answer before.
                Err(error @ ServeError::Db(DbError::Unavailable(_))) => match self.state.recall(domain.pulp_id, path) {
                    Some(remembered) => self.recalled(request, domain, path, &remembered).await?,
                    None => return Err(error),
                },
                decided => decided?,
            },
        };
        match self.render(request, domain, first).await {
            // The file is gone, so what was remembered is not true any more: look again, once.
            Err(ServeError::Storage(StorageError::NotFound { .. })) => {
                self.state.forget(domain.pulp_id, path);
                let again = Box::pin(self.decide(request, domain, path)).await?;
                Box::pin(self.render(request, domain, again)).await
            }
            result => result,
        }
    }

    async fn render(&self, request: &http::request::Parts, domain: &Domain, found: Found) -> Result<Response<Body>, ServeError> {
        let redirects = found.route.as_ref().and_then(|route| route.distribution.redirect_to_object_storage);
        let rendering = Rendering {
            pulp: &self.pulp,
            state: &self.state,
            redirects: redirects.unwrap_or(domain.redirect_to_object_storage),
            method: &request.method,
            version: request.version,
            uri: &request.uri,
            headers: &request.headers,
            route: found.route.as_deref(),
            past: found.past,
            sends_files: request.extensions.get::<SendsFiles>().is_some(),
        };
        let mut response = match found.served {
            Answer::Made(served) => Box::pin(rendering.render(*served)).await?,
            Answer::Remembered(remembered) => match &remembered.decision {
                Decision::File(file) => {
                    let entity = remembered.entity(file);
                    rendering.file(file, entity).await?
                }
                other => Box::pin(rendering.render(other.clone().into())).await?,
            },
        };
        if let Some(word) = found.cache {
            let metrics = self.pulp.metrics();
            if word == HIT { &metrics.cache_hits } else { &metrics.cache_misses }.add(1);
            if !response.headers().contains_key(CACHE) {
                response.headers_mut().insert(CACHE, HeaderValue::from_static(word));
            }
        }
        Ok(response)
    }

    async fn domain(&self, name: &str) -> Result<Option<Arc<Domain>>, ServeError> {
        if name == Domain::DEFAULT {
            return Ok(Some(Arc::clone(self.pulp.default_domain())));
        }
        Ok(self.state.domain(name, Domain::named(self.pulp.db(), name)).await?)
    }

    /// Decides again what was decided a while ago.
    async fn confirmed(
        &self,
        request: &http::request::Parts,
        domain: &Domain,
        path: &str,
        remembered: &Arc<Remembered>,
    ) -> Result<Found, ServeError> {
        match tokio::time::timeout(PATIENCE, self.decide(request, domain, path)).await {
            // Old, but as far as anybody can tell still true: better than nothing, and than a long wait.
            Err(_) | Ok(Err(ServeError::Db(DbError::Unavailable(_)))) => {
                self.state.note_database_away();
                self.recalled(request, domain, path, remembered).await
            }
            Ok(decided) => decided,
        }
    }

    async fn recalled(
        &self,
        request: &http::request::Parts,
        domain: &Domain,
        path: &str,
        remembered: &Arc<Remembered>,
    ) -> Result<Found, ServeError> {
        let route = &remembered.route;
        self.guard(request, domain, route, &below(&route.distribution, path)).await?;
        let served = Answer::Remembered(Arc::clone(remembered));
        Ok(Found { served, route: Some(Arc::clone(route)), past: false, cache: Some(HIT) })
    }

    /// What lies at a path, after the guard has let the request pass.
    async fn decide(&self, request: &http::request::Parts, domain: &Domain, path: &str) -> Result<Found, ServeError> {
        let stamp = self.state.changes.stamp();
        let Some(route) = self.route(domain, path, stamp).await? else {
            return Ok(Found { served: Answer::Made(self.prefix(domain, path).await?.into()), route: None, past: false, cache: None });
        };
        let content_path = below(&route.distribution, path);
        self.guard(request, domain, &route, &content_path).await?;
        if path == route.distribution.base_path {
            let served = Answer::Made(Served::Redirect(Redirect::Directory).into());
            return Ok(Found { served, route: Some(route), past: false, cache: None });
        }
        let cx = ServeContext {
            pulp: &self.pulp,
            distribution: &route.distribution,
            method: &request.method,
            uri: &request.uri,
            headers: &request.headers,
            moment: None,
            target: Some(&route.target),
        };
        let registered = self.pulp.registry().distribution_handler(&route.distribution.pulp_type);
        let handler = registered.unwrap_or(&PublishedHandler);
        let (served, past, lasts) = decided(&cx, handler, &route, &content_path).await?;
        let decision = Decision::of(&served).filter(|_| lasts);
        let remembered = match decision {
            Some(decision) => self.state.remember(domain.pulp_id, path, Arc::clone(&route), decision, stamp),
            None => false,
        };
        Ok(Found { served: Answer::Made(served.into()), route: Some(route), past, cache: remembered.then_some(MISS) })
    }

    /// Asks the guard, of what is read at an earlier moment twice: about the path as it was sent, and about the one below the moment, so
    /// that no guard that goes by paths is passed by.
    async fn guard(&self, request: &http::request::Parts, domain: &Domain, route: &Route, path: &ContentPath) -> Result<(), ServeError> {
        self.permit(request, domain, route, path).await?;
        match Moment::split(path) {
            Some((_, Some(below))) if route.travels() => self.permit(request, domain, route, &below).await,
            _ => Ok(()),
        }
    }

    async fn permit(&self, request: &http::request::Parts, domain: &Domain, route: &Route, path: &ContentPath) -> Result<(), ServeError> {
        let Some((guard, handler)) = self.guard_of(route) else {
            return Ok(());
        };
        let question = self.question(request, domain, route, guard, path);
        handler?.permit(&question).await.map_err(|denied| ServeError::Denied(denied.0))
    }

    /// The key of the guard of a distribution, if it has one, and who is to be asked.
    pub(super) fn guard_of(&self, route: &Route) -> Option<(Uuid, Result<&dyn ContentGuard, ServeError>)> {
        let (guard, guard_type) = route.guard.as_ref()?;
        let handler = self.pulp.registry().content_guard(guard_type).ok_or_else(|| {
            tracing::error!(guard_type, distribution = route.distribution.name, "no plugin knows this type of content guard");
            ServeError::Denied("the content guard of this distribution cannot be asked".to_owned())
        });
        Some((*guard, handler))
    }

    /// What its guard is asked.
    pub(super) fn question<'a>(
        &'a self,
        request: &'a http::request::Parts,
        domain: &'a Domain,
        route: &'a Route,
        guard: Uuid,
        path: &'a ContentPath,
    ) -> GuardRequest<'a> {
        GuardRequest {
            pulp: &self.pulp,
            guard,
            domain: &domain.name,
            depth: 0,
            distribution: &route.distribution,
            path,
            method: &request.method,
            uri: &request.uri,
            headers: &request.headers,
            extensions: &request.extensions,
        }
    }

    /// The distribution whose base path is the longest that this path lies under.
    async fn route(&self, domain: &Domain, path: &str, stamp: Stamp) -> Result<Option<Arc<Route>>, DbError> {
        if let Some(known) = self.state.route(domain.pulp_id, path) {
            return Ok(Some(known));
        }
        let since = Instant::now();
        let bases = base_paths(path);
        if bases.is_empty() {
            return Ok(None);
        }
        let mut sql = Sql::new(
            "select d.*, g.pulp_type as guard_type, coalesce(d.repository_id, v.repository_id, pv.repository_id) as followed, \
             exists (select 1 from core_distribution below where below.pulp_domain_id = d.pulp_domain_id \
                and below.base_path > d.base_path || '/' and below.base_path < d.base_path || '0') as divided \
             from core_distribution d left join core_contentguard g on g.pulp_id = d.content_guard_id \
             left join core_repositoryversion v on v.pulp_id = d.repository_version_id \
             left join core_publication p on p.pulp_id = d.publication_id \
             left join core_repositoryversion pv on pv.pulp_id = p.repository_version_id where d.pulp_domain_id = ",
        );
        sql.push_bind(domain.pulp_id).push(" and d.base_path in ").push_list(bases);
        sql.push(" order by length(d.base_path) desc limit 1");
        let rows = crate::db::Executor::rows(self.pulp.db(), sql).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let distribution: Distribution = row.read()?;
        let guard_type: Option<String> = row.get("guard_type")?;
        let repository: Option<Uuid> = row.get("followed")?;
        let divided: bool = row.get("divided")?;
        // A guard of a type that is gone from its table still guards.
        let guard = distribution.content_guard_id.map(|guard| (guard, guard_type.unwrap_or_default()));
        let freshness = Freshness::of(self.pulp.settings(), domain, &distribution);
        let target = Target::default();
        let route = Arc::new(Route { distribution, guard, repository, freshness, alone: !divided, target, stamp, since });
        self.state.remember_route(domain.pulp_id, &route);
        Ok(Some(route))
    }

    /// A path that no distribution has: perhaps some lie below it.
    async fn prefix(&self, domain: &Domain, path: &str) -> Result<Served, ServeError> {
        let nothing = || Served::NotFound(format!("no distribution has a base path that \"{path}\" lies under"));
        let directory = if path.is_empty() || path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
        let hide_guarded = self.pulp.settings().hide_guarded_distributions;
        let listing = Listing::of_distributions(self.pulp.db(), domain, &directory, hide_guarded).await?;
        Ok(match listing {
            Some(listing) if directory == path => Served::Listing(listing),
            Some(_) => Served::Redirect(Redirect::Directory),
            None => nothing(),
        })
    }
}

/// What was found.
struct Found {
    served: Answer,
    /// The distribution, whose guard has let the request pass; none where only other distributions lie below.
    route: Option<Arc<Route>>,
    /// Whether it is of an earlier moment, which the path names first.
    past: bool,
    /// `HIT` if it was remembered, `MISS` if it is from now on.
    cache: Option<&'static str>,
}

/// A decision that was made for this request, or for one before it.
enum Answer {
    Made(Box<Served>),
    Remembered(Arc<Remembered>),
}

/// The part of a path below its distribution.
pub(super) fn below(distribution: &Distribution, path: &str) -> ContentPath {
    ContentPath::new(path.strip_prefix(distribution.base_path.as_str()).unwrap_or(path))
}

/// What lies at a path; whether it is of an earlier moment; and whether the same would be found until something changes.
///
/// What the repository has now comes first: a moment can be read only where nothing lies under its name, nor in a directory of that name.
async fn decided(
    cx: &ServeContext<'_>,
    handler: &dyn DistributionHandler,
    route: &Route,
    path: &ContentPath,
) -> Result<(Served, bool, bool), ServeError> {
    let served = handler.handle(cx, path).await?;
    let lasts = handler.remembers(&route.distribution, &served);
    let (Served::NotFound(_), true, Some((moment, below))) = (&served, route.travels(), Moment::split(path)) else {
        return Ok((served, false, lasts));
    };
    let Some(repository) = route.repository else {
        return Ok((served, false, lasts));
    };
    if below.is_some() {
        let part = path.as_str().split_inclusive('/').next().unwrap_or_default();
        if !matches!(handler.handle(cx, &ContentPath::new(part)).await?, Served::NotFound(_)) {
            return Ok((served, false, lasts));
        }
    }
    let found = travel(cx, handler, repository, moment, below.as_ref()).await?;
    let lasts = found.lasts && handler.remembers(&found.distribution, &found.served);
    Ok((found.served, true, lasts))
}
