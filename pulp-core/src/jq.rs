//! jq filters over the value of a header: of content guards, and of a proxy that says who asks.
//!
//! Whoever may make a guard could make one that never ends or eats the memory of the host, so that not all of jq is allowed: paths,
//! conditions, comparisons and the functions that are listed here, with few iterators. What they make of a header is not much larger
//! than the header, and they always end.

use std::sync::{Arc, LazyLock};

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::load::{Arena, File, Loader, parse};
use jaq_core::path::Part;
use jaq_core::{Compiler, Ctx, Error, Filter, Vars, data, native};
use jaq_json::{Val, read};
use moka::sync::Cache;

/// Bytes of a filter and of a header.
const LONGEST_FILTER: usize = 1_024;
pub(crate) const LONGEST_INPUT: usize = 16 << 10;
/// Bytes of stack; only what is used of them is ever taken.
const STACK: usize = 32 << 20;
/// Iterators of a filter: each can go over all that the header has.
const MOST_ITERATORS: usize = 2;
/// Functions of a filter that make longer texts.
const MOST_GROWTH: usize = 2;
/// Commas of a filter: a pipe of them multiplies its outputs.
const MOST_COMMAS: usize = 8;
/// Commas of a filter that also has all of its iterators.
const FEW_COMMAS: usize = 2;
/// Bytes of what `join` puts between texts: as it is put between all, it is what makes the joined text long.
const LONGEST_SEPARATOR: usize = 16;
/// Filters that are kept compiled.
const MOST_FILTERS: u64 = 256;

type Data = data::JustLut<Val>;

/// Why a filter gives no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JqError {
    #[error("it is no jq filter")]
    Syntax,
    #[error("{0} is not allowed in filters")]
    NotAllowed(String),
    #[error("the header is too long, or no JSON")]
    Input,
    #[error("it failed: {0}")]
    Failed(String),
}

/// Filters, of which those that were used lately are kept compiled.
#[derive(Clone)]
pub(crate) struct Jq {
    compiled: Cache<String, Arc<Filter<Data>>>,
}

impl Default for Jq {
    fn default() -> Self {
        Self { compiled: Cache::new(MOST_FILTERS) }
    }
}

impl Jq {
    /// The first output of a filter over some JSON, if that is a text.
    ///
    /// # Errors
    /// If the filter is not allowed, the JSON is none, or the one fails on the other.
    pub(crate) async fn first_text(&self, filter: String, json: Vec<u8>) -> Result<Option<String>, JqError> {
        self.deeply(move |jq| jq.run(&filter, &json)).await
    }

    /// Whether a filter can be used at all.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) async fn check(&self, filter: String) -> Result<(), JqError> {
        self.deeply(move |jq| jq.compiled(&filter).map(drop)).await
    }

    async fn deeply<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T, JqError> + Send + 'static) -> Result<T, JqError> {
        let jq = self.clone();
        let ran = tokio::task::spawn_blocking(move || on_deep_stack(|| work(&jq))).await;
        ran.map_err(|error| JqError::Failed(error.to_string()))?.unwrap_or_else(|| Err(JqError::Failed("its thread ended".to_owned())))
    }

    pub(crate) fn run(&self, filter: &str, json: &[u8]) -> Result<Option<String>, JqError> {
        // The other parser goes as deep as the input does; this one has its limit.
        if json.len() > LONGEST_INPUT || serde_json::from_slice::<serde_json::Value>(json).is_err() {
            return Err(JqError::Input);
        }
        let filter = self.compiled(filter)?;
        let input = read::parse_single(json).map_err(|_| JqError::Input)?;
        let context = Ctx::<Data>::new(&filter.lut, Vars::new([]));
        match filter.id.run((context, input)).next() {
            None => Ok(None),
            Some(Ok(Val::TStr(text))) => Ok(String::from_utf8(text.to_vec()).ok()),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => {
                Err(JqError::Failed(error.get_err().map_or_else(|_| "it ended early".to_owned(), |error| error.to_string())))
            }
        }
    }

    fn compiled(&self, filter: &str) -> Result<Arc<Filter<Data>>, JqError> {
        if let Some(known) = self.compiled.get(filter) {
            return Ok(known);
        }
        let compiled = Arc::new(compile(filter)?);
        self.compiled.insert(filter.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// Filters are read by recursion: one of [`LONGEST_FILTER`] parentheses takes more than the stack that threads usually have.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}

/// What the functions of the filters are made of: those of the two libraries that are needed, for the others need more of them than is
/// compiled in.
static DEFINITIONS: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    let library = jaq_std::defs().chain(jaq_json::defs());
    jaq_core::defs().chain(library.filter(|definition| NEEDED.contains(&(definition.name, definition.args.len())))).collect()
});

/// Functions that are allowed, or that those are made of.
const NEEDED: &[(&str, usize)] = &[
    ("index", 1),
    ("isarray", 0),
    ("isboolean", 0),
    ("isnumber", 0),
    ("isobject", 0),
    ("isstring", 0),
    ("keys", 0),
    ("null", 0),
    ("split", 1),
    ("strings", 0),
    ("tonumber", 0),
    ("totype", 2),
    ("type", 0),
    ("values", 0),
];

fn compile(filter: &str) -> Result<Filter<Data>, JqError> {
    if filter.len() > LONGEST_FILTER {
        return Err(JqError::NotAllowed(format!("a filter of more than {LONGEST_FILTER} bytes")));
    }
    let term = parse(filter, |parser| parser.term()).ok_or(JqError::Syntax)?;
    Allowance { iterators: MOST_ITERATORS, growth: MOST_GROWTH, commas: MOST_COMMAS }.check_all(&term)?;
    let arena = Arena::default();
    let modules = Loader::new(DEFINITIONS.iter().cloned()).load(&arena, File { code: filter, path: () }).map_err(|_| JqError::Syntax)?;
    let of_json = jaq_json::funs().filter(|(name, ..)| *name != FROM_JSON);
    let functions = jaq_core::funs().chain(jaq_std::base_funs()).chain(of_json).chain([from_json()]);
    Compiler::default().with_funs(functions).compile(modules).map_err(|_| JqError::Syntax)
}

const FROM_JSON: &str = "fromjson";

/// As the library's, but for what it reads: JSON only, and not deeper than an input may be.
fn from_json() -> native::Fun<Data> {
    native::run((FROM_JSON, native::v(0), |(_, value)| {
        let text = match &value {
            Val::TStr(text) => text.as_ref(),
            _ => return native::bome(Err(Error::str("only a text can be read as JSON"))),
        };
        let sound = serde_json::from_slice::<serde_json::Value>(text).is_ok();
        let read = sound.then(|| read::parse_single(text).ok()).flatten();
        native::bome(read.ok_or_else(|| Error::str("the text is no JSON")))
    }))
}

/// Functions that neither iterate nor make anything larger, with the number of their arguments.
const PLAIN: &[(&str, usize)] = &[
    ("ascii_downcase", 0),
    ("ascii_upcase", 0),
    ("contains", 1),
    ("empty", 0),
    ("endswith", 1),
    ("error", 0),
    ("false", 0),
    ("first", 0),
    ("first", 1),
    ("fromjson", 0),
    ("has", 1),
    ("index", 1),
    ("isboolean", 0),
    ("isnumber", 0),
    ("isstring", 0),
    ("keys", 0),
    ("last", 0),
    ("last", 1),
    ("length", 0),
    ("ltrimstr", 1),
    ("not", 0),
    ("null", 0),
    ("rtrimstr", 1),
    ("select", 1),
    ("split", 1),
    ("startswith", 1),
    ("strings", 0),
    ("tonumber", 0),
    ("trim", 0),
    ("true", 0),
    ("type", 0),
    ("values", 0),
];

/// Functions that iterate.
const ITERATING: &[(&str, usize)] = &[("all", 0), ("all", 1), ("any", 0), ("any", 1), ("map", 1), ("recurse", 0)];

/// Functions that can make a longer text.
const GROWING: &[(&str, usize)] = &[("join", 1), ("tostring", 0)];

/// What a filter may still use.
struct Allowance {
    iterators: usize,
    growth: usize,
    commas: usize,
}

impl Allowance {
    fn check_all(mut self, term: &Term<&str>) -> Result<(), JqError> {
        self.check(term)?;
        if self.iterators == 0 && MOST_COMMAS - self.commas > FEW_COMMAS {
            return Err(JqError::NotAllowed(format!("more than {FEW_COMMAS} commas with {MOST_ITERATORS} iterators")));
        }
        Ok(())
    }

    fn check(&mut self, term: &Term<&str>) -> Result<(), JqError> {
        let not_allowed = |what: &str| Err(JqError::NotAllowed(what.to_owned()));
        match term {
            Term::Id | Term::Num(_) | Term::Arr(None) => Ok(()),
            Term::Neg(of) if matches!(**of, Term::Num(_)) => Ok(()),
            Term::Recurse => self.iterate(),
            Term::Str(None, parts) if parts.iter().all(|part| !matches!(part, StrPart::Term(_))) => Ok(()),
            Term::Arr(Some(of)) => {
                if has_comma(of) {
                    return not_allowed("an array of several terms");
                }
                let before = self.iterators;
                self.check(of)?;
                if before - self.iterators > 1 { not_allowed("an array over several iterators") } else { Ok(()) }
            }
            Term::BinOp(left, operator, right) => match operator {
                BinaryOp::Comma => {
                    self.commas =
                        self.commas.checked_sub(1).ok_or_else(|| JqError::NotAllowed(format!("more than {MOST_COMMAS} commas")))?;
                    self.check(left)?;
                    self.check(right)
                }
                BinaryOp::Pipe(None) | BinaryOp::Alt | BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => {
                    self.check(left)?;
                    self.check(right)
                }
                _ => not_allowed("arithmetic, assignment or a variable"),
            },
            Term::TryCatch(tried, caught) => {
                self.check(tried)?;
                caught.as_ref().map_or(Ok(()), |caught| self.check(caught))
            }
            Term::IfThenElse(cases, otherwise) => {
                for (condition, result) in cases {
                    self.check(condition)?;
                    self.check(result)?;
                }
                otherwise.as_ref().map_or(Ok(()), |otherwise| self.check(otherwise))
            }
            Term::Path(of, path) => {
                self.check(of)?;
                for (part, _) in &path.0 {
                    match part {
                        Part::Index(index) => self.check(index)?,
                        Part::Range(None, None) => self.iterate()?,
                        Part::Range(from, to) => {
                            for bound in [from, to].into_iter().flatten() {
                                self.check(bound)?;
                            }
                        }
                    }
                }
                Ok(())
            }
            Term::Call(name, arguments) => {
                let named = (*name, arguments.len());
                if ITERATING.contains(&named) {
                    self.iterate()?;
                } else if GROWING.contains(&named) {
                    self.growth = self.growth.checked_sub(1).ok_or_else(|| JqError::NotAllowed(format!("so much {name}")))?;
                } else if !PLAIN.contains(&named) {
                    return not_allowed(&format!("{name}/{}", arguments.len()));
                }
                if *name == "join" && !arguments.iter().all(is_short_text) {
                    return not_allowed(&format!("join with what is no text of at most {LONGEST_SEPARATOR} bytes"));
                }
                // `map` gathers what its argument gives.
                if *name == "map" && arguments.iter().any(has_comma) {
                    return not_allowed("an array of several terms");
                }
                arguments.iter().try_for_each(|argument| self.check(argument))
            }
            _ => not_allowed("what it does"),
        }
    }

    fn iterate(&mut self) -> Result<(), JqError> {
        self.iterators =
            self.iterators.checked_sub(1).ok_or_else(|| JqError::NotAllowed(format!("iterating more than {MOST_ITERATORS} times")))?;
        Ok(())
    }
}

fn is_short_text(term: &Term<&str>) -> bool {
    let Term::Str(None, parts) = term else { return false };
    let lengths = parts.iter().map(|part| match part {
        StrPart::Str(text) => Some(text.len()),
        StrPart::Char(c) => Some(c.len_utf8()),
        StrPart::Term(_) => None,
    });
    lengths.sum::<Option<usize>>().is_some_and(|bytes| bytes <= LONGEST_SEPARATOR)
}

/// Whether a term gives several outputs by naming them.
fn has_comma(term: &Term<&str>) -> bool {
    match term {
        Term::BinOp(left, operator, right) => matches!(operator, BinaryOp::Comma) || has_comma(left) || has_comma(right),
        Term::TryCatch(tried, caught) => has_comma(tried) || caught.as_deref().is_some_and(has_comma),
        Term::IfThenElse(cases, otherwise) => {
            cases.iter().any(|(condition, result)| has_comma(condition) || has_comma(result)) || otherwise.as_deref().is_some_and(has_comma)
        }
        Term::Path(of, path) => {
            has_comma(of)
                || path.0.iter().any(|(part, _)| match part {
                    Part::Index(index) => has_comma(index),
                    Part::Range(from, to) => [from, to].into_iter().flatten().any(has_comma),
                })
        }
        Term::Arr(of) => of.as_deref().is_some_and(has_comma),
        Term::Neg(of) => has_comma(of),
        Term::Call(_, arguments) => arguments.iter().any(has_comma),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filter: &str, json: &[u8]) -> Result<Option<String>, JqError> {
        Jq::default().run(filter, json)
    }

    fn text(filter: &str, json: &str) -> Option<String> {
        run(filter, json.as_bytes()).unwrap_or_else(|error| panic!("{filter}: {error}"))
    }

    #[test]
    fn what_guards_ask_for_is_found() {
        let json = r#"{"internal": {"org": "123"}, "roles": [{"name": "dev"}, {"name": "admin"}], "n": 5, "mail": "a@x.org"}"#;
        for (filter, expected) in [
            (".internal.org", Some("123")),
            (".internal[\"org\"]", Some("123")),
            (".nothing.there", None),
            (".n", None),
            (".n | tostring", Some("5")),
            (".internal", None),
            (".roles[1].name", Some("admin")),
            (".roles[0:1][0].name", Some("dev")),
            (".roles[-1].name", Some("admin")),
            (".roles[].name", Some("dev")),
            (".roles[] | select(.name == \"admin\") | .name", Some("admin")),
            ("if any(.roles[].name; . == \"admin\") then \"yes\" else \"no\" end", None),
            ("if (.roles | any(.name == \"admin\")) then \"yes\" else \"no\" end", Some("yes")),
            (".roles | map(.name) | join(\"+\")", Some("dev+admin")),
            ("[.roles[].name] | last", Some("admin")),
            (".mail | split(\"@\") | last", Some("x.org")),
            (".missing // .internal.org", Some("123")),
            (".n?, \"x\"", None),
            ("try error catch \"caught\"", Some("caught")),
        ] {
            match run(filter, json.as_bytes()) {
                Ok(found) => assert_eq!(found.as_deref(), expected, "{filter}"),
                Err(JqError::NotAllowed(_)) => assert_eq!(expected, None, "{filter}"),
                // jq has an error for what `try error` catches.
                Err(error) => assert!(filter.starts_with("try"), "{filter}: {error}"),
            }
        }
        assert_eq!(text(".a", "{\"a\": \"\u{fc}\"}").as_deref(), Some("\u{fc}"));
    }

    #[test]
    fn what_may_not_end_or_may_grow_is_refused() {
        for filter in [
            "def f: f; f",
            "range(1e12)",
            "[range(1e12)]",
            "repeat(.)",
            "until(false; .)",
            "\"x\" * 1000000000",
            ". + .",
            "\"\\(.)\\(.)\"",
            "[., .]",
            "map(., .)",
            "{a: .[], b: .[]}",
            "[.[] == .[]]",
            ".[][][]",
            "reduce .[] as $x (0; . + $x)",
            ". as $x | $x",
            ".a = 1",
            "env",
            "$ENV",
            "input",
            "halt",
            "now",
            "tojson | tojson | tojson",
            "join(\"a\") | join(\"b\") | join(\"c\")",
            "@base64",
            "label $out | break $out",
        ] {
            assert!(matches!(run(filter, b"{}"), Err(JqError::NotAllowed(_))), "{filter}: {:?}", run(filter, b"{}"));
        }
        for filter in [".[[", "", "|", "a b", "unknown_function"] {
            assert!(matches!(run(filter, b"{}"), Err(JqError::Syntax | JqError::NotAllowed(_))), "{filter}");
        }
        assert!(matches!(run(&".a".repeat(1_000), b"{}"), Err(JqError::NotAllowed(_))));
    }

    #[test]
    fn commas_multiply_outputs_so_that_they_are_few() {
        let piped = |times: usize| format!("{}|empty", vec!["(.,.)"; times].join("|"));
        assert_eq!(run(&piped(MOST_COMMAS), b"{}"), Ok(None));
        for filter in [piped(MOST_COMMAS + 1), piped(100), ".[] | .[] | (.,.) | (.,.) | (.,.)".to_owned()] {
            assert!(matches!(run(&filter, b"{}"), Err(JqError::NotAllowed(_))), "{filter}");
        }
    }

    #[test]
    fn what_is_put_between_texts_is_short() {
        assert_eq!(text("map(tostring) | join(\", \")", "[1, \"a\"]").as_deref(), Some("1, a"));
        let long = format!("join(\"{}\")", "x".repeat(LONGEST_SEPARATOR + 1));
        for filter in ["join(.[0])", "join(\"\\(.[0])\")", &long] {
            assert!(matches!(run(filter, b"[\"a\"]"), Err(JqError::NotAllowed(_))), "{filter}");
        }
    }

    #[test]
    fn json_within_a_text_is_no_deeper_than_an_input() {
        assert_eq!(text("fromjson | .a", "\"{\\\"a\\\": \\\"b\\\"}\"").as_deref(), Some("b"));
        // Texts that the filter makes can be much longer than its input.
        let many = format!("[{}\"\"]", "\"\",".repeat(5_000));
        let ended = on_deep_stack(|| run("join(\"[[[[[[[[[[[[[[[[\") | fromjson | \"read\"", many.as_bytes()));
        assert!(matches!(ended, Some(Err(JqError::Failed(_)))), "{ended:?}");
        assert!(matches!(run("fromjson", b"1"), Err(JqError::Failed(_))));
        assert!(matches!(run("fromjson", b"\"NaN\""), Err(JqError::Failed(_))));
    }

    #[test]
    fn filters_that_nest_deeply_end() {
        let closed = |open: &str, close: &str| {
            let levels = (LONGEST_FILTER - 1) / (open.len() + close.len());
            format!("{}.{}", open.repeat(levels), close.repeat(levels))
        };
        for filter in [
            closed("(", ")"),
            closed("[", "]"),
            closed("try ", ""),
            closed("-", ""),
            closed(".[", "]"),
            closed("if . then ", " end"),
            closed(".|", ""),
            closed("not|", ""),
            closed("first(", ")"),
            closed("{a:", "}"),
            closed("", "?"),
            closed("", ".a"),
        ] {
            let ended = on_deep_stack(|| run(&filter, b"{}"));
            assert!(ended.is_some(), "{}…", &filter[..filter.len().min(20)]);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for input in ["", "x", "{", "{} {}", &"[".repeat(8_000), &format!("{}{}", "[".repeat(8_000), "]".repeat(8_000))] {
            assert_eq!(run(".", input.as_bytes()), Err(JqError::Input), "{}", &input[..input.len().min(10)]);
        }
        assert_eq!(run(".", format!("\"{}\"", "x".repeat(LONGEST_INPUT)).as_bytes()), Err(JqError::Input));
        assert!(matches!(run(".a", b"[]"), Err(JqError::Failed(_))));
    }
}
