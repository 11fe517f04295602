//! What a type of distributions does with a path, and the handlers that most types are made of.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Method};

use super::state::Target;
use super::{ContentPath, Moment, ServeError, Served};
use crate::Pulp;
use crate::db::DbError;
use crate::model::{Distribution, PublishedVersion, Tree};

/// What a handler is given: the library, and what is known of the request.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ServeContext<'a> {
    /// The library.
    pub pulp: &'a Pulp,
    /// The distribution. Its guard has let the request pass.
    pub distribution: &'a Distribution,
    /// `GET` or `HEAD`.
    pub method: &'a Method,
    /// The path and query of the request, as they were sent.
    pub uri: &'a http::Uri,
    /// The request’s headers.
    pub headers: &'a HeaderMap,
    /// The moment in the history of the repository that is asked for, if not the present one. The distribution then is as one would be that
    /// serves that version, and that publication if there is one, alone; and the path is the one below the moment.
    pub moment: Option<Moment>,
    /// Where the distribution points, for all requests together; none where it is asked as of an earlier moment.
    pub(super) target: Option<&'a Target>,
}

impl ServeContext<'_> {
    /// What the distribution serves, if that is a publication: the one it names, or the newest of its version or repository. It is looked
    /// up once for many requests.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn publication(&self) -> Result<Option<PublishedVersion>, DbError> {
        let read = || PublishedVersion::of_distribution(self.pulp.db(), self.distribution);
        match self.target {
            Some(target) => target.publication.get_or_try_init(read).await.cloned(),
            None => read().await,
        }
    }

    /// What the distribution serves, if that is a repository version: the one it names, or the newest of its repository. It is looked up
    /// once for many requests.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn version(&self) -> Result<Option<Tree>, DbError> {
        let read = || Tree::of_distribution(self.pulp.db(), self.distribution);
        match self.target {
            Some(target) => target.version.get_or_try_init(read).await.cloned(),
            None => read().await,
        }
    }
}

/// A type of distributions: what lies at a path below one of them.
///
/// Most types need no more than [`PublishedHandler`](super::PublishedHandler), or a [`Chain`] of the handlers of this module.
///
/// ```
/// use async_trait::async_trait;
/// use pulp_core::content::{
///     ContentPath, DistributionHandler, PublishedHandler, Representation, ServeContext, ServeError, Served, ServedBytes,
/// };
///
/// /// Published files, and one that is made up as it is read.
/// struct WithGreeting;
///
/// #[async_trait]
/// impl DistributionHandler for WithGreeting {
///     async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
///         if path.as_str() == "hello.txt" {
///             let text = format!("This is {}.", cx.distribution.name);
///             return Ok(Served::Bytes(ServedBytes::new(Representation::named("hello.txt"), text)));
///         }
///         PublishedHandler.handle(cx, path).await
///     }
/// }
/// ```
#[async_trait]
pub trait DistributionHandler: Send + Sync {
    /// Decides what lies at `path`. Nothing needs to be read yet.
    ///
    /// # Errors
    /// [`ServeError`], by meaning.
    async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError>;

    /// Whether the same decision would be made for every request of this path, until the distribution or its repository
    /// [changes](super::Change). Only stored files, redirects and `NotFound` are remembered.
    fn remembers(&self, distribution: &Distribution, decision: &Served) -> bool {
        let _ = (distribution, decision);
        false
    }

    /// Commands that use, with the clients of the type, the repository whose root lies at `url`, which ends with a slash: a listing
    /// shows them.
    fn usage(&self, url: &str) -> Vec<String> {
        let _ = url;
        Vec::new()
    }
}

/// Asks one handler after the other until one finds something.
#[derive(Clone, Default)]
pub struct Chain {
    handlers: Vec<Arc<dyn DistributionHandler>>,
    usage: Option<fn(&str) -> Vec<String>>,
}

impl Chain {
    /// No handler yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this one, too, if those before found nothing.
    #[must_use]
    pub fn then(mut self, handler: impl DistributionHandler + 'static) -> Self {
        self.handlers.push(Arc::new(handler));
        self
    }

    /// Says how clients use what it serves: see [`DistributionHandler::usage`].
    #[must_use]
    pub fn used_by(mut self, usage: fn(url: &str) -> Vec<String>) -> Self {
        self.usage = Some(usage);
        self
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain of {}", self.handlers.len())
    }
}

#[async_trait]
impl DistributionHandler for Chain {
    async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
        let mut nothing = None;
        for handler in &self.handlers {
            match handler.handle(cx, path).await? {
                // The first knows best what should have been there.
                Served::NotFound(reason) => nothing = nothing.or(Some(reason)),
                found => return Ok(found),
            }
        }
        Ok(Served::NotFound(nothing.unwrap_or_else(|| "distributions of this type serve nothing".to_owned())))
    }

    fn remembers(&self, distribution: &Distribution, decision: &Served) -> bool {
        self.handlers.iter().all(|handler| handler.remembers(distribution, decision))
    }

    fn usage(&self, url: &str) -> Vec<String> {
        self.usage.map(|usage| usage(url)).unwrap_or_default()
    }
}
