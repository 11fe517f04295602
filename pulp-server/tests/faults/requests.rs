//! Requests that are none, and such as are too large: each gets its answer, and the server keeps its memory.

use std::time::{Duration, Instant};

use http::Method;
use pulp_testkit::{Blob, Engine, Prepare, Upstream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::Server;

const MIB: u64 = 1 << 20;

/// What comes back for these bytes.
async fn answer(url: &str, bytes: &[u8]) -> String {
    let mut tcp = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    // It may hang up before it has read all.
    let _ = tcp.write_all(bytes).await;
    let mut all = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut all)).await;
    String::from_utf8_lossy(&all).into_owned()
}

async fn first_line(url: &str, bytes: &[u8]) -> String {
    answer(url, bytes).await.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_headers_are_written_as_pulp_writes_them() {
    let server = Server::prepare(Engine::Sqlite).await.unwrap();
    let process = server.start().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into_bytes();
    let status = answer(process.client().base_url(), &get("/pulp/api/v3/status/")).await;
    assert!(status.contains("\r\nCorrelation-ID: ") && status.contains("\r\nContent-Type: "), "{status}");
    let refused = answer(process.client().base_url(), &get("/pulp/api/v3/tasks/")).await;
    assert!(refused.contains("\r\nWWW-Authenticate: "), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_none_or_too_large_are_answered() {
    let server = Server::prepare(Engine::Sqlite).await.unwrap().0.setting("header_read_timeout", 1);
    let mut process = server.start().await;
    let client = process.client();
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes();
    let many: String = (0..300).map(|number| format!("x-{number}: 1\r\n")).collect();
    let large = |bytes: usize| format!("x-large: {}\r\n", "x".repeat(bytes));
    for (request, status) in [
        (b"nonsense\r\n\r\n".to_vec(), "HTTP/1.1 400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), "HTTP/1.1 400 Bad Request"),
        (get("/pulp/api/v3/sta\0tus/", ""), "HTTP/1.1 400 Bad Request"),
        (get("/pulp/api/v3/status/", "content-length: x\r\n"), "HTTP/1.1 400 Bad Request"),
        (get("/pulp/api/v3/status/", "x: a\0b\r\n"), "HTTP/1.1 400 Bad Request"),
        (get("/pulp/api/v3/status/", &many), "HTTP/1.1 431 Request Header Fields Too Large"),
        (get("/pulp/api/v3/status/", &large(300_000)), "HTTP/1.1 431 Request Header Fields Too Large"),
        (get(&format!("/pulp/api/v3/status/?{}", "x".repeat(100_000)), ""), "HTTP/1.1 414 URI Too Long"),
        (get("/pulp/api/v3/status/", &format!("connection: close\r\n{}", large(16_000))), "HTTP/1.1 200 OK"),
    ] {
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        assert_eq!(first_line(client.base_url(), &request).await, status, "{shown:?}");
    }
    // A head that does not come to its end does not keep its connection.
    let begun = Instant::now();
    first_line(client.base_url(), b"GET /pulp/api/v3/status/ HTTP/1.1\r\n").await;
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(process.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_takes_neither_memory_nor_the_answer() {
    let server = Server::prepare(Engine::Sqlite).await.unwrap();
    let process = server.start().await;
    let client = process.client();
    client.get("status/").await;
    let before = process.peak_memory();
    for _ in 0..3 {
        let large = vec![b' '; 48 << 20];
        let refused = client
            .send(client.request(Method::POST, "repositories/file/file/").header("content-type", "application/json").body(large))
            .await;
        assert_eq!(refused.with(413), json!({"detail": "the request body is larger than 16777216 bytes"}));
        // On the same connection: what was too much has been read.
        assert_eq!(client.try_get("status/").await.status, 200);
    }
    if let (Some(before), Some(after)) = (before, process.peak_memory()) {
        assert!(after < before + 32 * MIB, "{} MiB became {}", before / MIB, after / MIB);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_one_endless_line_takes_no_memory() {
    let server = Server::prepare(Engine::Sqlite).await.unwrap();
    let process = server.start().await;
    let client = process.client();
    let upstream = Upstream::start().await.file("PULP_MANIFEST", Blob::repeated(b'a', 1 << 30));
    let world = client.file_repo("isos").remote(&upstream).await;
    let before = process.peak_memory();
    let error = client.failure(client.post(&format!("{}sync/", world.href()), json!({})).await).await;
    let url = upstream.url("PULP_MANIFEST");
    assert_eq!(error, format!("{url}: this is no manifest: it has a line of more than 16384 bytes; check the url of the remote"));
    assert!(upstream.bytes_sent("PULP_MANIFEST") < 64 * MIB, "it is not fetched to its end");
    assert_eq!(server.unfinished(), [] as [std::path::PathBuf; 0]);
    if let (Some(before), Some(after)) = (before, process.peak_memory()) {
        assert!(after < before + 32 * MIB, "{} MiB became {}", before / MIB, after / MIB);
    }
}
