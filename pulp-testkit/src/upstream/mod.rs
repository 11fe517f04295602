//! A remote for tests: files over HTTP, with every fault planned and every request counted.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use pulp_testkit::{Fault, Upstream};
//!
//! let upstream = Upstream::start()
//!     .await
//!     .file("a/b.txt", "hello")
//!     .generate(100, 4096, 7)
//!     .manifest()
//!     .fault("a/b.txt", Fault::CutAt(3).once())
//!     .fault("*", Fault::Status(503).times(2));
//! let remote_url = upstream.url("PULP_MANIFEST");
//! assert_eq!(upstream.hits("PULP_MANIFEST"), 0);
//! # });
//! ```

mod answer;
mod body;
mod fault;
mod wire;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio_rustls::TlsAcceptor;

pub(crate) use answer::basic;
pub use fault::{Fault, Planned};
pub use world::Recorded;

use crate::listening::Listening;
use crate::{Authority, Blob, Identity, Tree};
use wire::{Signals, Socket, Wire};
use world::World;

/// What cannot stand for itself in the path of a URL.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|')
    .add(b'[')
    .add(b']');

/// A path, percent-encoded as a part of a URL.
pub(crate) fn encode(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// A web server on the loopback interface that serves files, misbehaves as planned, and counts.
///
/// Files are named by their decoded path without a leading slash. The server ends when the handle is
/// dropped; connections end with it. It speaks HTTP/1.1, because faults are those of a connection.
#[derive(Debug)]
pub struct Upstream {
    world: Arc<World>,
    tls: Option<Secured>,
    listening: Listening,
}

#[derive(Debug)]
struct Secured {
    authority: Authority,
    client: Option<Identity>,
}

impl Upstream {
    /// Starts a plain HTTP server.
    ///
    /// # Panics
    /// When no loopback port can be had, or outside a tokio runtime. So do the other constructors.
    pub async fn start() -> Self {
        Self::listen(None, None).await
    }

    /// Starts an HTTPS server for `localhost` and `127.0.0.1`; see [`authority`](Self::authority).
    pub async fn start_https() -> Self {
        let authority = Authority::new();
        let config = Authority::listener(&authority.server(&["localhost", "127.0.0.1"]), None);
        let secured = Secured { authority, client: None };
        Self::listen(Some(config), Some(secured)).await
    }

    /// Starts an HTTPS server that demands a client certificate; [`client`](Self::client) is one that
    /// it accepts.
    pub async fn start_mutual_tls() -> Self {
        let authority = Authority::new();
        let identity = authority.server(&["localhost", "127.0.0.1"]);
        let config = Authority::listener(&identity, Some(&authority));
        let secured = Secured { client: Some(authority.client("pulp")), authority };
        Self::listen(Some(config), Some(secured)).await
    }

    async fn listen(config: Option<rustls::ServerConfig>, tls: Option<Secured>) -> Self {
        let world = Arc::new(World::new());
        let acceptor = config.map(|config| TlsAcceptor::from(Arc::new(config)));
        let served = Arc::clone(&world);
        let listening = Listening::start(0, move |tcp| serve(tcp, acceptor.clone(), Arc::clone(&served))).await;
        Self { world, tls, listening }
    }

    // What it serves.

    /// Serves `content` at `path`.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Blob>) -> Self {
        self.put(path, content);
        self
    }

    /// Serves `count` files of `size` bytes, `data/00000.bin` and so on, the same for the same `seed`.
    #[must_use]
    pub fn generate(self, count: usize, size: u64, seed: u64) -> Self {
        for index in 0..count {
            let blob = Blob::seeded(seed.wrapping_mul(0x1_0000_0001).wrapping_add(index as u64), size);
            self.put(&format!("data/{index:05}.bin"), blob);
        }
        self
    }

    /// Serves all files of a tree, its `PULP_MANIFEST` too if it has one.
    ///
    /// # Panics
    /// When a file of the tree cannot be read.
    #[must_use]
    pub fn tree(self, tree: &Tree) -> Self {
        for path in tree.files_and_manifest() {
            let bytes = std::fs::read(tree.path().join(&path)).expect("a file of the tree");
            self.put(&path, bytes);
        }
        self
    }

    /// Serves a `PULP_MANIFEST` of the files that there are by now.
    #[must_use]
    pub fn manifest(self) -> Self {
        self.write_manifest();
        self
    }

    /// Plans a fault for `path`, or for every path if that is `*`.
    #[must_use]
    pub fn fault(self, path: &str, fault: impl Into<Planned>) -> Self {
        self.plan(path, fault);
        self
    }

    /// Answers 401 to requests without these credentials.
    #[must_use]
    pub fn require_basic(self, user: &str, password: &str) -> Self {
        self.world.require_basic(basic(user, password));
        self
    }

    /// Answers 403 to requests without this header.
    ///
    /// # Panics
    /// When it is not a header.
    #[must_use]
    pub fn require_header(self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("a header name");
        self.world.require_header(name, value.parse().expect("a header value"));
        self
    }

    // What changes while it runs.

    /// Serves `content` at `path` from now on.
    pub fn put(&self, path: &str, content: impl Into<Blob>) {
        self.world.put(path, content.into());
    }

    /// Serves nothing at `path` from now on.
    pub fn remove(&self, path: &str) {
        self.world.remove(path);
    }

    /// Writes `PULP_MANIFEST` anew, of the files that there are by now.
    pub fn write_manifest(&self) {
        let files = self.world.files();
        let lines = files.iter().filter(|(path, _)| path != "PULP_MANIFEST").map(|(path, blob)| blob.manifest_line(path));
        self.put("PULP_MANIFEST", lines.collect::<String>());
    }

    /// Plans a fault for `path`, or for every path if that is `*`.
    pub fn plan(&self, path: &str, fault: impl Into<Planned>) {
        self.world.plan(path, fault.into());
    }

    /// Forgets all faults that were planned for `path` by that name.
    pub fn heal(&self, path: &str) {
        self.world.heal(path);
    }

    /// Lets every held body go on; see [`Fault::HoldAt`]. A fault that is planned later holds again.
    pub fn release(&self) {
        self.world.release();
    }

    /// Closes the port and all connections: from now on, clients are refused.
    pub async fn stop(&mut self) {
        self.listening.stop().await;
    }

    /// What it serves at `path`.
    ///
    /// # Panics
    /// When there is nothing.
    #[must_use]
    pub fn blob(&self, path: &str) -> Blob {
        self.world.file(path).expect("a file of the upstream").blob
    }

    // Where it is.

    /// `http://127.0.0.1:PORT` (or `https`), without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listening.address())
    }

    /// The address of a file, its path percent-encoded.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.base_url(), encode(path))
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Who signed its certificate; of a server without TLS, there is nobody.
    #[must_use]
    pub fn authority(&self) -> Option<&Authority> {
        self.tls.as_ref().map(|tls| &tls.authority)
    }

    /// A certificate that it accepts of a client, if it demands one.
    #[must_use]
    pub fn client(&self) -> Option<&Identity> {
        self.tls.as_ref()?.client.as_ref()
    }

    // What was asked.

    /// How many requests came for `path`, whatever became of them.
    #[must_use]
    pub fn hits(&self, path: &str) -> usize {
        self.world.hits(path)
    }

    /// How many bytes of bodies were given for `path`.
    #[must_use]
    pub fn bytes_sent(&self, path: &str) -> u64 {
        self.world.bytes_sent(path)
    }

    /// All requests in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.world.log()
    }

    /// Starts counting anew.
    pub fn forget(&self) {
        self.world.forget();
    }

    /// Waits until `count` requests have come for `path`.
    pub async fn wait_hits(&self, path: &str, count: usize) {
        self.world.until(|world| world.hits(path) >= count).await;
    }

    /// Waits until `count` bytes of bodies have been given for `path`.
    pub async fn wait_bytes(&self, path: &str, count: u64) {
        self.world.until(|world| world.bytes_sent(path) >= count).await;
    }
}

async fn serve(tcp: tokio::net::TcpStream, acceptor: Option<TlsAcceptor>, world: Arc<World>) {
    // Small pieces must leave as they are made, or slow bodies come in lumps.
    let _ = tcp.set_nodelay(true);
    let (socket, client_certificate) = match acceptor {
        None => (Socket::Plain(tcp), false),
        Some(acceptor) => match acceptor.accept(tcp).await {
            Ok(tls) => {
                let shown = tls.get_ref().1.peer_certificates().is_some();
                (Socket::Tls(Box::new(tls)), shown)
            }
            // A client that does not trust us, or has no certificate: it was told by an alert.
            Err(_) => return,
        },
    };
    let signals = Arc::new(Signals::default());
    let wire = Wire::new(socket, Arc::clone(&signals));
    let service = service_fn(move |request| answer::answer(Arc::clone(&world), Arc::clone(&signals), request, client_certificate));
    // An error is a planned fault, or a client that went away.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(wire), service).await;
}
