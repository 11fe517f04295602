//! A port of the loopback interface, and who connects to it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Serves each connection to a port by a task of its own. It ends with its handle, and its connections with it.
#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Listening {
    /// On this port; on one that the system chooses for 0.
    ///
    /// # Panics
    /// When the port cannot be had, or outside a tokio runtime.
    pub(crate) async fn start<F, S>(port: u16, serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener");
        let accepting = tokio::spawn(async move {
            // Ends its connections when it is itself aborted.
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                // Out of descriptors, say: the client sees it.
                let Ok((tcp, _)) = listener.accept().await else { continue };
                connections.spawn(serve(tcp));
            }
        });
        Self { address, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and all connections: from now on, clients are refused.
    pub(crate) async fn stop(&mut self) {
        self.accepting.abort();
        // Its only end is this one.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
