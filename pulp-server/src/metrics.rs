//! `/metrics`: what there is to measure, as text for Prometheus, for whom the settings let read it.

use std::net::IpAddr;

use ::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use pulp_core::Pulp;
use pulp_core::api::{RemoteAddress, refuse_all_but_administrators};
use pulp_core::body::Body;
use pulp_core::metrics::TEXT;

use crate::config::MetricsAccess;
use crate::http::Answer;

/// Where it lies.
pub(crate) const PATH: &str = "/metrics";

/// What a proxy adds to what it passes on: who comes with one of these does not come from this host, whatever the connection says.
const PROXIED: [&str; 8] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-server", "x-real-ip"];

/// Answers `/metrics`, and nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pulp: Pulp,
    access: MetricsAccess,
}

impl Metrics {
    /// Nothing where the settings turn it off.
    pub(crate) fn new(pulp: &Pulp, access: MetricsAccess) -> Option<Self> {
        (access != MetricsAccess::Off).then(|| Self { pulp: pulp.clone(), access })
    }

    async fn refused(&self, request: &Request<()>) -> Option<Response<Body>> {
        match self.access {
            MetricsAccess::Off => Some(status(StatusCode::NOT_FOUND)),
            MetricsAccess::Anyone => None,
            MetricsAccess::Local if is_local(request) => None,
            MetricsAccess::Local | MetricsAccess::Administrators => refuse_all_but_administrators(&self.pulp, request.headers()).await,
        }
    }
}

impl Answer for Metrics {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        // A body is nothing to look at, and could not be held while the database is asked.
        let request = request.map(drop);
        if request.uri().path() != PATH {
            return status(StatusCode::NOT_FOUND);
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        if let Some(refused) = self.refused(&request).await {
            return refused;
        }
        let mut response = Response::new(Body::from(self.pulp.metrics_text().await));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if request.method() == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Whether the asker is on this host: by the connection, by the name under which it reached us (a page in somebody's browser has another
/// one), and because no proxy says otherwise.
fn is_local(request: &Request<()>) -> bool {
    let headers = request.headers();
    let from_here = request.extensions().get::<RemoteAddress>().is_some_and(|RemoteAddress(address)| is_loopback(*address));
    from_here && !PROXIED.iter().any(|name| headers.contains_key(*name)) && names_this_host(request, headers)
}

fn names_this_host(request: &Request<()>, headers: &HeaderMap) -> bool {
    let header = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = request.uri().authority().map(|authority| authority.as_str()).or(header) else { return false };
    // The port goes; what stands in brackets is an address of IPv6.
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(address: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::get(PATH).extension(RemoteAddress(address.parse().unwrap()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_local(&request.body(()).unwrap())
    }

    #[test]
    fn who_is_on_this_host() {
        for host in ["localhost", "LOCALHOST:24817", "127.0.0.1:24817", "127.1.2.3", "[::1]:24817"] {
            assert!(local("127.0.0.1", &[("host", host)]) && local("::1", &[("host", host)]), "{host}");
            assert!(local("::ffff:127.0.0.1", &[("host", host)]));
        }
    }

    #[test]
    fn who_is_not() {
        let host = ("host", "localhost");
        assert!(!local("192.0.2.7", &[host]));
        assert!(!local("::ffff:192.0.2.7", &[host]));
        // A proxy on this host, a page of another site in a browser on this host, and who names no host.
        for (name, value) in [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https"), ("forwarded", "for=x"), ("via", "1.1 x")] {
            assert!(!local("127.0.0.1", &[host, (name, value)]), "{name}");
        }
        for host in ["pulp.example.org", "localhost.example.org", "127.0.0.1.example.org", "[::2]:1", ""] {
            assert!(!local("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(!local("127.0.0.1", &[]));
    }
}
