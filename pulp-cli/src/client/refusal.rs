//! What a server says when it refuses.

use http::StatusCode;
use serde_json::Value;

use crate::error::Error;

/// What the server said when it refused.
pub(super) fn refusal(operation: &str, status: StatusCode, bytes: &[u8]) -> Error {
    let body = serde_json::from_slice::<Value>(bytes).ok();
    let told = body.as_ref().map(|body| complaints(body).join("\n")).filter(|text| !text.is_empty());
    if status == StatusCode::NOT_FOUND && body.is_none() {
        return Error::NoRoute { operation: operation.to_owned() };
    }
    let message = match (status, told) {
        (StatusCode::UNAUTHORIZED, told) => {
            let told = told.unwrap_or_else(|| "no valid credentials".to_owned());
            format!(
                "Authentication failed for {operation}: {told}\nSet username and password in the settings file, or give --username and --password."
            )
        }
        (StatusCode::FORBIDDEN, told) => {
            let told = told.map(|told| format!(" {told}")).unwrap_or_default();
            format!("Operation {operation} not authorized.{told}")
        }
        (_, Some(told)) => told,
        (_, None) => format!("{operation}: the server answered {status}{}", excerpt(bytes)),
    };
    Error::Server { status, message }
}

/// The beginning of an answer that is not JSON, for the curious; pages of HTML say nothing to a reader.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return String::new();
    }
    format!(": {}", text.chars().take(300).collect::<String>())
}

/// The messages of an error body, one per field: `name: This field must be unique.`
fn complaints(body: &Value) -> Vec<String> {
    fn walk(path: &str, value: &Value, out: &mut Vec<String>) {
        let prefixed = |text: &str| {
            if path.is_empty() { text.to_owned() } else { format!("{path}: {text}") }
        };
        match value {
            Value::String(text) => out.push(prefixed(text)),
            Value::Array(list) => list.iter().for_each(|value| walk(path, value, out)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let anonymous = matches!(name.as_str(), "detail" | "non_field_errors");
                    let path = match (path.is_empty(), anonymous) {
                        (_, true) => path.to_owned(),
                        (true, false) => name.clone(),
                        (false, false) => format!("{path}.{name}"),
                    };
                    walk(&path, value, out);
                }
            }
            Value::Null => {}
            other => out.push(prefixed(&other.to_string())),
        }
    }
    let mut out = Vec::new();
    walk("", body, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_in_place_of_an_answer_means_no_api() {
        let error = refusal("tasks_list", StatusCode::NOT_FOUND, b"<html>");
        assert!(matches!(error, Error::NoRoute { .. }), "{error}");
        let error = refusal("tasks_read", StatusCode::NOT_FOUND, br#"{"detail":"Not found."}"#);
        assert!(matches!(error, Error::Server { .. }), "{error}");
    }

    #[test]
    fn error_bodies_become_lines() {
        assert_eq!(complaints(&json!({"name": ["This field must be unique."]})), ["name: This field must be unique."]);
        assert_eq!(complaints(&json!({"detail": "Not found."})), ["Not found."]);
        assert_eq!(complaints(&json!({"non_field_errors": ["a"], "x": {"y": ["b", "c"]}})), ["a", "x.y: b", "x.y: c"]);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let text = |status, body: &str| refusal("tasks_list", status, body.as_bytes()).to_string();
        assert!(text(StatusCode::UNAUTHORIZED, r#"{"detail":"Invalid."}"#).contains("--username"));
        let denied = text(StatusCode::FORBIDDEN, r#"{"detail":"You may not."}"#);
        assert_eq!(denied, "Operation tasks_list not authorized. You may not.");
        let page = text(StatusCode::BAD_GATEWAY, "<!doctype html><p>no");
        assert!(page.contains("502") && !page.contains('<'), "{page}");
    }
}
