//! The server as a process of its own, which can be stopped and killed.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use pulp_core::clock::{Clock, SystemClock};
use pulp_core::crypto::password;
use pulp_core::model::User;
use pulp_migrations::{CERTGUARD, CORE, FILE};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Client;
use crate::database::{Engine, TestDatabase};

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user of every test server, and the password.
const USER: (&str, &str) = ("admin", "password");

/// How `unshare` gives a program mounts that nobody else sees: as root, and as somebody else.
const UNSHARE: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// Mounts a file system of `$1` bytes on the directory `$2`, with what was there, and becomes the rest.
const ON_SMALL_DISK: &str = r#"
size=$1 directory=$2; shift 2
mount -t tmpfs -o "size=$size" tmpfs /mnt
cp -a "$directory/." /mnt
mount --move /mnt "$directory"
exec "$@"
"#;

/// A server's program, its database and directory, and its settings. Each [start](Self::start) is another process on the same data.
#[derive(Debug)]
pub struct Program {
    binary: PathBuf,
    database: TestDatabase,
    settings: BTreeMap<String, String>,
    arguments: Vec<String>,
    small_disk: Option<SmallDisk>,
}

/// What one process of a program has for itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Launch {
    roles: Option<String>,
    database: Option<String>,
    directory: Option<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// A process like any other, with these roles: `api,content`.
    #[must_use]
    pub fn roles(roles: &str) -> Self {
        Self { roles: Some(roles.to_owned()), ..Self::default() }
    }

    /// Another way to the database.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = Some(url.into());
        self
    }

    /// A data directory of its own, below that of the program.
    #[must_use]
    pub fn directory(mut self, name: &str) -> Self {
        self.directory = Some(name.to_owned());
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A directory that is a file system of its own.
#[derive(Debug)]
struct SmallDisk {
    unshare: &'static [&'static str],
    directory: PathBuf,
    bytes: u64,
}

/// A running server. It is killed with its handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
    url: String,
    /// Kept open: who prints to a closed pipe fails.
    _said: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Program {
    /// A server on a new database, with a user that may do everything. `None` where the engine is not installed, and need not be.
    ///
    /// # Panics
    /// When the database cannot be made.
    pub async fn new(binary: impl Into<PathBuf>, engine: Engine) -> Option<Self> {
        Some(Self::on(binary, TestDatabase::migrated(engine, &[CORE, CERTGUARD, FILE]).await?).await)
    }

    /// The same on a PostgreSQL of its own, which the test may stop.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub async fn on_postgres_alone(binary: impl Into<PathBuf>) -> Option<Self> {
        Some(Self::on(binary, TestDatabase::alone(&[CORE, CERTGUARD, FILE]).await?).await)
    }

    /// The same on a database that the test has migrated.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub async fn on(binary: impl Into<PathBuf>, database: TestDatabase) -> Self {
        let db = database.open().await;
        // A cheap hash: what is tested is not how long a password takes.
        let hash = password::make(USER.1, 1_000).expect("a password hash");
        User::create_superuser(&db, USER.0, &hash, SystemClock.now()).await.expect("the first user");
        db.close().await;
        let binary = std::path::absolute(binary.into()).expect("the path of a binary");
        Self { binary, database, settings: BTreeMap::new(), arguments: Vec::new(), small_disk: None }
    }

    /// Sets a key of the configuration, for the processes that start from now on.
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.insert(format!("PULP_{}", key.to_ascii_uppercase()), value.to_string());
        self
    }

    /// What the binary is told before the flags of the server, where it is more than a server.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    /// Puts a directory below the data directory on a file system of its own, of so many bytes. It is there only for the process, see
    /// [`Process::inside`], and gone with it; what lies in the directory is copied. `None` where that is not permitted: it takes Linux,
    /// and root or namespaces for everybody.
    #[must_use]
    pub async fn small_disk(mut self, below: &str, bytes: u64) -> Option<Self> {
        let Some(unshare) = unshare().await else {
            // Not by eprintln!, which the harness hides when a test passes.
            let _ = std::io::stderr().write_all(b"file systems cannot be mounted here: a test of a full disk is skipped\n");
            return None;
        };
        let directory = self.dir().join(below);
        std::fs::create_dir_all(&directory).expect("a directory");
        self.small_disk = Some(SmallDisk { unshare, directory, bytes });
        Some(self)
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.database.dir()
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// A client of a server on this database, at another address, that is signed in as the user who may do everything.
    #[must_use]
    pub fn client(&self, url: &str) -> Client {
        Client::new(url).basic_auth(USER.0, USER.1)
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(&self) -> Process {
        self.start_as(&Launch::default()).await
    }

    /// The same, of one process of several.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_as(&self, launch: &Launch) -> Process {
        let directory = launch.directory.as_ref().map_or_else(|| self.dir().to_owned(), |name| self.dir().join(name));
        std::fs::create_dir_all(&directory).expect("a directory");
        let log = directory.join("server.log");
        let stderr = OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let mut command = match &self.small_disk {
            None => Command::new(&self.binary),
            Some(disk) => {
                let mut command = Command::new("unshare");
                command.args(disk.unshare).args(["sh", "-ec", ON_SMALL_DISK, "sh"]);
                command.arg(disk.bytes.to_string()).arg(&disk.directory).arg(&self.binary);
                command
            }
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PULP_")) {
            command.env_remove(name);
        }
        // The directory of the database is the data directory, which another file is not looked for in.
        command.current_dir(&directory).envs(&self.settings).env("NO_PROXY", "127.0.0.1,localhost");
        command.envs(launch.environment.iter().map(|(name, value)| (name, value))).args(&self.arguments);
        command.arg("--data-dir").arg(&directory).args(["--listen", "127.0.0.1:0", "--database"]);
        command.arg(launch.database.clone().unwrap_or_else(|| self.database.url()));
        if let Some(roles) = &launch.roles {
            command.args(["--roles", roles]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().expect("the server's binary");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = async {
            while let Some(line) = said.next_line().await.expect("lines") {
                // The first of them that it has.
                for role in ["API ", "content ", "workers "] {
                    if let Some(url) = line.trim().strip_prefix(role) {
                        return origin(url.trim()).to_owned();
                    }
                }
            }
            panic!("the server did not start:\n{}", read(&log));
        };
        let url = tokio::time::timeout(PATIENCE, ready).await.expect("a server that starts");
        Process { child, url, _said: said, log }
    }
}

impl Process {
    /// A client that is signed in as the user who may do everything.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url).basic_auth(USER.0, USER.1)
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When it does not: it has workers alone.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let address = self.url.rsplit('/').next().and_then(|address| address.parse().ok());
        address.expect("a process that listens")
    }

    /// Ends it as a power failure would, and waits until it is gone.
    ///
    /// # Panics
    /// When it is not ours to kill.
    pub async fn kill(mut self) {
        self.end().await;
    }

    /// The same, where the handle is needed for the next one.
    ///
    /// # Panics
    /// As [`kill`](Self::kill).
    pub async fn end(&mut self) {
        self.child.kill().await.expect("a child that can be killed");
    }

    /// Asks it to stop (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// When it has not within `limit`.
    pub async fn terminate(mut self, limit: Duration) -> ExitStatus {
        self.signal("-TERM").await;
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => status.expect("a child that can be waited for"),
            Err(_) => panic!("the server has not stopped within {limit:?}:\n{}", read(&self.log)),
        }
    }

    /// Stops it in the middle of whatever it does (SIGSTOP), until [`go_on`](Self::go_on).
    ///
    /// # Panics
    /// When it has ended.
    pub async fn pause(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it has ended.
    pub async fn go_on(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("a process that has not ended").to_string();
        let told = Command::new("kill").args([signal, &pid]).status().await.expect("the program kill");
        assert!(told.success(), "the server has ended by itself:\n{}", read(&self.log));
    }

    /// A path as the process sees it.
    ///
    /// # Panics
    /// When the process has ended.
    #[must_use]
    pub fn inside(&self, path: &Path) -> PathBuf {
        let root = format!("/proc/{}/root", self.child.id().expect("a process that has not ended"));
        Path::new(&root).join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its number in the system; none when it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How much memory it has used at most, in bytes; none where the system does not tell.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    /// How much memory it uses now, in bytes; none where the system does not tell.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// Lets the [peak](Self::peak_memory) begin anew, where the system can.
    pub fn forget_peak_memory(&self) {
        if let Some(pid) = self.child.id() {
            // Without it, the peak is that of the whole life.
            let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// What it and its predecessors have written to their log.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }
}

/// The first way that works here.
async fn unshare() -> Option<&'static [&'static str]> {
    for arguments in UNSHARE {
        let mut can = Command::new("unshare");
        can.args(arguments).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        let can = can.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        if can.is_ok_and(|status| status.success()) {
            return Some(arguments);
        }
    }
    None
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |slash| &url[..host + slash])
}

#[cfg(test)]
mod tests {
    #[test]
    fn origins() {
        assert_eq!(super::origin("http://127.0.0.1:80/pulp/api/v3/"), "http://127.0.0.1:80");
        assert_eq!(super::origin("http://[::1]:80"), "http://[::1]:80");
    }
}
