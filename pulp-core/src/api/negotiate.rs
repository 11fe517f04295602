//! What a client accepts, who it thinks we are, and what names its request.

use http::header::{ACCEPT, HOST};
use http::{HeaderMap, Uri};
use uuid::Uuid;

/// Whether the client takes JSON; one that takes a page takes it too.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    let mut said = false;
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value.split(',') {
            said = true;
            let range = range.split(';').next().unwrap_or_default().trim();
            if matches!(range, "*/*" | "application/*" | "application/json" | "text/html" | "text/*" | "") {
                return true;
            }
        }
    }
    !said
}

/// Scheme, host and port as the client sees them. A header that no host can have is not taken over into a response.
pub(crate) fn origin(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.authority().map(|authority| authority.as_str()))?;
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c)) {
        return None;
    }
    let forwarded = headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok());
    let scheme = if forwarded == Some("https") || uri.scheme_str() == Some("https") { "https" } else { "http" };
    Some(format!("{scheme}://{host}"))
}

/// The request’s correlation id: the client’s, as it is written, if it is a UUID, or a new one.
pub(super) fn correlation_id(headers: &HeaderMap) -> String {
    let given = headers.get("correlation-id").and_then(|id| id.to_str().ok()).filter(|id| Uuid::try_parse(id).is_ok());
    given.map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned)
}

/// Most diagnostics that a request may ask for.
const DIAGNOSTICS: usize = 16;

/// What the tasks of the request are to record: names separated by commas.
pub(super) fn diagnostics(headers: &HeaderMap) -> Vec<String> {
    let given = headers.get_all("x-task-diagnostics").into_iter().filter_map(|value| value.to_str().ok());
    let names = given.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    names.take(DIAGNOSTICS).map(str::to_owned).collect()
}
