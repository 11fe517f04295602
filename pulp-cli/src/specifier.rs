//! Versions of components and the ranges that scripts ask for: `>=3.63.0,<4`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version of a component as a server reports it: numbers with dots, then perhaps a mark of a development version.
///
/// The order is that of [PEP 440](https://peps.python.org/pep-0440/) as far as servers use it: `3.63.0.dev` stands
/// before `3.63.0`, and `3.63` is `3.63.0`.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    release: Vec<u64>,
    /// Rank of what follows the numbers: dev, a, b, rc before the release itself, post after it.
    suffix: (i8, u64),
}

/// Text that is no version or no specifier.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a version specifier: write it like >=3.63.0,<4")]
pub(crate) struct BadSpecifier(String);

impl FromStr for Version {
    type Err = BadSpecifier;

    fn from_str(text: &str) -> Result<Self, BadSpecifier> {
        let bad = || BadSpecifier(text.to_owned());
        // A local part (`+abc`) says nothing about the order between releases.
        let public = text.trim().trim_start_matches('v');
        let public = public.split('+').next().unwrap_or(public);
        let end = public.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(public.len());
        let (numbers, tail) = public.split_at(end);
        let release = numbers.trim_end_matches('.').split('.').map(str::parse).collect::<Result<Vec<u64>, _>>().map_err(|_| bad())?;
        let tail = tail.trim_start_matches(['.', '-', '_']);
        let digits = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (mark, number) = tail.split_at(digits);
        let rank = match mark.trim_end_matches('.') {
            "dev" => -4,
            "a" | "alpha" => -3,
            "b" | "beta" => -2,
            "rc" | "c" => -1,
            "" => 0,
            "post" => 1,
            _ => return Err(bad()),
        };
        let number = if number.is_empty() { 0 } else { number.parse().map_err(|_| bad())? };
        Ok(Self { release, suffix: (rank, number) })
    }
}

impl Version {
    fn part(&self, index: usize) -> u64 {
        self.release.get(index).copied().unwrap_or(0)
    }

    fn starts_with(&self, prefix: &[u64]) -> bool {
        prefix.iter().enumerate().all(|(i, n)| self.part(i) == *n)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let length = self.release.len().max(other.release.len());
        (0..length).map(|i| self.part(i).cmp(&other.part(i))).find(|order| order.is_ne()).unwrap_or_else(|| self.suffix.cmp(&other.suffix))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

/// A set of conditions on a [`Version`], all of which must hold; the empty set takes any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Specifier {
    text: String,
    conditions: Vec<(Operator, Version, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    Above,
    Below,
    Compatible,
}

impl Specifier {
    /// Whether the version meets every condition.
    pub(crate) fn matches(&self, version: &Version) -> bool {
        self.conditions.iter().all(|(operator, bound, wildcard)| match operator {
            Operator::Equal if *wildcard => version.starts_with(&bound.release),
            Operator::NotEqual if *wildcard => !version.starts_with(&bound.release),
            Operator::Equal => version == bound,
            Operator::NotEqual => version != bound,
            Operator::AtLeast => version >= bound,
            Operator::AtMost => version <= bound,
            Operator::Above => version > bound,
            Operator::Below => version < bound,
            Operator::Compatible => {
                let fixed = bound.release.len().saturating_sub(1);
                version >= bound && version.starts_with(&bound.release[..fixed])
            }
        })
    }
}

impl FromStr for Specifier {
    type Err = BadSpecifier;

    fn from_str(text: &str) -> Result<Self, BadSpecifier> {
        const OPERATORS: [(&str, Operator); 7] = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            ("~=", Operator::Compatible),
            (">", Operator::Above),
            ("<", Operator::Below),
        ];
        let mut conditions = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (operator, version) = OPERATORS
                .iter()
                .find_map(|(sign, operator)| Some((*operator, part.strip_prefix(sign)?.trim())))
                .ok_or_else(|| BadSpecifier(text.to_owned()))?;
            let plain = version.strip_suffix(".*");
            if plain.is_some() && !matches!(operator, Operator::Equal | Operator::NotEqual) {
                return Err(BadSpecifier(text.to_owned()));
            }
            let bound = plain.unwrap_or(version).parse().map_err(|_| BadSpecifier(text.to_owned()))?;
            conditions.push((operator, bound, plain.is_some()));
        }
        Ok(Self { text: text.to_owned(), conditions })
    }
}

impl fmt::Display for Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(version: &str, specifier: &str) -> bool {
        specifier.parse::<Specifier>().unwrap().matches(&version.parse().unwrap())
    }

    #[test]
    fn ranges() {
        assert!(holds("3.123.1", ">=3.63.0"));
        assert!(!holds("3.62.9", ">=3.63.0"));
        assert!(holds("3.63.0", ">=3.63,<4"));
        assert!(!holds("4.0", ">=3.63,<4"));
        assert!(holds("1.2.3", ""));
        assert!(holds("1.2.3", "==1.2.*"));
        assert!(!holds("1.3.0", "==1.2.*"));
        assert!(holds("1.3.0", "!=1.2.*"));
        assert!(holds("1.4.5", "~=1.4.2"));
        assert!(!holds("1.5.0", "~=1.4.2"));
        assert!(holds("1.4", "==1.4.0"));
    }

    #[test]
    fn a_development_version_stands_before_its_release() {
        assert!(!holds("3.64.0.dev", ">=3.64.0"));
        assert!(holds("3.64.0.dev", "<3.64.0"));
        assert!(holds("3.64.0rc1", ">3.64.0b2"));
        assert!(holds("3.64.0.post1", ">3.64.0"));
    }

    #[test]
    fn not_specifiers() {
        for text in ["3.63", ">=", ">=x", "=1", ">=1.*", ">>1"] {
            assert!(text.parse::<Specifier>().is_err(), "{text}");
        }
    }
}
