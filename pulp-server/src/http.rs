//! The listener: accepts connections, speaks HTTP/1.1 and HTTP/2 on them, with or without TLS, and drains them at the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use pulp_core::api::RemoteAddress;
use pulp_core::body::{Body, ReasonText, SendsFiles};
use pulp_core::content::AtHand;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::cores::{Cores, here_or_on};
use crate::rest::Whole;
use crate::sendfile::{OnTheWay, Outgoing, Socket};
use crate::spelling;
use crate::swift::{Ready, Swift, Turn, Turns};
use crate::tls::Tls;

/// Answers requests; what the listener is mounted on.
pub trait Answer: Send + Sync + 'static {
    /// The answer to one request.
    fn answer(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;

    /// The same, if it can be given from memory right away; see [`Content::at_hand`](pulp_core::content::Content::at_hand).
    fn at_hand(&self, request: &Parts) -> Option<AtHand> {
        let _ = request;
        None
    }
}

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for the head of a request.
    pub header_read_timeout: Duration,
    /// Time for open requests once the listener has been told to stop.
    pub shutdown_timeout: Duration,
    /// Whether each request is written to the log.
    pub access_log: bool,
    /// Time between two looks at the files of the certificate.
    pub certificate_check: Duration,
}

/// Larger request heads are refused with 431: client certificates come in headers, up to 16 KiB each.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Whoever has connected when it is time to stop, and asks within this, is answered: a proxy may have chosen this server just before.
const HEARD: Duration = Duration::from_secs(1);

/// Tells in which scheme the client spoke; of HTTP/1.1, the request itself does not.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Serves until `stop` is ready, then lets open requests end. With `tls`, nothing else is spoken.
///
/// A connection that fails ends alone, and a failing `accept` is tried again.
pub async fn serve<A: Answer>(listener: TcpListener, tls: Option<Tls>, answer: Arc<A>, limits: Limits, stop: impl Future<Output = ()>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        // No `pipeline_flush`: with it, a head that is none or too large gets no answer at all.
        .max_buf_size(MAX_HEAD_BYTES.max(256 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(60))
        .max_concurrent_streams(250);
    let mut swift = builder.clone();
    // It has its own.
    swift.http1().header_read_timeout(None);
    let spelling = spelling::learn().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "names of headers are written as they come");
        Extensions::new()
    });
    let (cores, listener) = match Cores::start().and_then(|cores| Ok((Arc::new(cores), listener.into_std()?))) {
        Ok(started) => started,
        Err(error) => return tracing::error!(%error, "there are no threads to speak with clients"),
    };
    let shared = cores.shared().clone();
    let (access_log, patience) = (limits.access_log, limits.header_read_timeout);
    let front = Arc::new(Front { builder, swift, answer, access_log, patience, spelling, tls, shared });
    let (silent, mut heard) = mpsc::channel(1);
    let (accept, accepted) = oneshot::channel();
    let accepting = AbortOnDropHandle::new(cores.spawn(accepting(listener, Arc::clone(&cores), Arc::clone(&front), silent, accepted)));
    let certificate = follow(front.tls.as_ref(), limits.certificate_check);
    tokio::select! {
        () = certificate => {}
        () = stop => {}
    }
    drop::<oneshot::Sender<Infallible>>(accept);
    let Ok(graceful) = accepting.await else { return tracing::error!("connections could not be accepted") };
    // hyper would hang up on whom it has not heard yet.
    let _ = tokio::time::timeout(HEARD, heard.recv()).await;
    if tokio::time::timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = limits.shutdown_timeout.as_secs(), "requests were still open when the time to stop was over");
    }
}

/// Deals connections to the threads that speak with clients, of which it runs on one, until it is told to stop. Then those that the system has
/// taken for us are dealt as well.
async fn accepting<A: Answer>(
    listener: std::net::TcpListener,
    cores: Arc<Cores>,
    front: Arc<Front<A>>,
    silent: Silent,
    mut stop: oneshot::Receiver<Infallible>,
) -> GracefulShutdown {
    let graceful = GracefulShutdown::new();
    let begin = |stream, peer| {
        let (front, watcher, silent) = (Arc::clone(&front), graceful.watcher(), silent.clone());
        cores.deal(stream, move |stream| connection(front, stream, peer, watcher, silent));
    };
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "no connections can be accepted");
            return graceful;
        }
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer),
            Err(error) => {
                // Out of file descriptors, mostly: others must end before another can begin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    for (stream, peer) in waiting(listener) {
        begin(stream, peer);
    }
    graceful
}

/// A connection that has not asked for anything yet holds one.
type Silent = mpsc::Sender<Infallible>;

/// Closes the listener; the connections that the system had taken for it.
fn waiting(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let waiting = std::iter::from_fn(|| listener.accept().ok());
    let own = |(stream, peer): (std::net::TcpStream, _)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    };
    waiting.filter_map(own).collect()
}

/// What all connections share.
struct Front<A> {
    builder: auto::Builder<TokioExecutor>,
    /// The same for connections that give answers by themselves.
    swift: auto::Builder<TokioExecutor>,
    answer: Arc<A>,
    access_log: bool,
    /// Time for the head of a request.
    patience: Duration,
    /// For answers of the API: some clients look for `Set-Cookie` and `Correlation-ID` by that very name.
    spelling: Extensions,
    tls: Option<Tls>,
    /// Where answers are made that have to wait for something.
    shared: Handle,
}

/// Keeps the certificate up to date. Never ends.
async fn follow(tls: Option<&Tls>, every: Duration) {
    if let Some(tls) = tls {
        tls.follow(every).await;
    }
    std::future::pending().await
}

async fn connection<A: Answer>(front: Arc<Front<A>>, stream: TcpStream, peer: SocketAddr, watcher: Watcher, silent: Silent) {
    // A response is written whole: waiting to fill a packet only delays it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "nodelay could not be set");
    }
    let client = Arc::new(Client { peer, turns: Arc::default(), silent: Mutex::new(Some(silent)) });
    match &front.tls {
        None => {
            let socket = Socket::new(stream);
            let on_the_way = socket.on_the_way();
            let ready = AtHandOf { front: Arc::clone(&front), client: Arc::clone(&client) };
            let stream = Swift::new(socket, ready, Arc::clone(&client.turns), front.patience);
            speak(Arc::clone(&front), &front.swift, stream, Some(on_the_way), client, watcher).await;
        }
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => speak(Arc::clone(&front), &front.builder, stream, None, client, watcher).await,
            Err(error) => tracing::debug!(%error, %peer, "the handshake failed"),
        },
    }
}

/// The other end of a connection.
struct Client {
    peer: SocketAddr,
    turns: Arc<Turns>,
    silent: Mutex<Option<Silent>>,
}

impl Client {
    /// It has asked for something.
    fn is_heard(&self) {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The answers that are at hand for a client.
struct AtHandOf<A> {
    front: Arc<Front<A>>,
    client: Arc<Client>,
}

impl<A: Answer> Ready for AtHandOf<A> {
    fn at_hand(&self, request: &mut Parts) -> Option<AtHand> {
        let address = RemoteAddress(self.client.peer.ip());
        // It is there already, of another connection of this thread.
        match request.extensions.get_mut() {
            Some(known) => *known = address,
            None => drop(request.extensions.insert(address)),
        }
        self.front.answer.at_hand(request)
    }

    fn given(&self, request: &Parts, answer: &AtHand) {
        self.client.is_heard();
        if self.front.access_log {
            let bytes = Some(answer.bytes().len() as u64);
            note(self.client.peer, &request.method, request.uri.path(), StatusCode::OK, bytes, answer.took(), "-");
        }
    }
}

async fn speak<A: Answer, S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    front: Arc<Front<A>>,
    builder: &auto::Builder<TokioExecutor>,
    stream: S,
    on_the_way: Option<OnTheWay>,
    client: Arc<Client>,
    watcher: Watcher,
) {
    let peer = client.peer;
    let service = service_fn(move |mut request: Request<Incoming>| {
        client.is_heard();
        let turn = Turn::begin(&client.turns);
        let front = Arc::clone(&front);
        // In HTTP/2 what is sent is cut into frames, and so copied.
        let on_the_way = on_the_way.clone().filter(|_| request.version() < Version::HTTP_2);
        if on_the_way.is_some() {
            request.extensions_mut().insert(SendsFiles);
        }
        async move {
            let response = respond(&front, request, peer).await;
            Ok::<_, Infallible>(response.map(|body| Outgoing::new(body, on_the_way, front.shared.clone(), Some(turn))))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

async fn respond<A: Answer>(front: &Arc<Front<A>>, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
    if front.tls.is_some() {
        request.headers_mut().entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("https"));
    }
    let mut response = logged(front, request, peer).await;
    if response.headers().contains_key("correlation-id") {
        response.extensions_mut().extend(front.spelling.clone());
    }
    // A text that cannot stand in the status line stays in the body only.
    if let Some(ReasonText(text)) = response.extensions_mut().remove()
        && let Ok(phrase) = ReasonPhrase::try_from(text)
    {
        response.extensions_mut().insert(phrase);
    }
    response
}

async fn logged<A: Answer>(front: &Arc<Front<A>>, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
    request.extensions_mut().insert(RemoteAddress(peer.ip()));
    let request = if request.body().is_end_stream() {
        request.map(|_| Body::empty())
    } else if Whole::is_needed(request.version(), request.headers()) {
        request.map(|body| Body::new(Whole::new(body)))
    } else {
        request.map(Body::new)
    };
    if front.access_log { Box::pin(noted(front, request, peer)).await } else { answered(front, request).await }
}

async fn answered<A: Answer>(front: &Arc<Front<A>>, request: Request<Body>) -> Response<Body> {
    let asked = Arc::clone(front);
    here_or_on(&front.shared, async move { asked.answer.answer(request).await }).await.unwrap_or_else(|| {
        let mut response = Response::new(Body::from("the server is stopping"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    })
}

/// The answer to a request that is written to the log.
async fn noted<A: Answer>(front: &Arc<Front<A>>, request: Request<Body>, peer: SocketAddr) -> Response<Body> {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = answered(front, request).await;
    let cid = response.headers().get("correlation-id").and_then(|value| value.to_str().ok()).unwrap_or("-");
    note(peer, &method, &path, response.status(), response.body().size_hint().exact(), began.elapsed(), cid);
    response
}

/// A line of the access log.
fn note(peer: SocketAddr, method: &Method, path: &str, status: StatusCode, bytes: Option<u64>, took: Duration, cid: &str) {
    tracing::info!(
        target: "access",
        %peer,
        %method,
        path,
        status = status.as_u16(),
        bytes,
        ms = took.as_secs_f64() * 1e3,
        cid,
    );
}

/// Opens the listener.
///
/// # Errors
/// If the address is taken or is not ours; the message names it.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

#[cfg(test)]
mod tests {
    use http::Version;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;

    struct Says;

    impl Answer for Says {
        async fn answer(&self, request: Request<Body>) -> Response<Body> {
            Response::new(Body::from(format!("{:?}", request.version())))
        }
    }

    async fn started(stop: impl Future<Output = ()> + Send + 'static) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            header_read_timeout: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(5),
            access_log: false,
            certificate_check: Duration::from_secs(5),
        };
        (address, tokio::spawn(serve(listener, None, Arc::new(Says), limits, stop)))
    }

    #[tokio::test]
    async fn who_has_just_connected_is_answered_before_the_end() {
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, serving) = started(async { drop(stopped.await) }).await;
        let mut known = TcpStream::connect(address).await.unwrap();
        // Time for it to be taken, and for nothing to be heard of it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut unknown = std::net::TcpStream::connect(address).unwrap();
        stop.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::io::Write::write_all(&mut unknown, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        known.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        unknown.set_nonblocking(true).unwrap();
        for mut tcp in [known, TcpStream::from_std(unknown).unwrap()] {
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        }
        serving.await.unwrap();
        TcpStream::connect(address).await.unwrap_err();
    }

    #[tokio::test]
    async fn both_versions_of_http_are_spoken_in_the_clear() {
        let (address, _serving) = started(std::future::pending()).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || reqwest::Client::builder().no_proxy();
        for (client, version) in [
            (builder().build().unwrap(), Version::HTTP_11),
            // Without having asked first: it knows.
            (builder().http2_prior_knowledge().build().unwrap(), Version::HTTP_2),
        ] {
            let response = client.get(format!("http://{address}/")).send().await.unwrap();
            assert_eq!((response.version(), response.text().await.unwrap()), (version, format!("{version:?}")));
        }
    }
}
