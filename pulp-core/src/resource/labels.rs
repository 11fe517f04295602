//! The filter `pulp_label_select`: terms such as `env=prod`, `env!=test`, `env~pro`, `env`, `!env`, separated by commas. A comma
//! that belongs to a value has a backslash before it.

use serde_json::json;

use super::Fragment;
use crate::db::{Dialect, Value};
use crate::{Error, Result};

/// The condition that a row’s labels meet all terms.
///
/// # Errors
/// If a term cannot be read.
pub(crate) fn select(dialect: Dialect, text: &str) -> Result<Fragment> {
    let terms = split(text).into_iter().map(|text| Term::read(text).map(|term| term.condition(dialect)));
    terms.collect::<Result<Vec<_>>>().map(Fragment::all)
}

/// The terms of a text, written again, and how they were read; nothing if one cannot be read.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn reprint(text: &str) -> Option<(String, String)> {
    let terms = split(text).into_iter().map(Term::read).collect::<Result<Vec<_>>>().ok()?;
    let written: Vec<String> = terms.iter().map(Term::print).collect();
    Some((written.join(","), format!("{terms:?}")))
}

/// What commas without a backslash separate.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(',') {
        if !text[..at].ends_with('\\') {
            terms.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    terms.push(&text[begin..]);
    terms
}

/// What is asked of one label.
#[derive(Debug, PartialEq, Eq)]
enum Term<'a> {
    Set(&'a str),
    Unset(&'a str),
    Equal(&'a str, String),
    Different(&'a str, String),
    Holds(&'a str, String),
}

impl<'a> Term<'a> {
    /// Nothing is trimmed: keys may have spaces. What follows a key and is no operator is passed over, as Pulp does.
    fn read(text: &'a str) -> Result<Self> {
        let refused = |message: String| Err(Error::Refused(json!([message])));
        let rest = text.strip_prefix('!');
        let negated = rest.is_some();
        let rest = rest.unwrap_or(text);
        let (key, rest) = rest.split_at(rest.find(|c| !in_key(c)).unwrap_or(rest.len()));
        if key.is_empty() || text.contains('\0') {
            return refused(format!("Invalid search term: '{text}'."));
        }
        let operator = ["!=", "=", "~"].into_iter().find(|operator| rest.starts_with(operator));
        let value = |operator: &str| rest[operator.len()..].replace("\\,", ",");
        Ok(match operator {
            Some(_) if negated => return refused(format!("Cannot use an operator with '!{key}'.")),
            Some(operator @ "!=") => Self::Different(key, value(operator)),
            Some(operator @ "=") => Self::Equal(key, value(operator)),
            Some(operator) => Self::Holds(key, value(operator)),
            None if negated => Self::Unset(key),
            None => Self::Set(key),
        })
    }

    #[cfg(any(test, feature = "fuzzing"))]
    fn print(&self) -> String {
        let value = |value: &str| value.replace(',', "\\,");
        match self {
            Self::Set(key) => (*key).to_owned(),
            Self::Unset(key) => format!("!{key}"),
            Self::Equal(key, wanted) => format!("{key}={}", value(wanted)),
            Self::Different(key, other) => format!("{key}!={}", value(other)),
            Self::Holds(key, wanted) => format!("{key}~{}", value(wanted)),
        }
    }

    fn condition(&self, dialect: Dialect) -> Fragment {
        let is_set = |key: &str| Fragment::template(&dialect.has_label("b.pulp_labels", "{}"), &Value::from(key));
        let value = |key: &str| Fragment::template(&dialect.label("b.pulp_labels", "{}"), &Value::from(key));
        match self {
            Self::Set(key) => is_set(key),
            Self::Unset(key) => !is_set(key),
            Self::Equal(key, wanted) => Fragment::new("coalesce(").then(value(key)).text(" = ").bind(wanted.as_str()).text(", 1 = 0)"),
            // A label without a value differs from every value; an object without the label does not count.
            Self::Different(key, other) => {
                let differs = Fragment::new("coalesce(").then(value(key)).text(" <> ").bind(other.as_str()).text(", 1 = 1)");
                is_set(key).and(differs)
            }
            Self::Holds(key, wanted) => {
                let like = dialect.ilike("{}", "{}");
                let mut sides = like.splitn(3, "{}").map(str::to_owned);
                let (before, between, after) =
                    (sides.next().unwrap_or_default(), sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
                Fragment::new("coalesce(").text(before).then(value(key)).text(between).bind(infix(wanted)).text(after).text(", 1 = 0)")
            }
        }
    }
}

/// What a key is made of.
fn in_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ' ' | '-' | '.')
}

/// A `like` pattern, with `\` as the escape character, of texts that hold this one.
pub(crate) fn infix(text: &str) -> String {
    format!("%{}%", escaped(text))
}

/// The text with what `like` understands taken literally.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Whether this can be a label.
///
/// # Errors
/// The message for the client.
pub(crate) fn check(key: &str, value: Option<&str>) -> Result<(), String> {
    if key.is_empty() || !key.chars().all(in_key) {
        return Err(format!(
            "Key '{key}' contains invalid characters. Only alphanumerics, underscores, spaces, hyphens, and dots are allowed."
        ));
    }
    if value.is_some_and(|value| value.contains(['(', ')'])) {
        return Err(format!("Key '{key}' contains value with parenthesis."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Term<'_> {
        Term::read(text).unwrap()
    }

    #[test]
    fn a_comma_with_a_backslash_belongs_to_the_value() {
        assert_eq!(split("a=b\\,c,d"), ["a=b\\,c", "d"]);
        assert_eq!(read("a=b\\,c"), Term::Equal("a", "b,c".to_owned()));
        assert_eq!(split("a=b,"), ["a=b", ""]);
    }

    #[test]
    fn what_is_written_again_is_read_as_the_same() {
        for text in ["a", "!a b,c", "a=b\\,c,d!=,e~f\\", "a\t=b,c=\\\\,d", "a=b=c,d!=e~f"] {
            let (written, read) = reprint(text).unwrap();
            assert_eq!(reprint(&written), Some((written.clone(), read)), "{text}: {written}");
        }
    }

    #[test]
    fn operators_follow_the_key_at_once() {
        assert_eq!(read("a b=c"), Term::Equal("a b", "c".to_owned()));
        assert_eq!(read("a-b.c"), Term::Set("a-b.c"));
        assert_eq!(read("a!=b"), Term::Different("a", "b".to_owned()));
        assert_eq!(read("a~b=c"), Term::Holds("a", "b=c".to_owned()));
        assert_eq!(read("a= b"), Term::Equal("a", " b".to_owned()));
        for text in ["a!b", "a/b", "a:b", "a\t=b", "a\\,b"] {
            assert_eq!(read(text), Term::Set("a"), "{text}");
        }
        assert_eq!(read("!a/b"), Term::Unset("a"));
    }

    #[test]
    fn what_is_no_term_is_refused() {
        for (text, message) in [
            ("", "Invalid search term: ''."),
            ("=b", "Invalid search term: '=b'."),
            ("(a)", "Invalid search term: '(a)'."),
            ("!!a", "Invalid search term: '!!a'."),
            ("!a=b", "Cannot use an operator with '!a'."),
            ("!a!=", "Cannot use an operator with '!a'."),
        ] {
            let Err(Error::Refused(body)) = Term::read(text) else { panic!("{text}") };
            assert_eq!(body, json!([message]));
        }
    }
}
