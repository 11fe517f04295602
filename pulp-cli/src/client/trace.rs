//! What `-v` tells about calls.

use http::{HeaderValue, Method};
use serde_json::Value;
use url::Url;

use super::redact::{is_secret_header, masked};
use super::{Body, Client, Query};
use crate::output::note;

impl Client {
    /// Tells about a call before it is made: from level 1 its URL, from 2 its parameters and headers, from 3 its body.
    pub(super) fn note_request(&self, operation: &str, method: &Method, url: &Url, query: &Query, body: &Body) {
        let shared = &self.shared;
        if shared.verbose >= 1 {
            note(&format!("{operation} : {} {url}", method.as_str().to_lowercase()));
        }
        if shared.verbose >= 2 {
            for (name, value) in query.pairs() {
                note(&format!("  {name}=={value}"));
            }
            for (name, _, value) in &shared.headers {
                note_header(name, value);
            }
            if let Some(cid) = &shared.cid {
                note(&format!("  Correlation-ID: {cid}"));
            }
        }
        if let Body::Json(value) = body {
            self.note_body(value);
        }
    }

    /// Tells about an answer: from level 1 its status, from 2 its headers.
    pub(super) fn note_response(&self, response: &reqwest::Response) {
        if self.shared.verbose >= 1 {
            note(&format!("Response: {}", response.status().as_u16()));
        }
        if self.shared.verbose >= 2 {
            for (name, value) in response.headers() {
                note_header(&title_case(name.as_str()), value);
            }
        }
    }

    /// Tells a body, from level 3 on, without the secrets in it.
    pub(super) fn note_body(&self, body: &Value) {
        if self.shared.verbose >= 3 && !body.is_null() {
            note(&masked(body).to_string());
        }
    }
}

fn note_header(name: &str, value: &HeaderValue) {
    let shown = if is_secret_header(name) { "[hidden]".into() } else { String::from_utf8_lossy(value.as_bytes()) };
    note(&format!("  {name}: {shown}"));
}

/// `correlation-id` as servers write it: `Correlation-ID`.
fn title_case(name: &str) -> String {
    name.split('-')
        .map(|word| match word {
            "id" => "ID".to_owned(),
            _ => {
                let mut letters = word.chars();
                letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
            }
        })
        .collect::<Vec<String>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_as_servers_write_them() {
        assert_eq!(title_case("correlation-id"), "Correlation-ID");
        assert_eq!(title_case("content-type"), "Content-Type");
    }
}
