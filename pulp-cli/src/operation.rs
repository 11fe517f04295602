//! The name of a call: the operation id that the server's API document gives it.

use http::Method;

/// The operation id of a call, made from its path below the API root, the way the server makes it:
/// `GET repositories/file/file/` is `repositories_file_file_list`.
///
/// It is used in notes and messages only, so that they read as those of the Python client; nothing depends on it.
pub(crate) fn operation_id(method: &Method, path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let mut words: Vec<String> = segments.iter().filter(|segment| !is_id(segment)).map(|segment| segment.replace('-', "_")).collect();
    let on_one = segments.last().is_some_and(|last| is_id(last));
    // `…/{id}/sync/`: the action is the last word already.
    let action = !on_one && segments.iter().any(|segment| is_id(segment)) && !path.ends_with("/versions/");
    let verb = match (method.as_str(), on_one) {
        ("GET", true) => Some("read"),
        ("GET", false) if path == "status/" => Some("read"),
        ("GET", false) if !action => Some("list"),
        ("POST", false) if !action && path != "tasks/purge/" => Some("create"),
        ("PUT", _) => Some("update"),
        ("PATCH", _) => Some("partial_update"),
        ("DELETE", _) => Some("delete"),
        _ => None,
    };
    words.extend(verb.map(str::to_owned));
    words.join("_")
}

/// Whether the segment is an id: a number or a UUID.
fn is_id(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_digit()) || (segment.len() == 36 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_api_document_names_them() {
        let id = "01a202c1-dedb-737b-8c9f-717ea89b188a";
        for (method, path, name) in [
            (Method::GET, "status/".to_owned(), "status_read"),
            (Method::GET, "tasks/".to_owned(), "tasks_list"),
            (Method::POST, "tasks/purge/".to_owned(), "tasks_purge"),
            (Method::GET, format!("task-groups/{id}/"), "task_groups_read"),
            (Method::POST, "repositories/file/file/".to_owned(), "repositories_file_file_create"),
            (Method::PATCH, format!("repositories/file/file/{id}/"), "repositories_file_file_partial_update"),
            (Method::POST, format!("repositories/file/file/{id}/sync/"), "repositories_file_file_sync"),
            (Method::GET, format!("repositories/file/file/{id}/versions/"), "repositories_file_file_versions_list"),
            (Method::DELETE, format!("repositories/file/file/{id}/versions/1/"), "repositories_file_file_versions_delete"),
            (Method::PUT, format!("uploads/{id}/"), "uploads_update"),
        ] {
            assert_eq!(operation_id(&method, &path), name);
        }
    }
}
