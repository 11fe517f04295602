//! The prefix codes of entitlement certificates.

use std::iter::Peekable;

/// A prefix code: what comes first in the list, and later, has longer codes.
pub(super) enum Huffman<T> {
    Leaf(T),
    Fork(Box<Huffman<T>>, Box<Huffman<T>>),
}

impl<T: Clone> Huffman<T> {
    /// The code of these values, whose weights are 1, 2, 3, …: the two lightest trees are joined again and again, the one that came
    /// first among equals; a joined one comes last. Nothing if there are no values.
    pub(super) fn of(values: impl IntoIterator<Item = T>) -> Option<Self> {
        // The leaves lie in order of weight already, and so do the trees that are joined, so that two queues are enough.
        let mut leaves = (1_u64..).zip(values.into_iter().map(Self::Leaf)).peekable();
        let mut joined = std::collections::VecDeque::new();
        loop {
            let first = lightest(&mut leaves, &mut joined)?;
            let Some(second) = lightest(&mut leaves, &mut joined) else { return Some(first.1) };
            joined.push_back((first.0.saturating_add(second.0), Self::Fork(Box::new(first.1), Box::new(second.1))));
        }
    }

    /// The value that the next bits stand for; nothing if they end.
    pub(super) fn decode(&self, bits: &mut impl Iterator<Item = bool>) -> Option<T> {
        let mut at = self;
        loop {
            match at {
                Self::Leaf(value) => return Some(value.clone()),
                Self::Fork(zero, one) => at = if bits.next()? { one } else { zero },
            }
        }
    }
}

type Weighted<T> = (u64, Huffman<T>);

fn lightest<T>(
    leaves: &mut Peekable<impl Iterator<Item = Weighted<T>>>,
    joined: &mut std::collections::VecDeque<Weighted<T>>,
) -> Option<Weighted<T>> {
    match (leaves.peek(), joined.front()) {
        // A leaf came before what was joined.
        (Some(leaf), Some(tree)) if leaf.0 <= tree.0 => leaves.next(),
        (_, Some(_)) => joined.pop_front(),
        (Some(_), None) => leaves.next(),
        (None, None) => None,
    }
}

/// The bits of some bytes, the highest first.
pub(super) fn bits(bytes: &[u8]) -> impl Iterator<Item = bool> + '_ {
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavier_have_shorter_codes() {
        let code = Huffman::of(["a", "b", "c", "d"]).unwrap();
        // 1 and 2 make 3, which came after the other 3; those make 6, which is heavier than 4.
        for (text, value) in [("0", "d"), ("10", "c"), ("110", "a"), ("111", "b")] {
            let mut bits = text.chars().map(|bit| bit == '1');
            assert_eq!(code.decode(&mut bits), Some(value), "{text}");
            assert_eq!(bits.next(), None);
        }
        assert_eq!(code.decode(&mut [true].into_iter()), None);
        assert_eq!(Huffman::of(["only"]).unwrap().decode(&mut std::iter::empty()), Some("only"));
        assert!(Huffman::<u8>::of([]).is_none());
        assert_eq!(bits(&[0b1010_0000, 1]).filter(|bit| *bit).count(), 3);
    }
}
