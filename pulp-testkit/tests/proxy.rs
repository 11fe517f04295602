//! The proxy, as a client uses it.

use pulp_testkit::{Proxy, Upstream};
use reqwest::{Client, Proxy as Through};

fn client(through: Through) -> reqwest::ClientBuilder {
    // Whoever comes first installs it; all want the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().proxy(through)
}

#[tokio::test]
async fn passes_on_and_counts() {
    let upstream = Upstream::start().await.file("f", "x");
    let proxy = Proxy::start().await;
    let client = client(Through::all(proxy.url()).unwrap()).build().unwrap();
    let answer = client.get(upstream.url("f")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "x");
    assert_eq!((proxy.forwarded(), proxy.tunnels()), (1, 0));
    assert_eq!(proxy.requests()[0].target, upstream.url("f"));
    assert_eq!(upstream.hits("f"), 1);
}

#[tokio::test]
async fn tunnels_tls() {
    let upstream = Upstream::start_https().await.file("f", "x");
    let proxy = Proxy::start().await;
    let ca = upstream.authority().unwrap().certificate();
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    let client = client(Through::all(proxy.url()).unwrap());
    let client = client.tls_certs_only([ca]).build().unwrap();
    let answer = client.get(upstream.url("f")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "x");
    assert_eq!((proxy.forwarded(), proxy.tunnels()), (0, 1));
    assert_eq!(proxy.requests()[0].target, upstream.address().to_string());
}

#[tokio::test]
async fn asks_for_credentials() {
    let upstream = Upstream::start().await.file("f", "x");
    let proxy = Proxy::start_with_basic("me", "s3cret").await;
    let bare = client(Through::all(proxy.url()).unwrap()).build().unwrap();
    let answer = bare.get(upstream.url("f")).send().await.unwrap();
    assert_eq!(answer.status(), 407);
    assert_eq!(upstream.hits("f"), 0);
    let known = Through::all(proxy.url()).unwrap().basic_auth("me", "s3cret");
    let known = client(known).build().unwrap();
    let answer = known.get(upstream.url("f")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!((proxy.requests().len(), proxy.forwarded()), (2, 1));
    // The credentials are for the proxy, and go no further.
    assert_eq!(upstream.requests()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn is_spoken_to_over_tls() {
    let upstream = Upstream::start().await.file("f", "x");
    let proxy = Proxy::start_https().await;
    let ca = proxy.authority().unwrap().certificate();
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    let client = client(Through::all(proxy.url()).unwrap());
    let client = client.tls_certs_only([ca]).build().unwrap();
    let answer = client.get(upstream.url("f")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "x");
    assert_eq!(proxy.forwarded(), 1);
}
