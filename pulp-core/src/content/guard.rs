//! Content guards: who may read what a distribution serves.

use async_trait::async_trait;
use http::{Extensions, HeaderMap, Method};
use uuid::Uuid;

use crate::Pulp;
use crate::model::Distribution;

use super::ContentPath;

/// A request that a guard is asked about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct GuardRequest<'a> {
    /// The library.
    pub pulp: &'a Pulp,
    /// The key of the guard’s row: one object stands for all guards of its type.
    pub guard: Uuid,
    /// The name of the domain.
    pub domain: &'a str,
    /// How many guards have passed this question on.
    pub(crate) depth: u8,
    /// What is guarded.
    pub distribution: &'a Distribution,
    /// The path below the distribution.
    pub path: &'a ContentPath,
    /// `GET` or `HEAD`.
    pub method: &'a Method,
    /// The whole path of the request, as it was sent.
    pub uri: &'a http::Uri,
    /// The request’s headers.
    pub headers: &'a HeaderMap,
    /// What the front end knows of the connection: a client certificate, say.
    pub extensions: &'a Extensions,
}

/// The guard says no. The text is shown to the client: 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(pub String);

/// A type of content guards. It is asked at every request, cached content included.
///
/// ```
/// use async_trait::async_trait;
/// use pulp_core::content::{ContentGuard, Denied, GuardRequest};
///
/// /// Lets those pass who know the word.
/// struct Password(&'static str);
///
/// #[async_trait]
/// impl ContentGuard for Password {
///     async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
///         match request.headers.get("x-password") {
///             Some(word) if word == self.0 => Ok(()),
///             _ => Err(Denied("Say the word.".to_owned())),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait ContentGuard: Send + Sync {
    /// Lets the request pass.
    ///
    /// # Errors
    /// [`Denied`] with what the client is told. A guard that cannot find out says no.
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied>;

    /// Whether it lets the request pass, and knows that right away. If not, it is [asked](Self::permit): it need not say here that it is against it.
    fn permits_at_once(&self, request: &GuardRequest<'_>) -> bool {
        let _ = request;
        false
    }
}
