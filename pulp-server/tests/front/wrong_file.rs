//! A lazy file that is another than was announced, at every source there is.

use pulp_testkit::{Blob, Engine, Fault, Program, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// All that comes for a request, until the server closes the connection.
async fn answer(address: &str, path: &str, version: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(format!("GET {path} {version}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    tcp.read_to_end(&mut all).await.unwrap();
    String::from_utf8(all).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_answer_begins_and_is_cut_and_the_next_one_says_why() {
    let names = ["new.iso", "old.iso", "two.iso"];
    let upstream = Upstream::start().await;
    let upstream = names.iter().zip(1..).fold(upstream, |upstream, (name, seed)| upstream.file(name, Blob::seeded(seed, 1_000))).manifest();
    for name in names {
        upstream.plan(name, Fault::FlipByte(7));
    }
    let program = Program::new(env!("CARGO_BIN_EXE_pulp-server"), Engine::Sqlite).await.unwrap();
    let process = program.start().await;
    let world = process.client().file_repo("isos").remote(&upstream).policy("on_demand").sync().publish().distribute().await;
    let address = process.client().base_url().trim_start_matches("http://").to_owned();
    for (name, version, promise) in [(names[0], "HTTP/1.1", "transfer-encoding: chunked"), (names[1], "HTTP/1.0", "content-length: 1000")] {
        let path = world.path(name);
        let first = answer(&address, &path, version).await;
        let (head, body) = first.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {first:?}"));
        assert!(head.contains(" 200 OK") && head.contains(promise), "{head}");
        assert!(!head.contains("etag"), "{head}");
        assert_eq!(body, "", "neither a byte nor an end");
        let next = answer(&address, &path, version).await;
        assert!(next.contains(" 404 Not Found\r\n") && next.contains("gave wrong files"), "{next}");
    }
    // In HTTP/2, where a length is nothing that an end is known by, the stream is reset.
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{address}{}", world.path(names[2]));
    let first = client.get(&url).send().await.unwrap();
    assert_eq!((first.version(), first.status(), first.content_length()), (reqwest::Version::HTTP_2, 200.try_into().unwrap(), None));
    let error = first.bytes().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    let next = client.get(&url).send().await.unwrap();
    assert_eq!(next.status(), 404);
    assert!(next.text().await.unwrap().contains("gave wrong files"));
}
