//! A server in the test's own process.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use pulp_core::body::Body;
use tokio::net::TcpStream;

use crate::Client;
use crate::listening::Listening;

/// Anything that answers requests, served on a free port of the loopback interface, over HTTP/1.1 and HTTP/2.
///
/// It ends with its handle, and its connections with it: what clients of a server that was killed see.
#[derive(Debug)]
pub struct Server(Listening);

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
        let answer = Arc::new(answer);
        Self(Listening::start(0, move |tcp| serve(tcp, Arc::clone(&answer))).await)
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// A client of it that is not signed in.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.url())
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
