//! `docs/`: a page that shows the document; it needs no other host.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use http::{HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::serve::has;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::body::Body;

const PAGE: Asset = Asset { kind: "text/html; charset=utf-8", text: include_str!("assets/page.html") };

const ASSETS: [(&str, Asset); 2] = [
    ("page.css", Asset { kind: "text/css; charset=utf-8", text: include_str!("assets/page.css") }),
    ("page.js", Asset { kind: "text/javascript; charset=utf-8", text: include_str!("assets/page.js") }),
];

#[derive(Debug)]
struct Asset {
    kind: &'static str,
    text: &'static str,
}

/// `GET docs/`.
pub(crate) async fn page(request: Request) -> Answer {
    Ok(send(&request, &PAGE))
}

/// `GET docs/{asset}`.
pub(crate) async fn asset(request: Request) -> Answer {
    let wanted = request.parameter("asset");
    match ASSETS.iter().find(|(name, _)| *name == wanted) {
        Some((_, asset)) => Ok(send(&request, asset)),
        None => Err(ApiError::not_found()),
    }
}

fn send(request: &Request, asset: &Asset) -> Response<Body> {
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(asset.text)[..16]));
    let mut response = if has(&request.headers, &tag) {
        response::empty(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(Body::from(asset.text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
        response
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    );
    response
}
