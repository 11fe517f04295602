//! Byte ranges of a request (RFC 9110, 14).

use std::ops::Range;

/// More parts than this in one request are not worth the effort: the whole is sent.
const MAX_PARTS: usize = 32;

/// Which bytes of a representation are to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Requested {
    /// All of them.
    Whole,
    /// One part, with an exclusive end.
    One(Range<u64>),
    /// Several parts that neither touch nor overlap, in the order of the request.
    Many(Vec<Range<u64>>),
    /// Nothing that was asked for exists: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a representation of `size` bytes.
///
/// Other units than bytes are ignored, as the RFC wants; a malformed list of byte ranges is refused, as Pulp does.
pub(crate) fn parse(header: &str, size: u64) -> Requested {
    let Some((unit, list)) = header.split_once('=') else {
        return Requested::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Requested::Whole;
    }
    let mut parts = Vec::new();
    for (count, spec) in list.split(',').enumerate() {
        if count == MAX_PARTS {
            return Requested::Whole;
        }
        match part(spec.trim(), size) {
            Ok(Some(range)) => parts.push(range),
            Ok(None) => {}
            Err(Malformed) => return Requested::Unsatisfiable,
        }
    }
    if parts.is_empty() {
        return Requested::Unsatisfiable;
    }
    if touches(&parts) {
        // Overlapping parts are an old way to make a server send a file many times over: send what they cover, once.
        let start = parts.iter().map(|part| part.start).min().unwrap_or(0);
        let end = parts.iter().map(|part| part.end).max().unwrap_or(size);
        return Requested::One(start..end);
    }
    match parts.pop() {
        Some(only) if parts.is_empty() => Requested::One(only),
        Some(last) => {
            parts.push(last);
            Requested::Many(parts)
        }
        None => Requested::Unsatisfiable,
    }
}

struct Malformed;

/// One element of the list; `None` where it lies beyond the end.
fn part(spec: &str, size: u64) -> Result<Option<Range<u64>>, Malformed> {
    let (first, last) = spec.split_once('-').ok_or(Malformed)?;
    if first.is_empty() {
        let suffix = number(last)?;
        return Ok((suffix > 0 && size > 0).then(|| size.saturating_sub(suffix)..size));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return Err(Malformed);
    }
    Ok((first < size).then(|| first..last.saturating_add(1).min(size)))
}

/// Digits only: Rust’s own parser would take a sign. A number beyond all sizes stands for the largest.
fn number(text: &str) -> Result<u64, Malformed> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

fn touches(parts: &[Range<u64>]) -> bool {
    let mut sorted: Vec<_> = parts.iter().collect();
    sorted.sort_unstable_by_key(|part| part.start);
    sorted.windows(2).any(|pair| pair[1].start <= pair[0].end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_the_rfc() {
        use Requested::*;
        for (header, expected) in [
            ("bytes=0-499", One(0..500)),
            ("bytes=500-", One(500..1000)),
            ("bytes=-500", One(500..1000)),
            ("bytes=-5000", One(0..1000)),
            ("bytes=999-5000", One(999..1000)),
            ("Bytes = 0-0", One(0..1)),
            ("bytes=0-0,-1", Many(vec![0..1, 999..1000])),
            ("bytes=-1, 0-0", Many(vec![999..1000, 0..1])),
            ("bytes=0-0, 5000-6000", One(0..1)),
            ("bytes=0-10,5-20", One(0..21)),
            ("bytes=0-10,11-20", One(0..21)),
            ("bytes=1000-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-18446744073709551615", One(0..1000)),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=abc", Unsatisfiable),
            ("bytes=5-2", Unsatisfiable),
            ("bytes=+1-2", Unsatisfiable),
            ("bytes=", Unsatisfiable),
            ("items=0-1", Whole),
            ("bytes", Whole),
        ] {
            assert_eq!(parse(header, 1000), expected, "{header}");
        }
        assert_eq!(parse("bytes=0-", 0), Unsatisfiable);
        assert_eq!(parse("bytes=-1", 0), Unsatisfiable);
        assert_eq!(parse(&format!("bytes={}", "0-0,".repeat(100)), 1000), Whole);
    }

    proptest! {
        #[test]
        fn no_header_asks_for_bytes_that_do_not_exist(header in "bytes=[0-9,-]{0,24}", size in 0u64..2_000) {
            let parts = match parse(&header, size) {
                Requested::One(one) => vec![one],
                Requested::Many(many) => many,
                _ => Vec::new(),
            };
            let mut covered = 0;
            for part in parts {
                prop_assert!(part.start < part.end && part.end <= size);
                covered += part.end - part.start;
            }
            prop_assert!(covered <= size);
        }
    }
}
