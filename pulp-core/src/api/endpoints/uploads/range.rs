//! The header `Content-Range` of a chunk.

/// Which bytes of the whole a chunk is; both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl ContentRange {
    /// Reads `bytes 0-4/10` or `bytes 0-4/*`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, whole) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let digits = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.parse::<i64>().ok() } else { None };
        if whole != "*" {
            digits(whole)?;
        }
        let range = Self { first: digits(first)?, last: digits(last)? };
        (range.first <= range.last).then_some(range)
    }

    /// Bytes.
    pub(super) fn size(self) -> i64 {
        (self.last - self.first).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(ContentRange::parse("bytes 5-9/10"), Some(ContentRange { first: 5, last: 9 }));
        assert_eq!(ContentRange::parse("bytes 0-0/*").map(ContentRange::size), Some(1));
        for bad in [
            "",
            "x",
            "bytes 5-4/10",
            "bytes -4/10",
            "bytes 0-/10",
            "0-4/10",
            "bytes 0-4",
            "bytes 0-4/x",
            "bytes +1-4/10",
            "bytes 0-99999999999999999999/1",
        ] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }
}
