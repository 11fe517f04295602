//! A forward proxy that counts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::Authority;
use crate::listening::Listening;
use crate::upstream::basic;

type Body = BoxBody<Bytes, hyper::Error>;

/// A request that a proxy saw.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Proxied {
    /// `CONNECT` for a tunnel, else the method of the request that it passed on.
    pub method: Method,
    /// `host:port` of a tunnel, else the absolute URL.
    pub target: String,
    /// The `Proxy-Authorization` header, if it is text.
    pub authorization: Option<String>,
    /// Whether it was let through.
    pub allowed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Vec<Proxied>>,
    required: Option<HeaderValue>,
}

/// A forward proxy on the loopback interface: tunnels by `CONNECT`, plain HTTP by absolute URLs.
///
/// It ends when the handle is dropped, and its tunnels end with it.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    authority: Option<Authority>,
    listening: Listening,
}

impl Proxy {
    /// Starts a proxy that anybody may use.
    ///
    /// # Panics
    /// When no loopback port can be had, or outside a tokio runtime. So do the other constructors.
    pub async fn start() -> Self {
        Self::listen(None, None).await
    }

    /// Starts a proxy that answers 407 to requests without these credentials.
    pub async fn start_with_basic(user: &str, password: &str) -> Self {
        Self::listen(Some(basic(user, password)), None).await
    }

    /// Starts a proxy that is itself spoken to over TLS.
    pub async fn start_https() -> Self {
        Self::listen(None, Some(Authority::new())).await
    }

    async fn listen(required: Option<HeaderValue>, authority: Option<Authority>) -> Self {
        let acceptor = authority.as_ref().map(|authority| {
            let identity = authority.server(&["localhost", "127.0.0.1"]);
            TlsAcceptor::from(Arc::new(Authority::listener(&identity, None)))
        });
        let shared = Arc::new(Shared { log: Mutex::default(), required });
        let seen = Arc::clone(&shared);
        let listening = Listening::start(0, move |tcp| accept(tcp, acceptor.clone(), Arc::clone(&seen))).await;
        Self { shared, authority, listening }
    }

    /// `http://127.0.0.1:PORT` (or `https`), without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listening.address())
    }

    /// Who signed its certificate, if it is spoken to over TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// All requests in the order in which they came, those that were refused too.
    #[must_use]
    pub fn requests(&self) -> Vec<Proxied> {
        let log = self.shared.log.lock();
        log.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many tunnels were opened.
    #[must_use]
    pub fn tunnels(&self) -> usize {
        let opened = |seen: &&Proxied| seen.allowed && seen.method == Method::CONNECT;
        self.requests().iter().filter(opened).count()
    }

    /// How many plain requests were passed on.
    #[must_use]
    pub fn forwarded(&self) -> usize {
        let passed = |seen: &&Proxied| seen.allowed && seen.method != Method::CONNECT;
        self.requests().iter().filter(passed).count()
    }
}

async fn accept(tcp: TcpStream, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    match acceptor {
        None => serve(tcp, shared).await,
        Some(acceptor) => {
            if let Ok(tls) = acceptor.accept(tcp).await {
                serve(tls, shared).await;
            }
        }
    }
}

async fn serve<S>(socket: S, shared: Arc<Shared>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Tunnels end with the connection that asked for them.
    let tunnels = Arc::new(Mutex::new(JoinSet::new()));
    let opened = Arc::clone(&tunnels);
    let service = service_fn(move |request| {
        let (shared, tunnels) = (Arc::clone(&shared), Arc::clone(&opened));
        async move { Ok::<_, io::Error>(pass(request, &shared, &tunnels).await) }
    });
    // An error is a client that went away.
    let _ = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
    let mut running = {
        let mut tunnels = tunnels.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *tunnels)
    };
    while running.join_next().await.is_some() {}
}

async fn pass(request: Request<Incoming>, shared: &Shared, tunnels: &Mutex<JoinSet<()>>) -> Response<Body> {
    let credentials = request.headers().get(PROXY_AUTHORIZATION);
    let allowed = shared.required.is_none() || shared.required.as_ref() == credentials;
    let seen = Proxied {
        method: request.method().clone(),
        target: request.uri().to_string(),
        authorization: credentials.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        allowed,
    };
    shared.log.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    if !allowed {
        let mut response = text(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let challenge = HeaderValue::from_static("Basic realm=\"proxy\"");
        response.headers_mut().insert(PROXY_AUTHENTICATE, challenge);
        return response;
    }
    if request.method() == Method::CONNECT {
        tunnel(request, tunnels).await
    } else {
        match forward(request).await {
            Ok(response) => response,
            Err(_) => text(StatusCode::BAD_GATEWAY),
        }
    }
}

async fn tunnel(request: Request<Incoming>, tunnels: &Mutex<JoinSet<()>>) -> Response<Body> {
    let Some(authority) = request.uri().authority() else {
        return text(StatusCode::BAD_REQUEST);
    };
    let Ok(mut server) = TcpStream::connect(authority.as_str()).await else {
        return text(StatusCode::BAD_GATEWAY);
    };
    let mut tunnels = tunnels.lock().unwrap_or_else(PoisonError::into_inner);
    tunnels.spawn(async move {
        if let Ok(client) = hyper::upgrade::on(request).await {
            // Either side may go at any time.
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut server).await;
        }
    });
    text(StatusCode::OK)
}

async fn forward(mut request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let uri = request.uri().clone();
    let (Some(host), Some("http")) = (uri.host(), uri.scheme_str()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let port = uri.port_u16().unwrap_or(80);
    let server = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(server)).await.map_err(io::Error::other)?;
    // It ends with its one response.
    tokio::spawn(connection);
    let origin = uri.path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = origin.parse().map_err(io::Error::other)?;
    request.headers_mut().remove(PROXY_AUTHORIZATION);
    request.headers_mut().remove("proxy-connection");
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(response.map(BodyExt::boxed))
}

fn text(status: StatusCode) -> Response<Body> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response
}
