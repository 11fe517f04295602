//! The parameter `q`: filters joined by `AND`, `OR`, `NOT` and parentheses.

use std::future::Future;
use std::pin::Pin;

use serde_json::json;

use crate::resource::{Context, Fragment, Resource};
use crate::{Error, Result};

/// How complex an expression may be: filters, negations and joins together.
const MOST: usize = 8;

/// How deep parentheses may be nested: they cost nothing, but the stack is not endless.
const DEEPEST: usize = 64;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
enum Expression {
    /// A filter and its value.
    Filter(String, String),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
}

impl Expression {
    fn complexity(&self) -> usize {
        match self {
            Self::Filter(..) => 1,
            Self::Not(inner) => 1 + inner.complexity(),
            Self::And(parts) | Self::Or(parts) => 1 + parts.iter().map(Self::complexity).sum::<usize>(),
        }
    }

    /// The expression as it is written with no more parentheses than it needs.
    #[cfg(any(test, feature = "fuzzing"))]
    fn print(&self) -> String {
        let joined = |parts: &[Self], word: &str| parts.iter().map(|part| part.as_part_of(self)).collect::<Vec<_>>().join(word);
        match self {
            Self::Filter(name, value) => format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Not(inner) => format!("NOT {}", inner.as_part_of(self)),
            Self::And(parts) => joined(parts, " AND "),
            Self::Or(parts) => joined(parts, " OR "),
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    fn as_part_of(&self, whole: &Self) -> String {
        match (whole, self) {
            (_, Self::Filter(..) | Self::Not(_)) | (Self::Or(_), Self::And(_)) => self.print(),
            _ => format!("({})", self.print()),
        }
    }
}

/// An expression, written again, and how it was read; nothing if it cannot be read.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn reprint(text: &str) -> Option<(String, String)> {
    parse(text).map(|expression| (expression.print(), format!("{expression:?}")))
}

impl Resource {
    /// The condition of the parameter `q`.
    ///
    /// # Errors
    /// If it cannot be read, is too complex, or one of its filters is refused.
    pub(crate) async fn complex(&self, cx: &Context, text: &str) -> Result<Fragment> {
        let expression = parse(text).ok_or_else(|| Error::field("q", "Syntax error in expression."))?;
        if expression.complexity() > MOST {
            return Err(Error::field("q", "Filter expression exceeds allowed complexity."));
        }
        self.expression(cx, &expression).await
    }

    fn expression<'a>(
        &'a self,
        cx: &'a Context,
        expression: &'a Expression,
    ) -> Pin<Box<dyn Future<Output = Result<Fragment>> + Send + 'a>> {
        Box::pin(async move {
            Ok(match expression {
                Expression::Filter(name, value) => self.one(cx, name, value).await?,
                // A comparison with null is neither true nor false; what is not true is false here.
                Expression::Not(inner) => Fragment::new("not coalesce((").then(self.expression(cx, inner).await?).text("), 1 = 0)"),
                Expression::And(parts) => {
                    let mut all = Vec::with_capacity(parts.len());
                    for part in parts {
                        all.push(self.expression(cx, part).await?);
                    }
                    Fragment::all(all)
                }
                Expression::Or(parts) => {
                    let mut any: Option<Fragment> = None;
                    for part in parts {
                        let part = self.expression(cx, part).await?;
                        any = Some(match any {
                            None => Fragment::new("(").then(part).text(")"),
                            Some(before) => before.text(" or (").then(part).text(")"),
                        });
                    }
                    Fragment::new("(").then(any.unwrap_or_else(Fragment::never)).text(")")
                }
            })
        })
    }

    async fn one(&self, cx: &Context, name: &str, value: &str) -> Result<Fragment> {
        match name {
            "q" => return Err(Error::field("q", "You cannot use 'q' in complex filtering.")),
            "ordering" => return Err(Error::field("q", "An ordering filter cannot be used in complex filtering.")),
            _ if !self.knows_filter(name) => return Err(Error::field("q", format!("Filter '{name}' does not exist."))),
            "pulp_label_select" => {}
            _ if value.is_empty() => return Ok(Fragment::always()),
            _ => {}
        }
        match self.condition(cx, name, value).await {
            Ok(condition) => Ok(condition.unwrap_or_else(Fragment::always)),
            // Pulp packs the filter's own complaint, as JSON, into one about `q`.
            Err(Error::Validation(fields)) => Err(Error::field("q", packed(&fields))),
            Err(other) => Err(other),
        }
    }
}

/// Errors of fields as JSON in a text: spaced as Python spaces it, and in ASCII.
fn packed(fields: &crate::error::FieldErrors) -> String {
    let fields = fields.iter().map(|(field, messages)| {
        let messages = messages.iter().map(|message| {
            let code = match message.as_str() {
                choice if choice.starts_with("Select a valid choice.") => "invalid_choice",
                "Null characters are not allowed." => "null_characters_not_allowed",
                _ => "invalid",
            };
            format!("{{\"message\": {}, \"code\": \"{code}\"}}", json!(message))
        });
        format!("{}: [{}]", json!(field), messages.collect::<Vec<_>>().join(", "))
    });
    let text = format!("{{{}}}", fields.collect::<Vec<_>>().join(", "));
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

fn parse(text: &str) -> Option<Expression> {
    let mut parser = Parser { rest: text, depth: 0 };
    let expression = parser.or()?;
    parser.rest.trim_start().is_empty().then_some(expression)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn symbol(&mut self, symbol: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A keyword, which ends where a word would.
    fn keyword(&mut self, word: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(word) {
            Some(rest) if !rest.starts_with(|c: char| is_word(c) || c == '=') => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn word(&mut self, allowed: impl Fn(char) -> bool) -> Option<&'a str> {
        self.skip_space();
        let end = self.rest.find(|c| !allowed(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Option<Expression>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Option<Expression> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.keyword(word) {
            parts.push(part(self)?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(join(parts)) }
    }

    fn or(&mut self) -> Option<Expression> {
        self.joined("OR", Self::and, Expression::Or)
    }

    fn and(&mut self) -> Option<Expression> {
        self.joined("AND", Self::not, Expression::And)
    }

    fn not(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let found = if self.keyword("NOT") {
            Some(Expression::Not(Box::new(self.not()?)))
        } else if self.symbol('(') {
            let inner = self.or()?;
            self.symbol(')').then_some(inner)
        } else {
            self.filter()
        };
        self.depth -= 1;
        found
    }

    fn filter(&mut self) -> Option<Expression> {
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_')?;
        if !self.symbol('=') {
            return None;
        }
        self.skip_space();
        let value = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.word(is_word)?.to_owned(),
        };
        Some(Expression::Filter(name.to_owned(), value))
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(chars.next()?.1),
                c => value.push(c),
            }
        }
        None
    }
}

/// What a value may have without quotes.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ',' | '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str, value: &str) -> Expression {
        Expression::Filter(name.to_owned(), value.to_owned())
    }

    #[test]
    fn expressions_bind_as_written() {
        assert_eq!(parse("name=a"), Some(filter("name", "a")));
        assert_eq!(parse(" name = \"a \\\"b\\\"\" "), Some(filter("name", "a \"b\"")));
        assert_eq!(parse("name='a \"b\\''AND name=''"), Some(Expression::And(vec![filter("name", "a \"b'"), filter("name", "")])));
        assert_eq!(
            parse("NOT name=a AND (name__contains=c OR name=z)"),
            Some(Expression::And(vec![
                Expression::Not(Box::new(filter("name", "a"))),
                Expression::Or(vec![filter("name__contains", "c"), filter("name", "z")])
            ]))
        );
        assert_eq!(parse("(name=a)AND(name=b)"), Some(Expression::And(vec![filter("name", "a"), filter("name", "b")])));
        assert_eq!(parse("name=ANDY"), Some(filter("name", "ANDY")));
    }

    #[test]
    fn what_is_written_again_is_read_as_the_same() {
        for text in [
            "name=a",
            "NOT NOT (a=b OR NOT (c=d AND e=f))",
            "(a=b AND c=d) AND (e=f OR (g=h OR i=j)) OR k='l\"\\\\\\''",
            "a=b AND (c=d AND NOT (e=f AND g=h)) OR (i=j OR k=l)",
            &format!("{}a=b", "NOT ".repeat(DEEPEST - 1)),
        ] {
            let (written, read) = reprint(text).unwrap();
            assert_eq!(reprint(&written), Some((written.clone(), read)), "{text}: {written}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "name=",
            "name",
            "(name=a",
            "name=a name=b",
            "name in [a]",
            "NOT",
            "a AND",
            "not name=a",
            "name=a and name=b",
            "name!=a",
            "name=a/b",
            "name=a:b",
            "name=\"a",
            "name=a'b",
            "name='a",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"(".repeat(100_000)), None);
        assert_eq!(parse(&"NOT ".repeat(100_000)), None);
    }

    #[test]
    fn complexity_counts_filters_negations_and_joins() {
        let of = |text: String| parse(&text).map(|expression| expression.complexity());
        assert_eq!(of(["name=a"; 7].join(" OR ")), Some(8));
        assert_eq!(of(["name=a"; 8].join(" AND ")), Some(9));
        assert_eq!(of("NOT ".repeat(7) + "name=a"), Some(8));
        assert_eq!(of("((((name=a))))".to_owned()), Some(1));
        assert_eq!(of("(name=a AND name=b) OR (name=a AND name=b)".to_owned()), Some(7));
    }
}
