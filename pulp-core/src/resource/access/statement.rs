//! Statements of access policies, as they are stored and shown: JSON of a known shape.

use serde_json::Value as Json;

use crate::{Error, Result};

/// Whether a statement lets somebody do something, or keeps them from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) actions: Vec<String>,
    pub(crate) principals: Vec<String>,
    pub(crate) effect: Effect,
    pub(crate) conditions: Vec<String>,
}

impl Statement {
    /// Reads the statements of a policy.
    ///
    /// # Errors
    /// [`Error::Internal`] if one of them is none: the policy lets nobody do anything then.
    pub(crate) fn read_all(policy: &str, statements: &Json) -> Result<Vec<Self>> {
        let wrong = |what: &str| Error::Internal(format!("the access policy of {policy}: {what}"));
        let list = statements.as_array().ok_or_else(|| wrong("its statements are no list"))?;
        list.iter().map(|statement| Self::read(statement).map_err(|what| wrong(&what))).collect()
    }

    fn read(statement: &Json) -> Result<Self, String> {
        let needed = |name: &str| texts(&statement[name]).filter(|texts| !texts.is_empty()).ok_or(format!("a statement lacks `{name}`"));
        if !statement["condition_expression"].is_null() {
            return Err("`condition_expression` is not supported".to_owned());
        }
        let conditions = match &statement["condition"] {
            Json::Null => Vec::new(),
            given => texts(given).ok_or("a condition is no text")?,
        };
        let effect = match statement["effect"].as_str() {
            Some("allow") => Effect::Allow,
            Some("deny") => Effect::Deny,
            _ => return Err("an effect is neither `allow` nor `deny`".to_owned()),
        };
        Ok(Self { actions: needed("action")?, principals: needed("principal")?, effect, conditions })
    }
}

/// One text, or a list of them.
pub(super) fn texts(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::String(one) => Some(vec![one.clone()]),
        Json::Array(all) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_text_is_a_list_of_one() {
        let read = Statement::read_all("a", &json!([{"action": "*", "principal": "authenticated", "effect": "allow", "condition": "x:y"}]));
        assert_eq!(
            read.unwrap(),
            [Statement {
                actions: vec!["*".to_owned()],
                principals: vec!["authenticated".to_owned()],
                effect: Effect::Allow,
                conditions: vec!["x:y".to_owned()],
            }]
        );
    }

    #[test]
    fn what_is_no_statement_is_refused() {
        for wrong in [
            json!({}),
            json!([{"action": "*", "principal": "*"}]),
            json!([{"action": "*", "effect": "allow"}]),
            json!([{"action": 1, "principal": "*", "effect": "allow"}]),
            json!([{"action": "*", "principal": "*", "effect": "allow", "condition": 1}]),
            json!([{"action": "*", "principal": "*", "effect": "maybe"}]),
        ] {
            assert!(Statement::read_all("a", &wrong).is_err(), "{wrong}");
        }
    }
}
