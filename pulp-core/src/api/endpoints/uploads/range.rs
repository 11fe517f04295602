//! The header `Content-Range` of a chunk.

/// Which bytes of the whole a chunk is; both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl ContentRange {
    /// Reads `bytes 0-4/10` or `bytes 0-4/*`. Whether that makes sense is for who knows the chunk and the whole.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        if whole != "*" {
            number(whole)?;
        }
        Some(Self { first: number(first)?, last: number(last)? })
    }

    /// Bytes.
    pub(crate) fn size(self) -> i64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// Digits only; a number too large to be true is the largest.
fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(ContentRange::parse("bytes 5-9/10"), Some(ContentRange { first: 5, last: 9 }));
        assert_eq!(ContentRange::parse("bytes 0-0/*").map(ContentRange::size), Some(1));
        assert_eq!(ContentRange::parse("bytes 5-4/10").map(ContentRange::size), Some(0));
        assert_eq!(ContentRange::parse("bytes 0-99999999999999999999/10").map(ContentRange::size), Some(i64::MAX));
        for bad in ["", "x", "bytes  0-4/10", "bytes -4/10", "bytes 0-/10", "0-4/10", "bytes 0-4", "bytes 0-4/x", "bytes +1-4/10"] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }
}
