//! What can go wrong with an upstream, as values.

use std::time::Duration;

/// One way in which an upstream misbehaves.
///
/// Positions count the bytes of one response's body, except where they say *of the file*. A fault goes
/// on for ever unless [`times`](Fault::times) or [`once`](Fault::once) limits it.
///
/// A request is met by the first fault of its path that is not used up, in the order in which they
/// were planned; [`NoRange`](Fault::NoRange), [`WeakEtag`](Fault::WeakEtag), [`NoEtag`](Fault::NoEtag),
/// [`NoLength`](Fault::NoLength) and [`FlipByte`](Fault::FlipByte) are properties, which
/// hold beside any other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Delivers this many bytes of the body, then closes the connection.
    CutAt(u64),
    /// Sends this many bytes of the body, then resets the connection; the last of them may be lost.
    ResetAt(u64),
    /// Closes the connection without an answer.
    Hangup,
    /// The byte at this offset of the file is not what it should be.
    FlipByte(u64),
    /// Goes quiet for a while in the middle of the body.
    Stall {
        /// How many bytes come first.
        after: u64,
        /// How long the silence lasts.
        lasting: Duration,
    },
    /// Goes quiet after this many bytes, until [`Upstream::release`](super::Upstream::release).
    HoldAt(u64),
    /// Answers with this status and a short text.
    Status(u16),
    /// Answers 429.
    TooManyRequests {
        /// The `Retry-After` in seconds, if there is to be one.
        retry_after: Option<u64>,
    },
    /// Answers 302 to this location (absolute, or relative to the request).
    Redirect(String),
    /// Answers 302 to the path itself.
    RedirectLoop,
    /// States a `Content-Length` that is off by this much. Too long: the connection closes where the body
    /// really ends. Too short: the body ends there.
    LyingLength(i64),
    /// States no length: the body is chunked.
    NoLength,
    /// Sends this many bytes a second.
    SlowBytes(u64),
    /// Knows nothing of `Range`.
    NoRange,
    /// Answers a `Range` with 206, and with bytes from this much later in the file.
    WrongRange(u64),
    /// The `ETag` is weak.
    WeakEtag,
    /// There is no `ETag`.
    NoEtag,
    /// The body is gzipped and says so, whatever the client accepts.
    Gzip,
}

impl Fault {
    /// This fault, for as many requests as that.
    #[must_use]
    pub fn times(self, times: u64) -> Planned {
        Planned { fault: self, left: Some(times) }
    }

    /// This fault, for one request.
    #[must_use]
    pub fn once(self) -> Planned {
        self.times(1)
    }

    /// Whether it describes the file, rather than what becomes of one request.
    fn is_property(&self) -> bool {
        matches!(self, Self::NoRange | Self::WeakEtag | Self::NoEtag | Self::NoLength | Self::FlipByte(_))
    }

    /// Whether it shows before there is a body, so that a HEAD meets it too.
    fn is_in_the_head(&self) -> bool {
        matches!(self, Self::Hangup | Self::Status(_) | Self::TooManyRequests { .. } | Self::Redirect(_) | Self::RedirectLoop)
    }
}

/// A fault and how often it happens.
#[derive(Clone, Debug)]
pub struct Planned {
    fault: Fault,
    left: Option<u64>,
}

impl From<Fault> for Planned {
    fn from(fault: Fault) -> Self {
        Self { fault, left: None }
    }
}

impl Planned {
    pub(super) fn holds(&self) -> bool {
        matches!(self.fault, Fault::HoldAt(_))
    }
}

/// The faults that one request meets.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) properties: Vec<Fault>,
    pub(super) event: Option<Fault>,
}

impl Met {
    /// Draws from `plan` what the next request meets.
    pub(super) fn draw<'a>(plan: impl Iterator<Item = &'a mut Planned>, is_head: bool) -> Self {
        let mut met = Self::default();
        for planned in plan {
            let wanted =
                if planned.fault.is_property() { true } else { met.event.is_none() && (!is_head || planned.fault.is_in_the_head()) };
            if !wanted || planned.left == Some(0) {
                continue;
            }
            if let Some(left) = &mut planned.left {
                *left -= 1;
            }
            if planned.fault.is_property() {
                met.properties.push(planned.fault.clone());
            } else {
                met.event = Some(planned.fault.clone());
            }
        }
        met
    }

    pub(super) fn has(&self, property: &Fault) -> bool {
        self.properties.contains(property)
    }
}
