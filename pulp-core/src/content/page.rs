//! A directory as a response: a page for people, or JSON for programs.

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

use super::html::{self, Head};
use super::missing::wants_json;
use super::path::{decode, encode};
use super::render::{Rendering, respond};
use super::view::View;
use super::{Entries, Listing, PublishedHandler, ServeError};
use crate::api::origin;
use crate::body::Body;
use crate::compress::{compress, is_wanted};
use crate::model::Distribution;

impl Rendering<'_> {
    /// A page that the query picks, or everything as JSON. The beginning goes out before the entries are read.
    pub(super) fn listing(&self, listing: Listing) -> Response<Body> {
        let mut headers = HeaderMap::new();
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if self.is_guarded() {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        let json = wants_json(self.uri, self.headers);
        let kind = if json { "application/json" } else { "text/html; charset=utf-8" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Ok(policy) = HeaderValue::try_from(html::POLICY.as_str())
            && !json
        {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if *self.method == Method::HEAD {
            if self.pulp.settings().compress_answers {
                headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
            }
            return respond(StatusCode::OK, headers, Body::empty());
        }
        let path = decode(self.uri.path()).unwrap_or(self.uri.path().into());
        let title = listing.title.clone().unwrap_or_else(|| path.to_string());
        let body = if json {
            Body::stream(as_json(&title, listing.entries))
        } else {
            let head = html::head(&Head { title, crumbs: self.crumbs(&path), usage: self.usage(&path) });
            let view = View::of_query(self.uri.query().unwrap_or_default());
            let page = async move {
                let parent = listing.parent;
                let (entries, in_turn) = listing.read(view.from());
                let page = view.page(entries, in_turn).await?;
                Ok::<_, ServeError>(Bytes::from(html::body(&view, &page, parent)))
            };
            Body::stream(stream::iter([Ok(Bytes::from(head))]).chain(stream::once(page)))
        };
        let response = respond(StatusCode::OK, headers, body);
        if self.pulp.settings().compress_answers { compress(is_wanted(self.method, self.headers), response) } else { response }
    }

    /// The directories on the way to a path, from the one of all content on, and where they are.
    fn crumbs(&self, path: &str) -> Vec<(String, String)> {
        let prefix = self.pulp.settings().content_path_prefix.as_str();
        let mut at = prefix.to_owned();
        let mut crumbs = vec![(prefix.trim_matches('/').to_owned(), encode(prefix))];
        for name in path.strip_prefix(prefix).unwrap_or_default().split('/').filter(|name| !name.is_empty()) {
            at.push_str(name);
            at.push('/');
            crumbs.push((name.to_owned(), encode(&at)));
        }
        crumbs
    }

    /// Commands that use what the page is a part of, with an address as the client sees it.
    fn usage(&self, path: &str) -> Vec<String> {
        let Some(route) = self.route else {
            return Vec::new();
        };
        let settings = self.pulp.settings();
        let prefix = settings.content_path_prefix.len();
        let domain = path.get(prefix..).and_then(|below| below.find('/')).filter(|_| settings.domain_enabled);
        let Some(root) = repository_root(&route.distribution, self.past, path, prefix + domain.map_or(0, |end| end + 1)) else {
            return Vec::new();
        };
        let origin = settings.content_origin.clone().or_else(|| origin(self.headers, self.uri)).unwrap_or_default();
        let handler = self.pulp.registry().distribution_handler(&route.distribution.pulp_type).unwrap_or(&PublishedHandler);
        handler.usage(&format!("{origin}{}", encode(root)))
    }
}

/// The part of a path, of which `base` bytes lead to the distribution, at which the repository begins that a client would use: the
/// distribution’s root, or that of a checkpoint or of an earlier moment.
fn repository_root<'p>(distribution: &Distribution, past: bool, path: &'p str, base: usize) -> Option<&'p str> {
    let root = base + distribution.base_path.len() + 1;
    if !distribution.checkpoint && !past {
        return path.get(..root);
    }
    let moment = path.get(root..)?.find('/')?;
    path.get(..=root + moment)
}

fn as_json(title: &str, entries: Entries) -> impl Stream<Item = Result<Bytes, ServeError>> + Send + use<> {
    let start = format!("{{\"path\": {}, \"entries\": [", serde_json::Value::from(title));
    let mut first = true;
    let entries = entries.map_ok(move |entries| {
        let mut text = String::new();
        for entry in &entries {
            text.push_str(if std::mem::take(&mut first) { "\n" } else { ",\n" });
            text.push_str(&html::json(entry).to_string());
        }
        Bytes::from(text)
    });
    let end = Bytes::from_static(b"\n]}\n");
    let chunks = stream::iter([Ok(Bytes::from(start))]).chain(entries).chain(stream::iter([Ok(end)]));
    chunks.try_filter(|chunk| std::future::ready(!chunk.is_empty()))
}
