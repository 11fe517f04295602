//! One address in front of several servers, as a reverse proxy is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::listening::Listening;

type Body = BoxBody<Bytes, hyper::Error>;

/// What begins with this goes to the servers of content.
const CONTENT: &str = "/pulp/content/";

#[derive(Debug, Default)]
struct Servers {
    all: RwLock<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Servers {
    /// All of them, another one first each time.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let mut all = self.all.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !all.is_empty() {
            let first = self.next.fetch_add(1, Ordering::Relaxed) % all.len();
            all.rotate_left(first);
        }
        all
    }

    fn set(&self, all: Vec<SocketAddr>) {
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// A plain reverse proxy on the loopback interface: requests go to the servers in turn, past those that take no connection; what lies
/// below `/pulp/content/` to the servers of content. It ends with its handle.
#[derive(Debug)]
pub struct Balancer {
    api: Arc<Servers>,
    content: Arc<Servers>,
    listening: Listening,
}

impl Balancer {
    /// Starts it, with nothing behind it, on this port; on one that the system chooses for 0.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn start(port: u16) -> Self {
        let (api, content) = (Arc::<Servers>::default(), Arc::<Servers>::default());
        let (to_api, to_content) = (api.clone(), content.clone());
        let listening = Listening::start(port, move |tcp| serve(tcp, to_api.clone(), to_content.clone())).await;
        Self { api, content, listening }
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.listening.address())
    }

    /// From now on these answer API requests.
    pub fn api(&self, servers: Vec<SocketAddr>) {
        self.api.set(servers);
    }

    /// From now on these serve content.
    pub fn content(&self, servers: Vec<SocketAddr>) {
        self.content.set(servers);
    }
}

async fn serve(tcp: TcpStream, api: Arc<Servers>, content: Arc<Servers>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let servers = if request.uri().path().starts_with(CONTENT) { content.in_turn() } else { api.in_turn() };
        async move { Ok::<_, std::convert::Infallible>(pass(request, servers).await) }
    });
    // An error is a client that went away.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await;
}

/// Passes a request on as it came, `Host` included, to the first that takes a connection.
async fn pass(request: Request<Incoming>, servers: Vec<SocketAddr>) -> Response<Body> {
    for server in servers {
        let Ok(tcp) = TcpStream::connect(server).await else { continue };
        let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await else { continue };
        // It ends with its one response.
        tokio::spawn(connection);
        return match sender.send_request(request).await {
            Ok(answer) => answer.map(BodyExt::boxed),
            Err(_) => refusal(),
        };
    }
    refusal()
}

fn refusal() -> Response<Body> {
    let mut answer = Response::new(Full::new(Bytes::new()).map_err(|never| match never {}).boxed());
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
