//! What a fetch and its clients share.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::FetchError;
use crate::body::OpenFile;
use crate::download::transfer::Head;
use crate::storage::SpoolTail;

/// One file under way. The fetch writes the state, clients follow it.
///
/// ```text
///            head, tail           verified
/// Waiting ───────────► Readable ───────────► Complete(length)
///    │  ▲                 │  │
///    │  └─────────────────┘  │   a source was wrong: next generation, from the beginning
///    └───────────► Failed ◄──┘   no source is left
/// ```
#[derive(Debug)]
pub(super) struct Entry {
    /// Whether the file is passed on only, and not kept.
    pub(super) streamed: bool,
    pub(super) state: watch::Sender<State>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// Counts the beginnings. What was read in an older generation was wrong.
    pub(super) generation: u32,
    /// Set once clients may have the first byte, or the answer that there is none.
    pub(super) open: Option<Open>,
    /// How many bytes, from the first, clients may have. The end of a file is missing from it until the file is verified.
    pub(super) readable: u64,
    /// The first bytes, while they are on their way into the file: clients may have them as well.
    pub(super) first: Option<Bytes>,
    /// How it ended: with the length of the file, or not at all.
    pub(super) ended: Option<Result<u64, FetchError>>,
}

#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) head: Head,
    pub(super) tail: SpoolTail,
    /// The same file, for all who do not read it themselves.
    pub(super) file: Arc<OpenFile>,
}

impl Open {
    pub(super) fn new(head: Head, tail: SpoolTail) -> Self {
        let file = Arc::new(OpenFile::new(Arc::clone(tail.file()), head.length));
        Self { head, tail, file }
    }
}

impl Entry {
    pub(super) fn new(streamed: bool) -> Self {
        Self { streamed, state: watch::Sender::new(State::default()) }
    }

    /// Whether clients have the whole file, and it is not kept yet.
    pub(super) fn is_being_kept(&self) -> bool {
        !self.streamed && matches!(self.state.borrow().ended, Some(Ok(_)))
    }
}
