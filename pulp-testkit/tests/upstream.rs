//! Every fault of the upstream, as a client meets it.

use std::time::Duration;

use pulp_testkit::{Blob, Fault, Tree, Upstream, fixtures};
use reqwest::{Client, Response, StatusCode, redirect};

const SIZE: u64 = 300_000;

fn client() -> reqwest::ClientBuilder {
    // Whoever comes first installs it; all want the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(redirect::Policy::limited(5))
}

async fn get(upstream: &Upstream, path: &str) -> Response {
    let client = client().build().unwrap();
    client.get(upstream.url(path)).send().await.unwrap()
}

async fn get_range(upstream: &Upstream, path: &str, range: &str) -> Response {
    let request = client().build().unwrap().get(upstream.url(path));
    request.header("range", range).send().await.unwrap()
}

/// All that comes until the end, and whether that was a good one.
async fn drain(mut response: Response) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            Ok(None) => return (all, true),
            Err(_) => return (all, false),
        }
    }
}

fn blob() -> Blob {
    Blob::seeded(1, SIZE)
}

async fn upstream() -> Upstream {
    Upstream::start().await.file("f", blob())
}

#[tokio::test]
async fn serves_counts_and_records() {
    let upstream = upstream().await.generate(3, 10, 4).manifest();
    let response = get(&upstream, "f").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.content_length(), Some(SIZE));
    assert_eq!(drain(response).await, (blob().to_bytes().to_vec(), true));
    assert_eq!((upstream.hits("f"), upstream.bytes_sent("f")), (1, SIZE));

    let manifest = get(&upstream, "PULP_MANIFEST").await.text().await.unwrap();
    assert_eq!(manifest.lines().count(), 4);
    assert!(manifest.ends_with(&blob().manifest_line("f")));
    assert_eq!(get(&upstream, "nothing").await.status(), 404);
    assert_eq!(upstream.hits("nothing"), 1);

    let range = get_range(&upstream, "f", "bytes=10-19").await;
    assert_eq!(range.status(), 206);
    assert_eq!(range.headers()["content-range"], "bytes 10-19/300000");
    assert_eq!(range.bytes().await.unwrap(), blob().read(10, 10));
    assert_eq!(get_range(&upstream, "f", "bytes=300000-").await.status(), 416);
    let seen = upstream.requests();
    assert_eq!(seen[3].range(), Some("bytes=10-19"));

    upstream.forget();
    let client = client().build().unwrap();
    let head = client.head(upstream.url("f")).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "300000");
    assert_eq!(upstream.bytes_sent("f"), 0);
    assert_eq!(upstream.requests()[0].method, "HEAD");
}

#[tokio::test]
async fn conditions() {
    let upstream = upstream().await;
    let first = get(&upstream, "f").await;
    let headers = first.headers().clone();
    let client = client().build().unwrap();
    let ask = |name: &'static str, value: &reqwest::header::HeaderValue| {
        let request = client.get(upstream.url("f")).header(name, value);
        async { request.send().await.unwrap().status() }
    };
    assert_eq!(ask("if-none-match", &headers["etag"]).await, 304);
    assert_eq!(ask("if-modified-since", &headers["last-modified"]).await, 304);
    upstream.put("f", "new");
    assert_eq!(ask("if-none-match", &headers["etag"]).await, 200);
    assert_eq!(ask("if-modified-since", &headers["last-modified"]).await, 200);

    let new = get(&upstream, "f").await.headers()["etag"].clone();
    for (tag, status) in [(&headers["etag"], 200), (&new, 206)] {
        let request = client.get(upstream.url("f")).header("range", "bytes=1-");
        let answer = request.header("if-range", tag).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn odd_names_travel() {
    let tree = Tree::new().odd_names().manifest();
    let upstream = Upstream::start().await.tree(&tree);
    for name in fixtures::ODD_NAMES {
        let response = get(&upstream, name).await;
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(response.text().await.unwrap(), format!("this is {name}\n"));
    }
    assert_eq!(get(&upstream, "PULP_MANIFEST").await.status(), 200);
}

#[tokio::test]
async fn cut_delivers_exactly_so_much() {
    for at in [0, 1, 65_536, 250_000, SIZE - 1] {
        let upstream = upstream().await.fault("f", Fault::CutAt(at).once());
        let (bytes, well) = drain(get(&upstream, "f").await).await;
        assert_eq!(bytes, blob().read(0, at as usize), "cut at {at}");
        assert!(!well, "cut at {at}");
        assert_eq!(upstream.bytes_sent("f"), at);
        let (bytes, well) = drain(get(&upstream, "f").await).await;
        assert_eq!((bytes.len() as u64, well), (SIZE, true));
    }
}

#[tokio::test]
async fn cut_over_tls() {
    let upstream = Upstream::start_https().await.file("f", blob());
    upstream.plan("f", Fault::CutAt(100_000));
    let ca = upstream.authority().unwrap().certificate();
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    let client = client().tls_certs_only([ca]).build().unwrap();
    let response = client.get(upstream.url("f")).send().await.unwrap();
    let (bytes, well) = drain(response).await;
    assert_eq!((bytes.len(), well), (100_000, false));
}

#[tokio::test]
async fn reset_is_a_reset() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let upstream = upstream().await.fault("f", Fault::ResetAt(1000));
    let mut tcp = tokio::net::TcpStream::connect(upstream.address()).await.unwrap();
    tcp.write_all(b"GET /f HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    let error = tcp.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    // The same by a cut is an orderly end.
    upstream.heal("f");
    upstream.plan("f", Fault::CutAt(1000));
    let mut tcp = tokio::net::TcpStream::connect(upstream.address()).await.unwrap();
    tcp.write_all(b"GET /f HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    all.clear();
    tcp.read_to_end(&mut all).await.unwrap();
    assert!(all.ends_with(&blob().read(0, 1000)));
}

#[tokio::test]
async fn hangup_answers_nothing() {
    let upstream = upstream().await.fault("f", Fault::Hangup);
    let client = client().build().unwrap();
    assert!(client.get(upstream.url("f")).send().await.is_err());
    assert!(upstream.hits("f") >= 1);
}

#[tokio::test]
async fn one_byte_is_wrong() {
    let upstream = upstream().await.fault("f", Fault::FlipByte(70_000));
    let bytes = get(&upstream, "f").await.bytes().await.unwrap();
    let right = blob().to_bytes();
    let wrong: Vec<usize> = (0..right.len()).filter(|&i| bytes[i] != right[i]).collect();
    assert_eq!(wrong, [70_000]);
    // In the part that holds it, and in no other.
    let part = get_range(&upstream, "f", "bytes=70000-70001").await;
    assert_ne!(part.bytes().await.unwrap(), blob().read(70_000, 2));
    let part = get_range(&upstream, "f", "bytes=70001-").await;
    assert_eq!(part.bytes().await.unwrap(), blob().read(70_001, SIZE as usize));
}

#[tokio::test]
async fn a_stall_ends() {
    let lasting = Duration::from_millis(50);
    let upstream = upstream().await.fault("f", Fault::Stall { after: 9, lasting });
    let start = std::time::Instant::now();
    let (bytes, well) = drain(get(&upstream, "f").await).await;
    assert_eq!((bytes.len() as u64, well), (SIZE, true));
    assert!(start.elapsed() >= lasting);
}

#[tokio::test]
async fn a_hold_lasts_until_released() {
    let upstream = upstream().await.fault("f", Fault::HoldAt(100));
    let mut response = get(&upstream, "f").await;
    let mut got = 0;
    while got < 100 {
        got += response.chunk().await.unwrap().unwrap().len();
    }
    upstream.wait_bytes("f", 100).await;
    assert_eq!((got, upstream.bytes_sent("f")), (100, 100));
    upstream.release();
    let (rest, well) = drain(response).await;
    assert_eq!((rest.len() as u64, well), (SIZE - 100, true));
}

#[tokio::test]
async fn statuses_come_so_often_and_in_order() {
    let retry_after = Some(7);
    let upstream = upstream().await.fault("f", Fault::Status(503).times(2)).fault("f", Fault::TooManyRequests { retry_after }.once());
    assert_eq!(get(&upstream, "f").await.status(), 503);
    assert_eq!(get(&upstream, "f").await.status(), 503);
    let busy = get(&upstream, "f").await;
    assert_eq!(busy.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(busy.headers()["retry-after"], "7");
    assert_eq!(get(&upstream, "f").await.status(), 200);
    upstream.plan("*", Fault::Status(500));
    assert_eq!(get(&upstream, "f").await.status(), 500);
    upstream.heal("*");
    assert_eq!(get(&upstream, "f").await.status(), 200);
}

#[tokio::test]
async fn redirects() {
    let upstream = upstream().await.fault("there", Fault::Redirect("/f".into())).fault("loop", Fault::RedirectLoop);
    assert_eq!(drain(get(&upstream, "there").await).await.0.len() as u64, SIZE);
    let client = client().build().unwrap();
    let error = client.get(upstream.url("loop")).send().await.unwrap_err();
    assert!(error.is_redirect());
    assert_eq!(upstream.hits("loop"), 6);
}

#[tokio::test]
async fn lengths_that_lie() {
    let upstream = upstream().await.fault("f", Fault::LyingLength(5));
    let response = get(&upstream, "f").await;
    assert_eq!(response.content_length(), Some(SIZE + 5));
    let (bytes, well) = drain(response).await;
    assert_eq!((bytes.len() as u64, well), (SIZE, false));
    upstream.heal("f");
    upstream.plan("f", Fault::LyingLength(-5));
    let (bytes, well) = drain(get(&upstream, "f").await).await;
    assert_eq!((bytes.len() as u64, well), (SIZE - 5, true));
    upstream.heal("f");
    upstream.plan("f", Fault::NoLength);
    let response = get(&upstream, "f").await;
    assert_eq!(response.content_length(), None);
    assert_eq!(drain(response).await.0.len() as u64, SIZE);
}

#[tokio::test]
async fn ranges_refused_and_wrong() {
    let upstream = upstream().await.fault("f", Fault::NoRange);
    let response = get_range(&upstream, "f", "bytes=5-").await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("accept-ranges"));
    assert_eq!(drain(response).await.0.len() as u64, SIZE);
    upstream.heal("f");
    upstream.plan("f", Fault::WrongRange(3));
    let response = get_range(&upstream, "f", "bytes=5-8").await;
    assert_eq!(response.headers()["content-range"], "bytes 8-11/300000");
    assert_eq!(response.bytes().await.unwrap(), blob().read(8, 4));
}

#[tokio::test]
async fn etags() {
    let upstream = upstream().await;
    let tag = |response: Response| {
        let tag = response.headers().get("etag");
        tag.map(|tag| tag.to_str().unwrap().to_owned())
    };
    let strong = tag(get(&upstream, "f").await).unwrap();
    upstream.plan("f", Fault::WeakEtag);
    assert_eq!(tag(get(&upstream, "f").await).unwrap(), format!("W/{strong}"));
    upstream.heal("f");
    upstream.plan("f", Fault::NoEtag);
    assert_eq!(tag(get(&upstream, "f").await), None);
}

#[tokio::test]
async fn gzip_comes_uncalled() {
    let upstream = upstream().await.fault("f", Fault::Gzip);
    let response = get(&upstream, "f").await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap()[..2], [0x1f, 0x8b]);
}

#[tokio::test]
async fn slow_bytes_take_their_time() {
    let upstream = Upstream::start().await.file("f", Blob::repeated(b'x', 100));
    upstream.plan("f", Fault::SlowBytes(1000));
    let start = std::time::Instant::now();
    let (bytes, well) = drain(get(&upstream, "f").await).await;
    assert_eq!((bytes.len(), well), (100, true));
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn credentials() {
    let upstream = upstream().await.require_basic("me", "s3cret").require_header("x-token", "t");
    let client = client().build().unwrap();
    let request = || client.get(upstream.url("f"));
    assert_eq!(request().send().await.unwrap().status(), 401);
    let request = || client.get(upstream.url("f")).basic_auth("me", Some("s3cret"));
    assert_eq!(request().send().await.unwrap().status(), 403);
    let request = request().header("x-token", "t");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = upstream.requests();
    assert_eq!(seen[2].header("authorization"), Some("Basic bWU6czNjcmV0"));
}

#[tokio::test]
async fn tls_with_and_without_trust_and_certificate() {
    let upstream = Upstream::start_mutual_tls().await.file("f", "x");
    let ca = upstream.authority().unwrap().certificate();
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    let identity = upstream.client().unwrap();
    let pem = format!("{}{}", identity.certificate, identity.key);
    let identity = reqwest::Identity::from_pem(pem.as_bytes()).unwrap();
    let url = upstream.url("f");
    assert!(url.starts_with("https://"));

    let stranger = client().build().unwrap();
    assert!(stranger.get(&url).send().await.is_err());
    let trusting = client().tls_certs_only([ca.clone()]).build().unwrap();
    assert!(trusting.get(&url).send().await.is_err());
    assert_eq!(upstream.hits("f"), 0);
    let both = client().tls_certs_only([ca]).identity(identity).build().unwrap();
    assert_eq!(both.get(&url).send().await.unwrap().status(), 200);
    assert!(upstream.requests()[0].client_certificate);
}

#[tokio::test]
async fn stops_and_refuses() {
    let mut upstream = upstream().await;
    let client = client().build().unwrap();
    let url = upstream.url("f");
    drain(client.get(&url).send().await.unwrap()).await;
    upstream.stop().await;
    let error = client.get(&url).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn a_gigabyte_takes_no_memory() {
    let upstream = Upstream::start().await.file("f", Blob::repeated(b'a', 1 << 30));
    let mut response = get(&upstream, "f").await;
    assert_eq!(response.content_length(), Some(1 << 30));
    assert!(!response.chunk().await.unwrap().unwrap().is_empty());
    drop(response);
    assert!(upstream.bytes_sent("f") < 1 << 26);
}
