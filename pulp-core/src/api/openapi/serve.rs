//! `docs/api.json`: the document as bytes, made once for each way of asking.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use moka::sync::Cache;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::operation::Base;
use super::{Options, document};
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::{Answer, Router};
use crate::body::Body;
use crate::compress::takes_gzip;
use crate::{Error, Pulp, Result};

/// How many documents are kept: one names the host that the client asked, and clients can make hosts up.
const KEPT: u64 = 16;

/// The documents of one API.
#[derive(Debug)]
pub(crate) struct Documents {
    answered: HashSet<(String, Method)>,
    kept: Cache<(Options, String), Arc<Written>>,
}

/// A document as it goes over the wire.
#[derive(Debug)]
struct Written {
    plain: Bytes,
    gzip: Bytes,
    tag: String,
}

impl Documents {
    /// Of what these routes answer.
    pub(crate) fn of(router: &Router) -> Self {
        Self { answered: router.answered().collect(), kept: Cache::new(KEPT) }
    }

    /// One document. `origin` is scheme and host of the server, if they are known.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if there is no such component; [`Error::Internal`] if descriptions contradict each other.
    pub(crate) fn document(&self, pulp: &Pulp, options: &Options, origin: Option<&str>) -> Result<Json> {
        let base = Base::new(pulp.settings().api_root.as_str(), pulp.settings().domain_enabled);
        let mut document = document(pulp.registry(), &base, &self.answered, options)?;
        document.insert("servers".to_owned(), json!([{"url": format!("{}/", origin.unwrap_or_default())}]));
        Ok(Json::Object(document))
    }

    fn written(&self, pulp: &Pulp, options: Options, origin: &str) -> Result<Arc<Written>> {
        let key = (options, origin.to_owned());
        if let Some(written) = self.kept.get(&key) {
            return Ok(written);
        }
        let document = self.document(pulp, &key.0, Some(origin))?;
        let written = Arc::new(Written::of(&document).map_err(|error| Error::Internal(error.to_string()))?);
        self.kept.insert(key, Arc::clone(&written));
        Ok(written)
    }
}

impl Written {
    fn of(document: &Json) -> std::io::Result<Self> {
        let plain = serde_json::to_vec(document)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&plain)?;
        Ok(Self { tag: hex::encode(&Sha256::digest(&plain)[..16]), gzip: gzip.finish()?.into(), plain: plain.into() })
    }
}

/// `GET docs/api.json`.
pub(crate) async fn json(request: Request, documents: Arc<Documents>) -> Answer {
    answer(&request, &documents, "application/vnd.oai.openapi+json", "api.json")
}

/// `GET docs/api.yaml`: the same, for JSON is YAML (1.2), too.
pub(crate) async fn yaml(request: Request, documents: Arc<Documents>) -> Answer {
    answer(&request, &documents, "application/vnd.oai.openapi; charset=utf-8", "api.yaml")
}

fn answer(request: &Request, documents: &Documents, kind: &'static str, file: &str) -> Answer {
    let last = |wanted: &str| request.query.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let refused = |message: &str| ApiError::detail(StatusCode::BAD_REQUEST, message);
    if last("plugin").is_some() {
        return Err(refused("'plugin' has been removed. Use 'component' instead."));
    }
    let pulp = request.cx.pulp();
    let options = Options::new(pulp.registry(), last("component"), last("bindings").is_some(), last("pk_path").is_some())
        .map_err(|error| refused(&error.public_message()))?;
    let written = documents.written(pulp, options, request.cx.origin().unwrap_or_default())?;
    Ok(send(&request.headers, &written, kind, file))
}

fn send(headers: &HeaderMap, written: &Written, kind: &'static str, file: &str) -> Response<Body> {
    let gzip = takes_gzip(headers);
    let tag = if gzip { format!("\"{}-gzip\"", written.tag) } else { format!("\"{}\"", written.tag) };
    let mut response = if has(headers, &tag) {
        response::empty(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(Body::from(if gzip { written.gzip.clone() } else { written.plain.clone() }));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Ok(name) = HeaderValue::from_str(&format!("inline; filename=\"{file}\"")) {
            headers.insert(CONTENT_DISPOSITION, name);
        }
        response
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    // It changes with an upgrade, and then clients must see it: they keep it, but ask whether it is still so.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// Whether the client has this state already (RFC 9110, 13.1.2).
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag))
}
