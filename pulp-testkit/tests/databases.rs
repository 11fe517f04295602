//! Databases of the tests' own: fresh, apart from each other, gone afterwards.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::{Engine, Kit, Postgres, TestDatabase, both_databases};

both_databases! {
    async fn a_database_is_empty_and_its_own(database: TestDatabase) {
        let other = TestDatabase::empty(database.engine()).await.unwrap();
        assert_ne!(database.url(), other.url());
        for database in [&database, &other] {
            let db = database.open().await;
            db.execute(Sql::new("create table thing (n bigint)")).await.unwrap();
            db.execute(Sql::new("insert into thing values (1)")).await.unwrap();
            let count: i64 = db.scalar(Sql::new("select count(*) from thing")).await.unwrap();
            assert_eq!(count, 1);
        }
    }

    async fn a_kit_is_a_pulp_that_answers(kit: Kit) {
        assert!(kit.pulp().db().is_alive().await);
        let count: i64 = kit.pulp().db().scalar(Sql::new("select count(*) from core_repository")).await.unwrap();
        assert_eq!(count, 0);
        assert!(kit.database().dir().is_dir());
    }

    async fn many_kits_come_and_go(kit: Kit) {
        // More than the server keeps before it drops what is not used any more.
        for _ in 0..20 {
            let other = Kit::new(kit.database().engine()).await.unwrap();
            assert_ne!(other.database().url(), kit.database().url());
        }
        assert!(kit.pulp().db().is_alive().await);
    }
}

#[tokio::test]
async fn a_template_is_built_once() {
    let Some(server) = Postgres::get().await else { return };
    let built = std::sync::atomic::AtomicU32::new(0);
    let build = |url: String| {
        built.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            let db = pulp_core::db::Db::open(&url, &Default::default()).await.unwrap();
            db.execute(Sql::new("create table thing (n bigint)")).await.unwrap();
            db.close().await;
        }
    };
    let (one, two) = tokio::join!(server.database_like("a thing", build), server.database_like("a thing", build));
    assert_eq!(built.load(std::sync::atomic::Ordering::SeqCst), 1);
    for database in [one, two] {
        let db = pulp_core::db::Db::open(&database.url(), &Default::default()).await.unwrap();
        let count: i64 = db.scalar(Sql::new("select count(*) from thing")).await.unwrap();
        assert_eq!(count, 0);
    }
}

/// The child of the tests below: starts the server, says where it is, and waits to be killed.
#[tokio::test]
#[ignore = "run by other tests"]
async fn child() {
    let Some(says) = std::env::var_os("PULP_TEST_CHILD_SAYS") else { return };
    let server = Postgres::get().await.unwrap();
    let database = TestDatabase::empty(Engine::Postgres).await.unwrap();
    assert!(database.open().await.is_alive().await);
    std::fs::write(says, server.directory().to_str().unwrap()).unwrap();
    std::future::pending::<()>().await;
}

/// Another process with a server of its own.
struct Other {
    process: Child,
    directory: PathBuf,
    postmaster: String,
}

impl Other {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let says = dir.path().join("says");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child", "--exact", "--ignored"]).env("PULP_TEST_CHILD_SAYS", &says).stdout(Stdio::null());
        let process = command.spawn().unwrap();
        let directory = until(|| std::fs::read_to_string(&says).ok().filter(|text| !text.is_empty())).await;
        let directory = PathBuf::from(directory);
        let status = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        let postmaster = status.lines().next().unwrap().to_owned();
        assert!(is_alive(&postmaster));
        Self { process, directory, postmaster }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn wait_until_gone(&self) {
        until(|| (!self.directory.exists() && !is_alive(&self.postmaster)).then_some(())).await;
    }
}

#[tokio::test]
async fn no_server_outlives_a_killed_process() {
    if Postgres::get().await.is_none() {
        return;
    }
    let mut other = Other::start().await;
    other.kill();
    other.wait_until_gone().await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_a_killed_guard_leaves_is_swept_by_the_next_start() {
    if Postgres::get().await.is_none() {
        return;
    }
    let mut other = Other::start().await;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", other.postmaster)).unwrap();
    let guard = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap();
    assert!(signal("-KILL", guard));
    other.kill();
    assert!(is_alive(&other.postmaster));
    let mut next = Other::start().await;
    other.wait_until_gone().await;
    assert!(is_alive(&next.postmaster));
    next.kill();
    next.wait_until_gone().await;
}

fn is_alive(pid: &str) -> bool {
    signal("-0", pid)
}

fn signal(signal: &str, pid: &str) -> bool {
    let mut kill = Command::new("sh");
    kill.args(["-c", r#"kill "$1" "$2""#, "sh", signal, pid]).stderr(Stdio::null());
    kill.status().unwrap().success()
}

/// Asks until there is an answer. The harness's own patience is the limit.
async fn until<T>(ask: impl Fn() -> Option<T>) -> T {
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
