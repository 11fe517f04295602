//! The paths that an entitlement certificate of a subscription manager has.
//!
//! The first version has an extension for each path. The third packs them into one: a compressed dictionary of their parts, and a tree
//! of references to it as bits of a prefix code. In both, a part that begins with `$` stands for any.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::bufread::ZlibDecoder;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::der::parse_der;
use x509_parser::prelude::FromDer;

use super::huffman::{Huffman, bits};

/// `1.3.6.1.4.1.2312.9`: Red Hat’s for entitlements.
const VERSION: &str = "1.3.6.1.4.1.2312.9.6";
const PAYLOAD: &str = "1.3.6.1.4.1.2312.9.7";
const CONTENT: &str = "1.3.6.1.4.1.2312.9.2.";
/// Below a content’s own number: the path of a repository of packages.
const PATH: &str = ".1.6";

/// Bytes of a dictionary, unpacked: a header holds a few thousand, packed.
const LARGEST: u64 = 256 << 10;
/// Nodes of a tree: each takes at least a bit.
const MOST_NODES: usize = 128 << 10;

/// Whether a certificate entitles to a path, or to one that it lies below.
pub(crate) fn covers(certificate: &[u8], path: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let parts: Vec<&str> = parts(path).collect();
    let extension = |oid: &str| certificate.extensions().iter().find(|extension| extension.oid.to_id_string() == oid);
    let packed = extension(VERSION).and_then(|version| text(version.value)).is_some_and(|version| version.starts_with("3."));
    if packed {
        let payload = extension(PAYLOAD).and_then(|payload| octets(payload.value));
        return payload.and_then(PathTree::unpack).is_some_and(|tree| tree.covers(&parts));
    }
    certificate.extensions().iter().any(|extension| {
        let oid = extension.oid.to_id_string();
        let number = oid.strip_prefix(CONTENT).and_then(|rest| rest.strip_suffix(PATH));
        let is_path = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()));
        is_path && text(extension.value).is_some_and(|pattern| matches(pattern, &parts))
    })
}

pub(crate) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// Whether a path begins as a pattern says.
fn matches(pattern: &str, path: &[&str]) -> bool {
    let mut length = 0;
    let fits = parts(pattern).all(|part| {
        let fits = path.get(length).is_some_and(|found| is_variable(part) || part == *found);
        length += 1;
        fits
    });
    fits && length > 0
}

fn is_variable(part: &str) -> bool {
    part.starts_with('$')
}

/// The text of a DER string; older certificates have the bare text.
fn text(value: &[u8]) -> Option<&str> {
    match parse_der(value) {
        Ok((_, object)) => object.as_slice().ok().and_then(|bytes| std::str::from_utf8(bytes).ok()),
        Err(_) => std::str::from_utf8(value).ok(),
    }
}

fn octets(value: &[u8]) -> Option<&[u8]> {
    let (_, object) = parse_der(value).ok()?;
    object.as_slice().ok()
}

/// The paths of a certificate of the third version, as a tree of their parts; the first node is the root.
///
/// A word is kept once, and may be in many nodes: a few bits name one that has hundreds of thousands of bytes.
pub(crate) struct PathTree {
    words: Vec<String>,
    /// Their children: a word, and a node.
    nodes: Vec<Vec<(usize, usize)>>,
}

impl PathTree {
    pub(crate) fn unpack(payload: &[u8]) -> Option<Self> {
        let mut decoder = ZlibDecoder::new(payload);
        let mut words = String::new();
        decoder.by_ref().take(LARGEST).read_to_string(&mut words).ok()?;
        let rest = payload.get(usize::try_from(decoder.total_in()).ok()?..)?;
        let (count, rest) = count(rest)?;
        // The last word is empty: it ends a node.
        let words: Vec<String> = words.split('\0').map(str::to_owned).collect();
        let codes = Huffman::of(0..words.len())?;
        let nodes = Huffman::of(1..count);
        let mut bits = bits(rest);
        let mut tree = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let mut children = Vec::new();
            loop {
                let word = codes.decode(&mut bits)?;
                if words.get(word).is_none_or(String::is_empty) {
                    break;
                }
                children.push((word, nodes.as_ref()?.decode(&mut bits)?));
                if children.len() > MOST_NODES {
                    return None;
                }
            }
            tree.push(children);
        }
        Some(Self { words, nodes: tree })
    }

    /// Whether it has a path, or one that this lies below.
    pub(crate) fn covers(&self, path: &[&str]) -> bool {
        let mut at = BTreeSet::from([0]);
        for part in path {
            let children = at.iter().filter_map(|node| self.nodes.get(*node)).flatten();
            let fits = |word: &usize| self.words.get(*word).is_some_and(|word| is_variable(word) || word == part);
            let next: BTreeSet<usize> = children.filter(|(word, _)| fits(word)).map(|(_, node)| *node).collect();
            if next.iter().any(|node| self.nodes.get(*node).is_some_and(Vec::is_empty)) {
                return true;
            }
            at = next;
        }
        false
    }
}

/// A number: itself below 128, else how many bytes make it.
fn count(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 128 {
        return Some((usize::from(first), rest));
    }
    let (number, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let number = number.iter().try_fold(0_usize, |all, byte| all.checked_mul(256)?.checked_add(usize::from(*byte)))?;
    (number <= MOST_NODES).then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn counts_are_short_or_long() {
        for (bytes, expected) in [
            (&[0][..], Some(0)),
            (&[127], Some(127)),
            (&[0x80], Some(0)),
            (&[0x81, 0xff], Some(255)),
            (&[0x84, 0, 0, 1, 4], Some(260)),
            (&[0x84, 0xff, 0xff, 0xff, 0xff], None),
            (&[0x82, 1], None),
            (&[], None),
        ] {
            assert_eq!(count(bytes).map(|(count, _)| count), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_pattern_covers_what_lies_below_it() {
        let covers = |pattern, path: &str| matches(pattern, &parts(path).collect::<Vec<_>>());
        for path in ["/foo/bar", "foo/bar/", "//foo//bar/a/b", "/foo/bar/x"] {
            assert!(covers("/foo/bar", path), "{path}");
        }
        for path in ["/foo", "/foo/ba", "/foo/bars", "/x/foo/bar", "", "/"] {
            assert!(!covers("/foo/bar", path), "{path}");
        }
        assert!(covers("/a/$releasever/$basearch/b", "/a/7/x86_64/b/c"));
        assert!(!covers("/a/$releasever/$basearch/b", "/a//x86_64/b"));
        assert!(!covers("/", "/a") && !covers("", "/a"));
    }

    /// `/a/$v/c`, `/a/b`: the words from the lightest to the heaviest, then the end; bits as a program would write them.
    fn payload() -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(b"c\0b\0$v\0a\0").unwrap();
        let mut payload = encoder.finish().unwrap();
        // Weights c1 b2 $v3 a4 end5: c+b=3, $v+(c+b)=6, a+end=9, so that a=10 end=11 $v=00 c=010 b=011.
        // Nodes 0 root, 1 a, 2 $v, 3 c, 4 b with weights 1 to 4: 1+2=3, 3+(1+2)=6, 4+6=10, so that 4=0 3=10 1=110 2=111.
        payload.push(5);
        let bits: String = ["10", "110", "11", "00", "111", "011", "0", "11", "010", "10", "11", "11", "11"].concat();
        for byte in bits.as_bytes().chunks(8) {
            payload.push(byte.iter().enumerate().fold(0, |all, (at, bit)| all | (bit - b'0') << (7 - at)));
        }
        payload
    }

    #[test]
    fn a_tree_is_unpacked() {
        let tree = PathTree::unpack(&payload()).unwrap();
        let covers = |path: &str| tree.covers(&parts(path).collect::<Vec<_>>());
        for path in ["/a/b", "a/b/x", "/a/7/c", "/a/b/c", "//a//9//c//d"] {
            assert!(covers(path), "{path}");
        }
        for path in ["", "/", "/a", "/a/x", "/a/7/d", "/b", "/x/a/b"] {
            assert!(!covers(path), "{path}");
        }
    }

    /// Sixty-four thousand times a word of 250 KiB, in eight thousand bytes.
    #[test]
    fn a_word_that_is_named_often_is_kept_once() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&[&[b'x'; 250 << 10][..], b"\0"].concat()).unwrap();
        let mut payload = encoder.finish().unwrap();
        payload.push(2);
        payload.extend([0; 8_000]);
        payload.push(0b1100_0000);
        let tree = PathTree::unpack(&payload).unwrap();
        assert_eq!(tree.nodes[0].len(), 64_000);
        assert_eq!(tree.words.iter().map(String::len).sum::<usize>(), 250 << 10);
    }

    #[test]
    fn what_is_no_payload_covers_nothing() {
        let good = payload();
        for end in 0..good.len() {
            if let Some(tree) = PathTree::unpack(&good[..end]) {
                assert!(!tree.covers(&["x"]), "{end}");
            }
        }
        assert!(PathTree::unpack(b"junk").is_none());
        assert!(!covers(b"junk", "/a"));
    }
}
