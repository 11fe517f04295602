//! TLS of the listener’s own, with a certificate that is read again when it changes.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of its kind.
    #[error("the {what} {path} cannot be read: {message}", path = path.display())]
    File {
        /// `TLS certificate` or `TLS key`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The two do not go together, or are of a kind that is not known.
    #[error("the TLS certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Speaks TLS on connections: HTTP/1.1 or HTTP/2, as the client likes.
pub struct Tls {
    acceptor: TlsAcceptor,
    identity: Arc<Identity>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.identity.certificate).finish_non_exhaustive()
    }
}

impl Tls {
    /// With the chain of certificates and the private key in two PEM files.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be used.
    pub fn new(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let identity = Arc::new(Identity {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(Arc::new(load(certificate, key)?)),
        });
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&identity) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), identity })
    }

    /// The handshake on a new connection.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await?
    }

    /// Looks for changes of the files, again and again and upon SIGHUP. Handshakes from then on show the new certificate; open
    /// connections go on. Files that cannot be used are an error in the log, and change nothing.
    pub(crate) async fn follow(&self, every: Duration) {
        let mut hangup = signal(SignalKind::hangup()).inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be heard")).ok();
        let mut seen = self.identity.stamp();
        loop {
            let told = tokio::select! {
                () = tokio::time::sleep(every) => false,
                () = heard(&mut hangup) => true,
            };
            let now = self.identity.stamp();
            if told || now != seen {
                seen = now;
                self.identity.reload();
            }
        }
    }
}

async fn heard(hangup: &mut Option<Signal>) {
    if let Some(hangup) = hangup
        && hangup.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// The files, and what was in them when they were last right.
#[derive(Debug)]
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

/// What changes when a file is written or replaced: its number, its size, and the time to the nanosecond.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Identity {
    fn stamp(&self) -> [Stamp; 2] {
        let of = |path: &Path| path.metadata().ok().map(|file| (file.ino(), file.size(), file.mtime(), file.mtime_nsec()));
        [of(&self.certificate), of(&self.key)]
    }

    fn reload(&self) {
        match load(&self.certificate, &self.key) {
            Ok(loaded) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
                tracing::info!(certificate = %self.certificate.display(), "the TLS certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the TLS certificate stays the one before"),
        }
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |error: rustls_pki_types::pem::Error| TlsError::File { what, path, message: error.to_string() }
    };
    let read = |path| CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let chain = read(certificate).map_err(unreadable("TLS certificate", certificate))?;
    if chain.is_empty() {
        return Err(unreadable("TLS certificate", certificate)(rustls_pki_types::pem::Error::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable("TLS key", key))?;
    Ok(CertifiedKey::from_der(chain, private, &default_provider())?)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::{Request, Response, Version};
    use pulp_core::body::Body;
    use pulp_testkit::{Authority, Identity as Signed};
    use tempfile::TempDir;
    use tokio::sync::oneshot;

    use super::*;
    use crate::http::{Answer, Limits, bind, serve};

    struct Hello;

    impl Answer for Hello {
        async fn answer(&self, request: Request<Body>) -> Response<Body> {
            let forwarded = request.headers().get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok());
            Response::new(Body::from(forwarded.unwrap_or_default().to_owned()))
        }
    }

    /// A listener, the directory of its certificate, and the authorities that have signed it so far.
    struct World {
        dir: TempDir,
        address: SocketAddr,
        _stop: oneshot::Sender<()>,
    }

    impl World {
        async fn new(signed: &Signed) -> Self {
            Self::that_looks_every(signed, Duration::from_millis(5)).await
        }

        async fn that_looks_every(signed: &Signed, certificate_check: Duration) -> Self {
            let dir = tempfile::tempdir().unwrap();
            write(&dir, signed);
            let tls = Tls::new(&dir.path().join("cert.pem"), &dir.path().join("key.pem")).unwrap();
            let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let limits = Limits {
                header_read_timeout: Duration::from_secs(5),
                shutdown_timeout: Duration::from_secs(5),
                access_log: false,
                certificate_check,
            };
            tokio::spawn(serve(listener, Some(tls), Arc::new(Hello), limits, async {
                let _ = stopped.await;
            }));
            Self { dir, address, _stop: stop }
        }

        async fn get(&self, client: &reqwest::Client) -> reqwest::Result<(Version, String)> {
            let response = client.get(format!("https://localhost:{}/", self.address.port())).send().await?;
            Ok((response.version(), response.text().await?))
        }

        /// Waits until a client that trusts this authority alone is answered.
        async fn shows_a_certificate_of(&self, authority: &Authority) {
            let shown = async {
                while self.get(&client(authority)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), shown).await.expect("the new certificate");
        }
    }

    fn write(dir: &TempDir, signed: &Signed) {
        std::fs::write(dir.path().join("cert.pem"), &signed.certificate).unwrap();
        std::fs::write(dir.path().join("key.pem"), &signed.key).unwrap();
    }

    fn builder(authority: &Authority) -> reqwest::ClientBuilder {
        let _ = default_provider().install_default();
        let root = reqwest::Certificate::from_pem(authority.certificate().as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([root])
    }

    fn client(authority: &Authority) -> reqwest::Client {
        builder(authority).build().unwrap()
    }

    #[tokio::test]
    async fn clients_choose_between_two_versions_of_http() {
        let authority = Authority::new();
        let world = World::new(&authority.server(&["localhost"])).await;
        assert_eq!(world.get(&client(&authority)).await.unwrap(), (Version::HTTP_2, "https".to_owned()));
        let old = builder(&authority).http1_only().build().unwrap();
        assert_eq!(world.get(&old).await.unwrap(), (Version::HTTP_11, "https".to_owned()));
        assert!(world.get(&client(&Authority::new())).await.is_err());
    }

    #[tokio::test]
    async fn a_new_certificate_is_shown_and_a_wrong_one_is_not() {
        let (first, second, third) = (Authority::new(), Authority::new(), Authority::new());
        let world = World::new(&first.server(&["localhost"])).await;
        let connected = client(&first);
        world.get(&connected).await.unwrap();

        write(&world.dir, &second.server(&["localhost"]));
        world.shows_a_certificate_of(&second).await;
        // A connection that is open goes on.
        world.get(&connected).await.unwrap();

        for (file, text) in [("key.pem", third.server(&["localhost"]).key), ("cert.pem", "no certificate".to_owned())] {
            std::fs::write(world.dir.path().join(file), text).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.get(&client(&second)).await.unwrap();
        }
        write(&world.dir, &third.server(&["localhost"]));
        world.shows_a_certificate_of(&third).await;
    }

    #[tokio::test]
    async fn a_hangup_has_the_certificate_read_again() {
        // Whatever the listener does, the signal must not end the tests.
        let _heard = signal(SignalKind::hangup()).unwrap();
        let (first, second) = (Authority::new(), Authority::new());
        let world = World::that_looks_every(&first.server(&["localhost"]), Duration::from_secs(3_600)).await;
        world.get(&client(&first)).await.unwrap();
        write(&world.dir, &second.server(&["localhost"]));
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.get(&client(&first)).await.unwrap();
        let id = std::process::id().to_string();
        let told = std::process::Command::new("kill").args(["-HUP", id.as_str()]).status().unwrap();
        assert!(told.success());
        world.shows_a_certificate_of(&second).await;
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let refused = || Tls::new(&certificate, &key).unwrap_err().to_string();
        assert!(refused().contains("TLS certificate") && refused().contains("cert.pem"), "{}", refused());
        let authority = Authority::new();
        std::fs::write(&certificate, authority.server(&["localhost"]).certificate).unwrap();
        assert!(refused().contains("key.pem"), "{}", refused());
        std::fs::write(&key, authority.server(&["localhost"]).key).unwrap();
        assert!(refused().contains("cannot be used"), "{}", refused());
    }
}
