//! nginx, caching, in front: what it holds costs the server nothing, and a new publication gets through. Skipped where there is no nginx.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pulp_testkit::{Blob, Engine, Program, Upstream};
use serde_json::json;

/// After this the proxy asks before it uses a file: it was told a second, and counts in whole ones.
const KEPT: Duration = Duration::from_millis(2_100);

struct Nginx {
    child: Child,
    dir: tempfile::TempDir,
    address: SocketAddr,
}

/// One line of its log: how the cache fared, and how many bytes came from the server behind it.
#[derive(Debug, PartialEq)]
struct Seen {
    cache: String,
    status: String,
    origin_body: u64,
}

impl Nginx {
    fn start(origin: &str) -> Option<Self> {
        if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
            // Not by eprintln!, which the harness hides when a test passes.
            let _ = std::io::stderr().write_all(b"there is no nginx: a test of a caching proxy is skipped\n");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let at = dir.path().display();
        let config = format!(
            "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log; events {{ worker_connections 64; }}\n\
             http {{\n\
             client_body_temp_path {at}/b; proxy_temp_path {at}/t; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             proxy_cache_path {at}/cache keys_zone=pulp:1m;\n\
             log_format seen '$upstream_cache_status $upstream_status $upstream_bytes_received $upstream_http_content_length';\n\
             server {{ listen {address}; access_log {at}/access.log seen; location / {{ proxy_pass {origin}; proxy_cache pulp; \
             proxy_cache_revalidate on; proxy_cache_lock on; }} }}\n\
             }}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let child = Command::new("nginx").arg("-p").arg(dir.path()).arg("-c").arg(dir.path().join("nginx.conf")).spawn().unwrap();
        let nginx = Self { child, dir, address };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                return Some(nginx);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nginx did not start: {}", std::fs::read_to_string(nginx.dir.path().join("error.log")).unwrap_or_default());
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// What it said of the last request.
    async fn last(&self, requests: usize) -> Seen {
        loop {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            if log.lines().count() >= requests {
                let fields: Vec<&str> = log.lines().nth(requests - 1).unwrap().split(' ').collect();
                let body = if fields[1] == "200" { fields[3].parse().unwrap_or(0) } else { 0 };
                return Seen { cache: fields[0].to_owned(), status: fields[1].to_owned(), origin_body: body };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_client_costs_nothing_and_a_new_publication_is_seen() {
    let program = Program::new(env!("CARGO_BIN_EXE_pulp-server"), Engine::Sqlite).await.unwrap();
    let program = program.setting("content_cache_control", r#"{"isos" = "public, max-age=1"}"#);
    let process = program.start().await;
    let Some(nginx) = Nginx::start(process.client().base_url()) else { return };
    let (old, new) = (Blob::seeded(1, 300_000), Blob::seeded(2, 200_000));
    let upstream = Upstream::start().await.file("a.iso", old.clone()).manifest();
    let client = process.client();
    let world = client.file_repo("isos").autopublish().remote(&upstream).policy("on_demand").sync().distribute().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let path = world.path("a.iso");
    let url = format!("http://{}{}", nginx.address, &path[path.find("/pulp/content/").unwrap()..]);
    let get = async || http.get(&url).send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
    let seen = |cache: &str, status: &str, origin_body| Seen { cache: cache.to_owned(), status: status.to_owned(), origin_body };

    assert_eq!(get().await, old.to_bytes());
    // It came lazily, and has its validators only now.
    assert_eq!(nginx.last(1).await, seen("MISS", "200", 300_000));
    tokio::time::sleep(KEPT).await;
    assert_eq!(get().await, old.to_bytes());
    let first = nginx.last(2).await;
    assert!(first.cache == "EXPIRED" || first.cache == "REVALIDATED", "{first:?}");
    assert_eq!(get().await, old.to_bytes());
    assert_eq!(nginx.last(3).await, seen("HIT", "-", 0), "within the second nothing is asked");
    tokio::time::sleep(KEPT).await;
    assert_eq!(get().await, old.to_bytes());
    assert_eq!(nginx.last(4).await, seen("REVALIDATED", "304", 0), "then it is asked, and not sent");

    upstream.put("a.iso", new.clone());
    upstream.write_manifest();
    client.wait(client.post(&format!("{}sync/", world.href()), json!({})).await).await;
    tokio::time::sleep(KEPT).await;
    assert_eq!(get().await, new.to_bytes(), "a new publication is seen");
    assert_eq!(nginx.last(5).await, seen("EXPIRED", "200", 200_000));
}
