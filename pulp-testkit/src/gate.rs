//! A way to a PostgreSQL that can be blocked.

use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use crate::listening::Listening;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Held back: nobody hears anything, and no connection ends.
    Held,
    /// Connections end, and new ones end at once.
    Cut,
}

/// A port of the loopback interface that leads to the socket of a database's server, until it does not. It ends with its handle.
#[derive(Debug)]
pub struct Gate {
    state: watch::Sender<State>,
    listening: Listening,
}

impl Gate {
    /// Opens a way to a Unix socket.
    ///
    /// # Panics
    /// When the system gives no port.
    pub async fn to(socket: PathBuf) -> Self {
        let (state, seen) = watch::channel(State::Open);
        let listening = Listening::start(0, move |client| lead(client, socket.clone(), seen.clone())).await;
        Self { state, listening }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listening.address().port()
    }

    /// From now on what is sent is held back, in both directions, and no connection ends: as when a cable is drawn.
    pub fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// Ends all connections, and each new one at once.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Lets everything through again; what was held back arrives now.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

/// Waits for a state; `Cut` when the gate is gone.
async fn until(seen: &mut watch::Receiver<State>, wanted: impl FnMut(&State) -> bool) -> State {
    seen.wait_for(wanted).await.map_or(State::Cut, |state| *state)
}

async fn lead(client: TcpStream, socket: PathBuf, seen: watch::Receiver<State>) {
    if *seen.borrow() == State::Cut {
        return;
    }
    let Ok(server) = UnixStream::connect(&socket).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Whichever side ends first ends both.
    tokio::select! {
        () = pass(from_client, to_server, seen.clone()) => {}
        () = pass(from_server, to_client, seen) => {}
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut seen: watch::Receiver<State>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(count) if count > 0 => count,
                _ => return,
            },
            _ = until(&mut seen, |state| *state == State::Cut) => return,
        };
        if until(&mut seen, |state| *state != State::Held).await == State::Cut || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
