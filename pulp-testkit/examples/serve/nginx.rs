//! nginx with two workers: static files, the same with `open_file_cache`, a proxy, a caching proxy with its lock.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::load::{Target, family};

pub struct Nginx {
    child: Child,
    pub plain: SocketAddr,
    pub cached: SocketAddr,
    pub proxy: SocketAddr,
    pub proxy_cache: SocketAddr,
    _dir: tempfile::TempDir,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

impl Nginx {
    pub fn start(binary: &Path, root: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let [plain, cached, proxy, proxy_cache] = [free(), free(), free(), free()];
        let at = dir.path().display();
        let config = format!(
            "daemon off; worker_processes 2; pid {at}/pid; error_log {at}/error.log; user root;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n\
             access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600s;\n\
             client_body_temp_path {at}/body; proxy_temp_path {at}/temp; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             proxy_cache_path {at}/cache keys_zone=files:10m max_size=20g inactive=60m use_temp_path=off;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             server {{ listen {plain} reuseport; root {root}; }}\n\
             server {{ listen {cached} reuseport; root {root}; open_file_cache max=1000 inactive=600s; open_file_cache_valid 600s; }}\n\
             server {{ listen {proxy} reuseport; location / {{ proxy_pass http://{plain}; }} }}\n\
             server {{ listen {proxy_cache} reuseport; location / {{ proxy_pass http://{plain}; proxy_cache files; proxy_cache_lock on; \
             proxy_cache_lock_timeout 600s; proxy_cache_lock_age 600s; proxy_cache_valid 200 1h; }} }}\n\
             }}\n",
            root = root.display()
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, config).expect("a configuration");
        let child = Command::new(binary)
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("nginx, which the packages of most systems have");
        let mut tries = 0;
        while TcpStream::connect(plain).is_err() {
            tries += 1;
            assert!(tries < 100, "nginx did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, plain, cached, proxy, proxy_cache, _dir: dir }
    }

    /// A file, as it is served.
    pub fn target(&self, file: &str) -> Target {
        Target::new("static", self.plain, &format!("/{file}"), "", &[])
    }

    pub fn pids(&self) -> Vec<u32> {
        family(self.child.id())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its workers along.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
