//! A connection that knows when its bytes have left, and can end in a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::server::TlsStream;

/// What a response body and the connection under it tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    flushed: Notify,
    reset: AtomicBool,
}

impl Signals {
    /// Waits until all that was handed to the connection before has been written to its socket.
    ///
    /// hyper flushes whenever a body has nothing to give, so the first flush after this point is one
    /// that followed the bytes.
    pub(crate) async fn flushed(&self) {
        self.flushed.notified().await;
    }

    /// From now on, closing the connection resets it.
    pub(crate) fn reset_on_close(&self) {
        self.reset.store(true, Ordering::Release);
    }
}

pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(crate) struct Wire {
    socket: Socket,
    signals: Arc<Signals>,
}

impl Wire {
    pub(crate) fn new(socket: Socket, signals: Arc<Signals>) -> Self {
        Self { socket, signals }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.signals.reset.load(Ordering::Acquire) {
            let tcp = match &self.socket {
                Socket::Plain(tcp) => tcp,
                Socket::Tls(tls) => tls.get_ref().0,
            };
            // A socket that is gone already has been reset by the other side.
            let _ = tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        if polled.is_ready() {
            self.signals.flushed.notify_waiters();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
