//! How much of an unfinished file clients may have.

use crate::digest::Expected;

/// Decides what may be passed on before the digest is known to be right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    /// Whether there is a digest to wait for.
    verify: bool,
    /// Files up to this size are verified before their first byte.
    whole_below: u64,
    /// The end that is withheld of larger ones.
    hold_back: u64,
}

impl Gate {
    pub(super) fn new(expected: &Expected, whole_below: u64, hold_back: u64) -> Self {
        // At least one byte, or a wrong file could be completed.
        Self { verify: !expected.digests.is_empty(), whole_below, hold_back: hold_back.max(1) }
    }

    /// Whether clients may know of the file at all, when `size` bytes of `length` are here.
    pub(super) fn opens(&self, size: u64, length: Option<u64>) -> bool {
        !self.verify || length.unwrap_or(size) > self.whole_below
    }

    /// How many bytes clients may have when `size` bytes of `length` are here.
    pub(super) fn readable(&self, size: u64, length: Option<u64>) -> u64 {
        if !self.verify {
            size
        } else if !self.opens(size, length) {
            0
        } else {
            // Without a length, any byte may be the last.
            length.map_or_else(|| size.saturating_sub(self.hold_back), |length| size.min(length.saturating_sub(self.hold_back)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Algorithm, hash_bytes};

    fn gate() -> Gate {
        let (digests, _) = hash_bytes(&[Algorithm::Sha256], b"");
        Gate::new(&Expected { size: None, digests }, 100, 10)
    }

    #[test]
    fn small_files_stay_closed() {
        assert!(!gate().opens(100, Some(100)));
        assert_eq!(gate().readable(100, Some(100)), 0);
        assert!(!gate().opens(100, None));
    }

    #[test]
    fn large_files_lack_their_end() {
        assert!(gate().opens(0, Some(101)));
        assert_eq!(gate().readable(50, Some(101)), 50);
        assert_eq!(gate().readable(101, Some(101)), 91);
        assert_eq!(gate().readable(101, None), 91);
    }

    #[test]
    fn a_byte_is_withheld_whatever_is_configured() {
        let (digests, _) = hash_bytes(&[Algorithm::Sha256], b"");
        let gate = Gate::new(&Expected { size: None, digests }, 0, 0);
        assert_eq!(gate.readable(5, Some(5)), 4);
    }

    #[test]
    fn nothing_to_verify_is_nothing_to_wait_for() {
        let gate = Gate::new(&Expected::anything(), 100, 10);
        assert!(gate.opens(0, None));
        assert_eq!(gate.readable(5, Some(5)), 5);
    }
}
