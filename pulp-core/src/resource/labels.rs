//! The filter `pulp_label_select`: terms such as `env=prod`, `env!=test`, `env~pro`, `env`, `!env`, separated by commas.

use serde_json::json;

use super::Fragment;
use crate::db::{Dialect, Value};
use crate::{Error, Result};

/// The condition that a row’s labels meet all terms.
///
/// # Errors
/// If a term cannot be read.
pub(crate) fn select(dialect: Dialect, text: &str) -> Result<Fragment> {
    text.split(',').map(|term| condition(dialect, term.trim())).collect::<Result<Vec<_>>>().map(Fragment::all)
}

fn condition(dialect: Dialect, term: &str) -> Result<Fragment> {
    let bad = || Error::Refused(json!([format!("Invalid search term: '{term}'.")]));
    if term.contains('\0') {
        return Err(bad());
    }
    let is_set = |key: &str| Fragment::template(&dialect.has_label("b.pulp_labels", "{}"), &Value::from(key));
    let value = |key: &str| Fragment::template(&dialect.label("b.pulp_labels", "{}"), &Value::from(key));
    if let Some(key) = term.strip_prefix('!') {
        return if is_key(key) { Ok(!is_set(key)) } else { Err(bad()) };
    }
    let Some(at) = term.find(['=', '!', '~']) else {
        return if is_key(term) { Ok(is_set(term)) } else { Err(bad()) };
    };
    let (key, rest) = term.split_at(at);
    let key = key.trim_end();
    if !is_key(key) {
        return Err(bad());
    }
    if let Some(wanted) = rest.strip_prefix("!=") {
        // A label without a value differs from every value; an object without the label does not count.
        Ok(is_set(key).and(Fragment::new("coalesce(").then(value(key)).text(" <> ").bind(wanted).text(", 1 = 1)")))
    } else if let Some(wanted) = rest.strip_prefix('=') {
        Ok(Fragment::new("coalesce(").then(value(key)).text(" = ").bind(wanted).text(", 1 = 0)"))
    } else if let Some(wanted) = rest.strip_prefix('~') {
        let like = dialect.ilike("{}", "{}");
        let mut sides = like.splitn(3, "{}").map(str::to_owned);
        let (before, between, after) =
            (sides.next().unwrap_or_default(), sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
        Ok(Fragment::new("coalesce(").text(before).then(value(key)).text(between).bind(infix(wanted)).text(after).text(", 1 = 0)"))
    } else {
        Err(bad())
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(['=', '!', '~', '(', ')'])
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
    if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '-' | '.')) {
        return Err(format!(
            "Key '{key}' contains invalid characters. Only alphanumerics, underscores, spaces, hyphens, and dots are allowed."
        ));
    }
    if value.is_some_and(|value| value.contains(['(', ')'])) {
        return Err(format!("Key '{key}' contains value with parenthesis."));
    }
    Ok(())
}
