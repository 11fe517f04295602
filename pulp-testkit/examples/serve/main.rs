//! How fast a server serves, beside nginx on the same files, in turns, with what it costs.
//!
//! ```text
//! cargo build --release -p pulp-server
//! cargo run --release -p pulp-testkit --example serve -- --server target/release/pulp-server
//! ```
//!
//! `stored` (4 KiB to 100 MiB, 32 connections that stay open, through distribution, content guard and conditions), `lazy` (one cold file of
//! 100 MiB, by one client and by fifty); both without a word. `--pulp URL` takes another content app along, which must serve the files of
//! `--files DIR` there.
//!
//! Only ratios within one run count, and processor time. nginx and the server run in this session, so that the scheduler treats them alike.

mod lazy;
mod load;
mod nginx;
mod ours;
mod stored;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use pulp_testkit::Blob;

/// What was asked for.
pub struct Options {
    /// The program.
    pub server: PathBuf,
    /// The program that it is compared with.
    pub nginx: PathBuf,
    /// Where the files lie.
    pub files: PathBuf,
    /// The URL below which another content app serves them.
    pub pulp: Option<String>,
    /// How often each has its turn.
    pub rounds: usize,
    /// How long a turn is.
    pub time: Duration,
    /// How many connections ask at once.
    pub connections: usize,
    /// The one part that is wanted.
    pub only: Option<String>,
    /// The one size of files that is wanted, in bytes.
    pub size: Option<u64>,
}

impl Options {
    /// Writes files, and the manifest that names them.
    pub fn write(&self, files: &[(String, Blob)]) {
        let mut manifest = String::new();
        for (name, blob) in files {
            blob.write_to(&self.files.join(name)).expect("room for the files");
            manifest.push_str(&blob.manifest_line(name));
        }
        std::fs::write(self.files.join("PULP_MANIFEST"), manifest).expect("a manifest");
    }
}

fn options() -> Options {
    let mut options = Options {
        server: "target/release/pulp-server".into(),
        nginx: "nginx".into(),
        files: std::env::temp_dir().join(format!("serve-{}", std::process::id())),
        pulp: None,
        rounds: 5,
        time: Duration::from_secs(3),
        connections: 32,
        only: None,
        size: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--server" => options.server = value().into(),
            "--nginx" => options.nginx = value().into(),
            "--files" => options.files = value().into(),
            "--pulp" => options.pulp = Some(value()),
            "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
            "--seconds" => options.time = Duration::from_secs_f64(value().parse().expect("a number of seconds")),
            "--connections" => options.connections = value().parse().expect("a number of connections"),
            "--size" => options.size = Some(value().parse().expect("a size in bytes")),
            "stored" | "lazy" => options.only = Some(word),
            other => panic!("what is {other}?"),
        }
    }
    options
}

fn main() {
    let options = options();
    std::fs::create_dir_all(&options.files).expect("a directory for the files");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("stored") {
        stored::run(&runtime, &options);
    }
    if wanted("lazy") {
        lazy::run(&runtime, &options);
    }
}
