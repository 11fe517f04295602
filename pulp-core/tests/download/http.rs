//! One request to one source.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{HeaderValue, StatusCode, header};
use pulp_core::crypto::Secret;
use pulp_core::download::{
    ByteRange, DeniedNetworks, Download, DownloadError, DownloadRequest, Downloader as _, Downloaders, FileDownloader, HostLimits, Hosts,
    HttpDownloader, RemoteOptions, TimeoutKind,
};
use pulp_testkit::{Blob, Fault, Proxy, Upstream};

use crate::world::{impatient, request};

async fn get(options: &RemoteOptions, request: DownloadRequest) -> Result<Download, DownloadError> {
    HttpDownloader::new(options)?.get(request).await
}

async fn fetch(options: &RemoteOptions, upstream: &Upstream, path: &str) -> Result<Bytes, DownloadError> {
    body(get(options, request(upstream, path)).await?).await
}

async fn body(download: Download) -> Result<Bytes, DownloadError> {
    let chunks: Vec<Bytes> = download.body.try_collect().await?;
    Ok(chunks.concat().into())
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.to_owned()))
}

fn options(change: impl FnOnce(&mut RemoteOptions)) -> RemoteOptions {
    let mut options = RemoteOptions::default();
    change(&mut options);
    options
}

#[tokio::test]
async fn a_file_comes_with_what_is_known_of_it() {
    let upstream = Upstream::start().await.file("a/b c%2f.txt", "hello");
    let download = get(&RemoteOptions::default(), request(&upstream, "a/b c%2f.txt")).await.unwrap();
    assert_eq!(download.status, StatusCode::OK);
    assert_eq!((download.offset, download.content_length, download.complete_length), (0, Some(5), Some(5)));
    assert_eq!(download.validator.as_ref().map(|v| v.header()), download.headers.get(header::ETAG));
    assert_eq!(body(download).await.unwrap(), "hello");
    let seen = &upstream.requests()[0];
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert!(seen.header("user-agent").unwrap().starts_with("pulp/"));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn a_part_is_asked_for_and_given() {
    let upstream = Upstream::start().await.file("a", "0123456789");
    let options = RemoteOptions::default();
    let validator = get(&options, request(&upstream, "a")).await.unwrap().validator;
    let range = ByteRange { start: 3, end: Some(6) };
    let part = get(&options, request(&upstream, "a").range(range, validator.clone())).await.unwrap();
    assert_eq!((part.status, part.offset), (StatusCode::PARTIAL_CONTENT, 3));
    assert_eq!((part.content_length, part.complete_length), (Some(3), Some(10)));
    assert_eq!(body(part).await.unwrap(), "345");

    upstream.put("a", "changed!");
    let whole = get(&options, request(&upstream, "a").range(range, validator)).await.unwrap();
    assert_eq!((whole.status, whole.offset), (StatusCode::OK, 0));
    assert_eq!(body(whole).await.unwrap(), "changed!");

    let beyond = get(&options, request(&upstream, "a").range(ByteRange::from(100), None)).await.unwrap_err();
    assert!(matches!(beyond, DownloadError::RangeNotSatisfiable { .. }), "{beyond}");
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_refused() {
    let upstream = Upstream::start().await.file("a", "0123456789").fault("a", Fault::WrongRange(2));
    let asked = request(&upstream, "a").range(ByteRange::from(3), None);
    let error = get(&RemoteOptions::default(), asked).await.unwrap_err();
    assert!(matches!(error, DownloadError::Interrupted { .. }), "{error}");
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let upstream = Upstream::start().await.file("a", "hello");
    let options = RemoteOptions::default();
    let first = get(&options, request(&upstream, "a")).await.unwrap();
    let mut again = request(&upstream, "a");
    again.if_none_match = first.headers.get(header::ETAG).cloned();
    let second = get(&options, again).await.unwrap();
    assert!(second.not_modified());
    assert_eq!(body(second).await.unwrap(), "");
}

#[tokio::test]
async fn refusals_have_their_meaning() {
    let upstream = Upstream::start().await.file("a", "hello");
    let ask = async |status| {
        upstream.plan("a", Fault::Status(status).once());
        fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err()
    };
    for status in [404, 410] {
        assert!(matches!(ask(status).await, DownloadError::NotFound { .. }));
    }
    assert!(matches!(ask(401).await, DownloadError::Unauthorized { .. }));
    assert!(matches!(ask(403).await, DownloadError::Forbidden { .. }));
    for (status, transient) in [(400, false), (418, false), (429, true), (500, true), (502, true), (503, true), (504, true), (501, false)] {
        let error = ask(status).await;
        assert!(matches!(&error, DownloadError::Status { status: seen, .. } if seen.as_u16() == status), "{error}");
        assert_eq!(error.is_transient(), transient, "{error}");
    }
    assert_eq!(fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap(), "hello");
}

#[tokio::test]
async fn retry_after_is_read() {
    let upstream = Upstream::start().await.fault("a", Fault::TooManyRequests { retry_after: Some(17) });
    let error = fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn credentials_and_headers_are_sent() {
    let upstream = Upstream::start().await.file("a", "hello").require_basic("joe", "pa:ss").require_header("x-token", "t");
    let error = fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Unauthorized { .. } | DownloadError::Forbidden { .. }), "{error}");
    let known = options(|o| {
        o.username = secret("joe");
        o.password = secret("pa:ss");
        o.headers = vec![("X-Token".to_owned(), Secret::new("t".to_owned()))];
    });
    assert_eq!(fetch(&known, &upstream, "a").await.unwrap(), "hello");
}

#[tokio::test]
async fn credentials_in_the_url_are_sent_and_not_shown() {
    let upstream = Upstream::start().await.file("a", "hello").require_basic("joe", "hunter2");
    let with = |path: &str| {
        let url = upstream.url(path).replace("http://", "http://joe:hunter2@");
        DownloadRequest::new(url.parse().unwrap())
    };
    let download = get(&RemoteOptions::default(), with("a")).await.unwrap();
    assert!(!format!("{download:?}").contains("hunter2"));
    assert_eq!(body(download).await.unwrap(), "hello");
    let error = get(&RemoteOptions::default(), with("missing")).await.unwrap_err();
    assert!(matches!(error, DownloadError::NotFound { .. }));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2") && shown.contains("/missing"), "{shown}");
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let upstream = Upstream::start()
        .await
        .file("end", "hello")
        .fault("start", Fault::Redirect("/middle".to_owned()))
        .fault("middle", Fault::Redirect("end".to_owned()))
        .fault("loop", Fault::RedirectLoop);
    let download = get(&RemoteOptions::default(), request(&upstream, "start")).await.unwrap();
    assert_eq!(download.url.as_str(), upstream.url("end"));
    assert_eq!(body(download).await.unwrap(), "hello");
    let error = fetch(&RemoteOptions::default(), &upstream, "loop").await.unwrap_err();
    assert!(matches!(error, DownloadError::TooManyRedirects { limit: 10, .. }), "{error}");
    assert_eq!(upstream.hits("loop"), 11);
}

#[tokio::test]
async fn redirects_never_leave_the_network() {
    for target in ["file:///etc/passwd", "ftp://example.com/", "http://", "data:,x"] {
        let upstream = Upstream::start().await.fault("a", Fault::Redirect(target.to_owned()));
        let all = Downloaders::new(&RemoteOptions::default(), FileDownloader::new(["/".into()])).unwrap();
        let error = all.get(request(&upstream, "a")).await.unwrap_err();
        assert!(matches!(error, DownloadError::InvalidUrl { .. }), "{target}: {error}");
    }
}

/// Refused for the network that this host lies in; the error names it, the setting, and no address of a name.
fn denied(error: &DownloadError, host: &str) {
    assert!(matches!(error, DownloadError::DeniedNetwork { .. }) && !error.is_transient(), "{error}");
    let said = format!("{host} is in a network that the setting remote_denied_networks denies");
    assert!(error.to_string().ends_with(&said), "{error}");
}

#[tokio::test]
async fn denied_networks_are_not_connected_to() {
    let upstream = Upstream::start().await.file("a", "hello");
    let port = upstream.url("").parse::<url::Url>().unwrap().port().unwrap();
    let denying = |networks: &[&str]| options(|o| o.denied_networks = DeniedNetworks::parse(networks).unwrap());
    for (host, shown) in [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("2130706433", "127.0.0.1"),
        ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        ("[::1]", "[::1]"),
    ] {
        let asked = DownloadRequest::new(format!("http://{host}:{port}/a").parse().unwrap());
        let error = HttpDownloader::new(&denying(&["private"])).unwrap().get(asked).await.unwrap_err();
        denied(&error, shown);
    }
    assert_eq!(upstream.requests().len(), 0);
    // Others are reached, by their names, too.
    for host in ["127.0.0.1", "localhost"] {
        let asked = DownloadRequest::new(format!("http://{host}:{port}/a").parse().unwrap());
        let got = HttpDownloader::new(&denying(&["10.0.0.0/8", "127.0.0.2", "::1"])).unwrap().get(asked).await;
        assert_eq!(got.unwrap().status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_no_denied_network() {
    let port = 9;
    for (target, shown) in [(format!("http://127.0.0.2:{port}/"), "127.0.0.2"), (format!("http://[::1]:{port}/"), "[::1]")] {
        let upstream = Upstream::start().await.fault("a", Fault::Redirect(target));
        let options = options(|o| o.denied_networks = DeniedNetworks::parse(&["127.0.0.2/31", "::1"]).unwrap());
        denied(&fetch(&options, &upstream, "a").await.unwrap_err(), shown);
    }
}

#[tokio::test]
async fn a_proxy_lies_in_no_denied_network() {
    let upstream = Upstream::start().await.file("a", "hello");
    let proxy = Proxy::start().await;
    let through = |host: &str| {
        options(|o| {
            o.proxy_url = secret(&proxy.url().replace("127.0.0.1", host));
            o.denied_networks = DeniedNetworks::parse(&["private"]).unwrap();
        })
    };
    let error = HttpDownloader::new(&through("127.0.0.1")).unwrap_err().to_string();
    assert!(error.starts_with("proxy_url: 127.0.0.1 is in a network"), "{error}");
    let asked = DownloadRequest::new("http://upstream.example/a".parse().unwrap());
    denied(&HttpDownloader::new(&through("localhost")).unwrap().get(asked).await.unwrap_err(), "localhost");
    assert_eq!((proxy.forwarded(), upstream.requests().len()), (0, 0));
}

#[tokio::test]
async fn credentials_stay_with_the_origin_that_was_asked() {
    let elsewhere = Upstream::start().await.file("a", "hello");
    let upstream = Upstream::start()
        .await
        .file("here", "here")
        .require_basic("joe", "hunter2")
        .fault("near", Fault::Redirect("/here".to_owned()))
        .fault("far", Fault::Redirect(elsewhere.url("a")));
    let options = options(|o| {
        o.username = secret("joe");
        o.password = secret("hunter2");
        o.headers = vec![("X-Token".to_owned(), Secret::new("t".to_owned())), ("Accept-Language".to_owned(), Secret::new("en".to_owned()))];
    });
    assert_eq!(fetch(&options, &upstream, "near").await.unwrap(), "here");
    assert_eq!(fetch(&options, &upstream, "far").await.unwrap(), "hello");
    let seen = &elsewhere.requests()[0];
    assert_eq!((seen.header("authorization"), seen.header("x-token")), (None, None));
    assert_eq!(seen.header("accept-language"), Some("en"));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_by_its_length() {
    let upstream = Upstream::start().await.file("a", Blob::seeded(1, 100_000)).fault("a", Fault::CutAt(70_000));
    let error = fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Truncated { expected: Some(100_000), got: 70_000, .. }), "{error}");
    upstream.heal("a");
    upstream.plan("a", Fault::LyingLength(5));
    let error = fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Truncated { expected: Some(100_005), got: 100_000, .. }), "{error}");
}

#[tokio::test]
async fn a_chunked_body_that_breaks_off_is_noticed_too() {
    let upstream = Upstream::start().await.file("a", Blob::seeded(1, 100_000)).fault("a", Fault::NoLength).fault("a", Fault::CutAt(70_000));
    let download = get(&RemoteOptions::default(), request(&upstream, "a")).await.unwrap();
    assert_eq!(download.content_length, None);
    let error = body(download).await.unwrap_err();
    assert!(matches!(error, DownloadError::Truncated { expected: None, .. }), "{error}");
}

#[tokio::test]
async fn silence_and_slowness_have_their_limits() {
    let silence = Fault::Stall { after: 10, lasting: Duration::from_secs(5) };
    let upstream = Upstream::start().await.file("a", Blob::seeded(1, 1000)).fault("a", silence);
    let error = fetch(&impatient(), &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Timeout { kind: TimeoutKind::Read, .. }), "{error}");
    assert!(error.to_string().contains("sock_read_timeout"), "{error}");

    let slow = Upstream::start().await.file("a", Blob::seeded(1, 5_000)).fault("a", Fault::SlowBytes(1000));
    let hasty = options(|o| o.timeouts.total = Some(Duration::from_millis(200)));
    let error = fetch(&hasty, &slow, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Timeout { kind: TimeoutKind::Total, .. }), "{error}");
}

#[tokio::test]
async fn a_source_that_is_not_there_cannot_be_connected() {
    let mut upstream = Upstream::start().await;
    upstream.stop().await;
    let error = fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Connect { .. }) && error.is_transient(), "{error}");
    let nowhere = DownloadRequest::new("http://name.invalid/a".parse().unwrap());
    let error = get(&RemoteOptions::default(), nowhere).await.unwrap_err();
    assert!(matches!(error, DownloadError::Connect { .. }), "{error}");
    let upstream = Upstream::start().await.file("a", "x").fault("a", Fault::Hangup);
    let error = fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Interrupted { .. }) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn urls_of_other_schemes_are_refused() {
    let ask = DownloadRequest::new("ftp://example.com/a".parse().unwrap());
    let error = get(&RemoteOptions::default(), ask.clone()).await.unwrap_err();
    assert!(matches!(error, DownloadError::InvalidUrl { .. }), "{error}");
    let all = Downloaders::new(&RemoteOptions::default(), FileDownloader::default()).unwrap();
    assert!(matches!(all.get(ask).await, Err(DownloadError::InvalidUrl { .. })));
}

#[tokio::test]
async fn certificates_are_checked() {
    let upstream = Upstream::start_https().await.file("a", "hello");
    let error = fetch(&RemoteOptions::default(), &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Tls { .. }) && !error.is_transient(), "{error}");

    let ca = upstream.authority().unwrap().certificate();
    let trusting = options(|o| o.ca_cert = Some(ca));
    assert_eq!(fetch(&trusting, &upstream, "a").await.unwrap(), "hello");
    let other = options(|o| o.ca_cert = Some(pulp_testkit::Authority::new().certificate()));
    let error = fetch(&other, &upstream, "a").await.unwrap_err();
    assert!(matches!(error, DownloadError::Tls { .. }), "{error}");
    let careless = options(|o| o.tls_validation = false);
    assert_eq!(fetch(&careless, &upstream, "a").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let upstream = Upstream::start_mutual_tls().await.file("a", "hello");
    let ca = upstream.authority().unwrap().certificate();
    let client = upstream.client().unwrap();
    let nobody = options(|o| o.ca_cert = Some(ca.clone()));
    fetch(&nobody, &upstream, "a").await.unwrap_err();
    let known = options(|o| {
        o.ca_cert = Some(ca.clone());
        o.client_cert = Some(client.certificate.clone());
        o.client_key = secret(&client.key);
    });
    assert_eq!(fetch(&known, &upstream, "a").await.unwrap(), "hello");
    let joined = options(|o| {
        o.ca_cert = Some(ca.clone());
        o.client_cert = Some(format!("{}{}", client.certificate, client.key));
    });
    assert_eq!(fetch(&joined, &upstream, "a").await.unwrap(), "hello");
    assert!(upstream.requests().iter().all(|seen| seen.client_certificate));
    let mixed = options(|o| {
        o.client_cert = Some(client.certificate.clone());
        o.client_key = secret(&pulp_testkit::Authority::new().client("other").key);
    });
    let error = HttpDownloader::new(&mixed).unwrap_err();
    assert!(matches!(error, DownloadError::InvalidOption { field: "client_key", .. }), "{error}");
}

#[tokio::test]
async fn a_proxy_forwards_and_tunnels() {
    let plain = Upstream::start().await.file("a", "hello");
    let secure = Upstream::start_https().await.file("a", "hello");
    let proxy = Proxy::start_with_basic("joe", "hunter2").await;
    let through = |password: &str| {
        options(|o| {
            o.ca_cert = Some(secure.authority().unwrap().certificate());
            o.proxy_url = secret(&proxy.url());
            o.proxy_username = secret("joe");
            o.proxy_password = secret(password);
        })
    };
    assert_eq!(fetch(&through("hunter2"), &plain, "a").await.unwrap(), "hello");
    assert_eq!(fetch(&through("hunter2"), &secure, "a").await.unwrap(), "hello");
    assert_eq!((proxy.forwarded(), proxy.tunnels()), (1, 1));
    // The proxy's credentials are none of the source's business.
    assert_eq!(plain.requests()[0].header("proxy-authorization"), None);
    assert_eq!(secure.requests()[0].header("proxy-authorization"), None);
    for upstream in [&plain, &secure] {
        let error = fetch(&through("wrong"), upstream, "a").await.unwrap_err();
        assert!(matches!(error, DownloadError::Proxy { .. }) && !error.is_transient(), "{error}");
        assert!(error.to_string().contains("Proxy Authentication Required"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_may_speak_tls() {
    let plain = Upstream::start().await.file("a", "hello");
    let secure = Upstream::start_https().await.file("a", "hello");
    let proxy = Proxy::start_https().await;
    let through = options(|o| {
        let authorities = [secure.authority(), proxy.authority()];
        o.ca_cert = Some(authorities.map(|authority| authority.unwrap().certificate()).concat());
        o.proxy_url = secret(&proxy.url());
    });
    assert_eq!(fetch(&through, &plain, "a").await.unwrap(), "hello");
    assert_eq!(fetch(&through, &secure, "a").await.unwrap(), "hello");
    assert_eq!((proxy.forwarded(), proxy.tunnels()), (1, 1));
}

#[tokio::test]
async fn headers_of_a_request_win_over_those_of_the_remote() {
    let upstream = Upstream::start().await.file("a", "hello").require_header("x-token", "mine");
    let options = options(|o| o.headers = vec![("x-token".to_owned(), Secret::new("remote".to_owned()))]);
    let name = header::HeaderName::from_static("x-token");
    let asked = request(&upstream, "a").header(name, HeaderValue::from_static("mine"));
    assert_eq!(body(get(&options, asked).await.unwrap()).await.unwrap(), "hello");
}

#[tokio::test]
async fn no_more_connections_than_the_remote_allows() {
    let upstream = Upstream::start().await.file("a", "x").fault("a", Fault::HoldAt(0));
    let remote = HttpDownloader::new(&options(|o| o.download_concurrency = Some(2))).unwrap();
    let held = [remote.get(request(&upstream, "a")).await.unwrap(), remote.get(request(&upstream, "a")).await.unwrap()];
    let mut third = Box::pin(remote.get(request(&upstream, "a")));
    assert!(futures::poll!(&mut third).is_pending());
    upstream.release();
    for download in held {
        assert_eq!(body(download).await.unwrap(), "x");
    }
    assert_eq!(body(third.await.unwrap()).await.unwrap(), "x");
    assert_eq!(upstream.hits("a"), 3);
}

#[tokio::test]
async fn a_host_has_as_many_requests_at_a_time_as_it_may_have() {
    let upstream = Upstream::start().await.file("a", "aa").file("b", "bb").fault("a", Fault::HoldAt(1));
    let hosts = Hosts::new(HostLimits::new(1, 0));
    // Two remotes of one host.
    let (one, other) = (options(|o| o.hosts = hosts.clone()), options(|o| o.hosts = hosts.clone()));
    let held = get(&one, request(&upstream, "a")).await.unwrap();
    let next = tokio::spawn({
        let asked = request(&upstream, "b");
        async move { body(get(&other, asked).await?).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(upstream.hits("b"), 0, "while one is on its way the other waits");
    upstream.release();
    assert_eq!(body(held).await.unwrap(), "aa");
    assert_eq!(next.await.unwrap().unwrap(), "bb");
}

#[tokio::test]
async fn a_host_that_broke_off_ten_times_is_left_alone_for_a_second() {
    let upstream = Upstream::start().await.file("a", "hello").fault("a", Fault::CutAt(2).times(10));
    let options = RemoteOptions::default();
    for _ in 0..10 {
        assert!(matches!(fetch(&options, &upstream, "a").await, Err(DownloadError::Truncated { .. })));
    }
    assert_eq!(options.hosts.in_trouble(), 1);
    let began = std::time::Instant::now();
    assert_eq!(fetch(&options, &upstream, "a").await.unwrap(), "hello");
    assert!(began.elapsed() >= Duration::from_millis(900), "who can wait does: {:?}", began.elapsed());
    assert_eq!(options.hosts.in_trouble(), 0);
}
