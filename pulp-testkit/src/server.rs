//! A server in the test's own process.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use pulp_core::body::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::Client;

/// Anything that answers requests, served on a free port of the loopback interface, over HTTP/1.1 and HTTP/2.
///
/// It ends with its handle, and its connections with it: what clients of a server that was killed see.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves what `answer` makes of each request.
    ///
    /// # Panics
    /// When no loopback port can be had, or outside a tokio runtime.
    pub async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Body>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener");
        Self { address, accepting: tokio::spawn(accept(listener, Arc::new(answer))) }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of it that is not signed in.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.url())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<F, A>(listener: TcpListener, answer: Arc<F>)
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    // Ends its connections when it is itself aborted.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Out of descriptors, say: the client sees it.
        let Ok((tcp, _)) = listener.accept().await else { continue };
        connections.spawn(serve(tcp, Arc::clone(&answer)));
    }
}

async fn serve<F, A>(tcp: TcpStream, answer: Arc<F>)
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    // Waiting to fill a packet only delays an answer.
    let _ = tcp.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.map(Body::new));
        async move { Ok::<_, Infallible>(response.await) }
    });
    // An error is a client that went away, or a body that ended abruptly on purpose.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(tcp), service).await;
}
