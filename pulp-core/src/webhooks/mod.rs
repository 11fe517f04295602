//! Webhooks: somebody is told of what happens, by a signed request.
//!
//! What is to be told is written in the transaction of the event itself, so that it is told if, and only if, the event happened, whatever
//! process dies when. Any process with workers sends it, and tries again for hours; the receiver may get a message twice, and not always in
//! the order of events.

mod circuit;
mod deliver;
mod event;
mod known;
mod send;
mod sign;

use std::sync::Arc;

use tokio::sync::Semaphore;

use circuit::Circuits;
pub(crate) use deliver::{deliver_due, expire};
pub(crate) use event::{Event, again, emit, ping};
use known::Known;
use send::Senders;
pub use sign::signature;

/// The events that a webhook can be told of.
pub const EVENTS: &[&str] = &["task.finished", "task.failed", "repository_version.created"];

/// What one Pulp keeps of webhooks.
#[derive(Debug)]
pub(crate) struct Webhooks {
    known: Known,
    circuits: Circuits,
    senders: Senders,
    /// Messages that are sent at the same time.
    room: Arc<Semaphore>,
}

impl Webhooks {
    /// Sends so many messages at the same time.
    pub(crate) fn new(concurrency: usize) -> Self {
        let room = Arc::new(Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        Self { known: Known::default(), circuits: Circuits::default(), senders: Senders::default(), room }
    }
}
