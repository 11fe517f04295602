//! The body of one answer, and what befalls it on the way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;

use super::fault::Fault;
use super::wire::Signals;
use super::world::World;
use crate::Blob;

const CHUNK: u64 = 64 * 1024;
/// How often a slow body sends something.
const TICK: Duration = Duration::from_millis(20);

/// A window of a blob on its way to a client.
pub(super) struct Sending {
    pub(super) world: Arc<World>,
    pub(super) signals: Arc<Signals>,
    pub(super) path: String,
    pub(super) blob: Blob,
    /// Where in the file the next byte comes from, and where the body ends.
    pub(super) at: u64,
    pub(super) end: u64,
    /// Offsets in the file whose byte is wrong.
    pub(super) flips: Vec<u64>,
    pub(super) event: Option<Fault>,
    /// How many bytes of this body were given.
    pub(super) sent: u64,
}

impl Sending {
    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        futures::stream::unfold(Some(self), |sending| async {
            let mut sending = sending?;
            match sending.next().await {
                None => None,
                Some(Ok(bytes)) => Some((Ok(bytes), Some(sending))),
                Some(Err(error)) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        // Up to where nothing happens.
        let mut room = CHUNK;
        match self.event.clone() {
            Some(Fault::CutAt(at)) => {
                if self.sent >= at {
                    return Some(Err(self.broken().await));
                }
                room = room.min(at - self.sent);
            }
            Some(Fault::ResetAt(at)) => {
                if self.sent >= at {
                    let error = self.broken().await;
                    self.signals.reset_on_close();
                    return Some(Err(error));
                }
                room = room.min(at - self.sent);
            }
            Some(Fault::Stall { after, lasting }) => {
                if self.sent >= after {
                    self.event = None;
                    tokio::time::sleep(lasting).await;
                } else {
                    room = room.min(after - self.sent);
                }
            }
            Some(Fault::HoldAt(at)) => {
                if self.sent >= at {
                    self.event = None;
                    self.world.held().await;
                } else {
                    room = room.min(at - self.sent);
                }
            }
            Some(Fault::SlowBytes(rate)) => {
                if self.sent > 0 {
                    tokio::time::sleep(TICK).await;
                }
                let ticks = (Duration::from_secs(1).as_millis() / TICK.as_millis()) as u64;
                room = room.min((rate / ticks).max(1));
            }
            Some(Fault::LyingLength(more)) if more > 0 && self.at >= self.end => {
                return Some(Err(self.broken().await));
            }
            _ => {}
        }
        if self.at >= self.end {
            return None;
        }
        let limit = room.min(self.end - self.at) as usize;
        let bytes = self.flipped(self.blob.read(self.at, limit));
        if bytes.is_empty() {
            return None;
        }
        self.at += bytes.len() as u64;
        self.sent += bytes.len() as u64;
        self.world.sent(&self.path, bytes.len() as u64);
        Some(Ok(bytes))
    }

    fn flipped(&self, bytes: Bytes) -> Bytes {
        let window = self.at..self.at + bytes.len() as u64;
        if !self.flips.iter().any(|flip| window.contains(flip)) {
            return bytes;
        }
        let mut bytes = BytesMut::from(bytes);
        for flip in self.flips.iter().filter(|flip| window.contains(flip)) {
            bytes[(flip - window.start) as usize] ^= 0x01;
        }
        bytes.freeze()
    }

    /// The error that makes hyper drop the connection, once all before it has left.
    async fn broken(&self) -> io::Error {
        self.signals.flushed().await;
        io::Error::new(io::ErrorKind::ConnectionAborted, "planned fault")
    }
}
