//! Starting a server, and making sure that it ends.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;

/// The administrator of every cluster.
pub(super) const SUPERUSER: &str = "postgres";

/// A file system in memory, as Linux has it, and how many KiB must be free there to be used: making a database is five times as
/// quick as on a disk, and a container may have next to nothing of it.
const MEMORY: &str = "/dev/shm";
const MEMORY_KIB: u64 = 2 << 20;

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What nobody needs of a server whose data may be lost at any time.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "checkpoint_timeout=1d",
    "autovacuum=off",
    "jit=off",
    "shared_buffers=64MB",
    "max_connections=400",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// Further settings, which go before those: `shared_buffers=1GB,autovacuum=on`, for measurements.
const MORE_SETTINGS: &str = "PULP_TEST_POSTGRES_SETTINGS";

/// The guard: starts the server, again and again for every second line of its input, and ends it for every other; when the pipe that
/// is its input closes, it ends the server and cleans up.
///
/// It is given the program, the directory and the settings. A server that does not start leaves its log.
const GUARD: &str = r#"
program=$1 directory=$2; shift 2
while :; do
    "$program" -D "$directory/data" -k "$directory" "$@" </dev/null >"$directory/log" 2>&1 &
    server=$!
    read -r _; more=$?
    kill -QUIT "$server" 2>/dev/null
    wait "$server"
    # What would tell of the former server, and last what tells that it is gone.
    rm -f "$directory/log" && rm -f "$directory/data/postmaster.pid"
    [ $more -eq 0 ] && read -r _ || break
done
rm -rf "$directory"
"#;

/// A running server. It ends with this process.
#[derive(Debug)]
pub(super) struct Cluster {
    directory: PathBuf,
    major: u32,
    /// Holds the pipe that the guard waits on.
    guard: Mutex<Child>,
    /// Locked as long as the directory is in use.
    _owner: File,
}

impl Cluster {
    /// Starts a server. Blocks until it takes connections.
    pub(super) fn start(binaries: &Binaries) -> io::Result<Self> {
        let account = Account::choose()?;
        let version = version(binaries)?;
        // The path of a socket has about a hundred bytes at most, and some systems' TMPDIR takes most of them.
        let temporary = Path::new("/tmp");
        let root = private(if temporary.is_dir() { temporary.to_owned() } else { std::env::temp_dir() }, account)?;
        let place = if free_kib(MEMORY) >= MEMORY_KIB { private(MEMORY.into(), account)? } else { root.clone() };
        let (directory, owner) = {
            // Sweeping, initialising and claiming a directory is for one process at a time.
            let lock = File::create(root.join("lock"))?;
            lock.lock()?;
            sweep(&root, binaries, account);
            sweep(&place, binaries, account);
            let pristine = pristine(&root, &version, binaries, account)?;
            claim(&place, &pristine, account)?
        };
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "pulp-testkit-guard"]).arg(binaries.program("postgres")).arg(&directory);
        let more = std::env::var(MORE_SETTINGS).unwrap_or_default();
        // The last of several counts.
        let settings = SETTINGS.iter().copied().chain(more.split(',').map(str::trim).filter(|setting| !setting.is_empty()));
        command.args(settings.flat_map(|setting| ["-c", setting]));
        // Its own group: an interrupt from the terminal is for the tests, the guard follows them.
        command.process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        account.run_as(&mut command);
        let guard = command.spawn()?;
        wait_until_ready(&directory)?;
        Ok(Self { directory, major: major(&version), guard: Mutex::new(guard), _owner: owner })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ends the server as a crash would. Blocks until it is gone.
    pub(super) fn stop(&self) -> io::Result<()> {
        self.next()?;
        let deadline = Instant::now() + PATIENCE;
        while self.directory.join("data/postmaster.pid").exists() {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not end"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Starts the server again after [`stop`](Self::stop). Blocks until it takes connections.
    pub(super) fn start_again(&self) -> io::Result<()> {
        self.next()?;
        wait_until_ready(&self.directory)
    }

    /// Tells the guard to go on to what comes next.
    fn next(&self) -> io::Result<()> {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        guard.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(b"\n")
    }

    /// The server's major version.
    pub(super) fn major(&self) -> u32 {
        self.major
    }
}

/// The private directory of all servers of this account, in `parent`.
fn private(parent: PathBuf, account: Account) -> io::Result<PathBuf> {
    let root = parent.join(format!("pulp-testkit-{}", account.uid));
    if fs::create_dir(&root).is_ok() {
        fs::set_permissions(&root, Permissions::from_mode(0o700))?;
        account.own(&root)?;
    }
    let found = fs::symlink_metadata(&root)?;
    // Somebody else's directory under our name could feed us a server of theirs.
    let ours = found.is_dir() && found.mode() & 0o077 == 0 && (found.uid() == account.uid || found.uid() == 0);
    if !ours {
        return Err(io::Error::other(format!("{} is not a private directory of ours: remove it", root.display())));
    }
    Ok(root)
}

/// Ends servers and removes directories whose process is gone and whose guard did not get to it.
fn sweep(root: &Path, binaries: &Binaries, account: Account) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let directory = entry.path();
        if !entry.file_name().to_string_lossy().starts_with("run-") {
            continue;
        }
        // Unlocked, or never claimed: the lock that we hold keeps claims from being half made.
        if let Ok(Err(TryLockError::WouldBlock)) = File::open(directory.join("owner")).map(|owner| owner.try_lock()) {
            continue;
        }
        let mut stop = Command::new(binaries.program("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-s", "-D"]).arg(directory.join("data")).current_dir("/");
        account.run_as(stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        // There is mostly nothing to stop, and its guard may be at the same.
        let _ = stop.status();
        let _ = fs::remove_dir_all(&directory);
    }
}

/// What `postgres --version` says.
fn version(binaries: &Binaries) -> io::Result<String> {
    let output = Command::new(binaries.program("postgres")).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The major version in it; 0 if there is none.
fn major(version: &str) -> u32 {
    let number = version.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty());
    number.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// How much room a file system has, in KiB; none if it is not there.
fn free_kib(path: &str) -> u64 {
    let df = Command::new("df").args(["-Pk", path]).stderr(Stdio::null()).output();
    let text = df.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    // A line of headings, then: device, size, used, available.
    text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or_default()
}

/// A cluster as `initdb` leaves it, made once per version.
fn pristine(root: &Path, version: &str, binaries: &Binaries, account: Account) -> io::Result<PathBuf> {
    let version: String = version.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let pristine = root.join(format!("initdb-{}", version.trim_matches('-')));
    if pristine.is_dir() {
        return Ok(pristine);
    }
    let unfinished = root.join("initdb.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let mut initdb = Command::new(binaries.program("initdb"));
    initdb.args(["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-U", SUPERUSER, "-D"]);
    run(initdb.arg(&unfinished), account)?;
    fs::rename(&unfinished, &pristine)?;
    Ok(pristine)
}

/// A directory with a copy of `pristine`, and the locked file that says it is in use.
fn claim(root: &Path, pristine: &Path, account: Account) -> io::Result<(PathBuf, File)> {
    let directory = tempfile::Builder::new().prefix("run-").rand_bytes(8).tempdir_in(root)?.keep();
    account.own(&directory)?;
    let owner = File::create(directory.join("owner"))?;
    owner.lock()?;
    run(Command::new("cp").arg("-a").arg(pristine).arg(directory.join("data")), account)?;
    Ok((directory, owner))
}

fn run(command: &mut Command, account: Account) -> io::Result<()> {
    account.run_as(command.current_dir("/").stdin(Stdio::null()));
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{program} failed: {}", said.trim())))
}

/// Waits for the word "ready" in the last line of `postmaster.pid`.
fn wait_until_ready(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
        if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return Ok(());
        }
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        // What clients are told who come too early is no failure.
        let failed = log.lines().any(|line| line.contains("FATAL") && !line.contains("the database system is"));
        if failed || Instant::now() > deadline {
            return Err(io::Error::other(format!("it said:\n{log}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), 15);
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), 18);
        assert_eq!(major("?"), 0);
    }

    #[test]
    fn room() {
        assert!(free_kib("/") > 0);
        assert_eq!(free_kib("/no/such/place"), 0);
    }

    #[test]
    fn a_server_that_cannot_start_says_why() {
        let Some(binaries) = Binaries::find() else { return };
        let account = Account::choose().unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("log"), "FATAL: no such thing\n").unwrap();
        let error = wait_until_ready(directory.path()).unwrap_err();
        assert!(error.to_string().contains("no such thing"));
        let missing = directory.path().join("nowhere/data");
        let error = run(Command::new(binaries.program("initdb")).arg("-D").arg(missing), account).unwrap_err();
        assert!(error.to_string().contains("initdb failed"), "{error}");
    }
}
