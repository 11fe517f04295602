//! A sync on a bad day: the task says what was wrong with which file, nothing is left of it, and the next one goes on from there.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::BoxStream;
use pulp_core::Pulp;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::model::{Policy, Remote};
use pulp_core::plugins::file::{Files, Repo};
use pulp_core::storage::{ArtifactPath, ByteStream, LocalStorage, Presign, Result as StorageResult, Spooled, Storage, StorageError};
use pulp_testkit::{Blob, Engine, Fault, Kit, Prepare, Upstream, both_databases};

const SIZE: u64 = 400_000;

/// A file that is right, and one that will not be; others for every `seed`.
async fn upstream(seed: u64) -> Upstream {
    Upstream::start().await.file("bad.iso", Blob::seeded(2 * seed, SIZE)).file("good.iso", Blob::seeded(2 * seed + 1, SIZE)).manifest()
}

const UNHURRIED: &str = "sock_read_timeout = null, total_timeout = null";

/// A remote of so much patience, and whatever else a fault needs.
async fn remote(pulp: &Pulp, upstream: &Upstream, retries: i64, limits: &str) -> Remote {
    let files = Files::of(pulp);
    files.remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
    let described = format!("update core_remote set max_retries = $1, pulp_last_updated = $2, {limits}");
    pulp.db().execute(Sql::new(described).bind(retries).bind(pulp.now())).await.unwrap();
    files.remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap()
}

async fn count(pulp: &Pulp, what: &str) -> i64 {
    pulp.db().scalar(format!("select count(*) from {what}")).await.unwrap()
}

/// Nothing is there that a sync which failed could have left.
async fn nothing_is_left(pulp: &Pulp) {
    assert_eq!(count(pulp, "core_repositoryversion where not complete").await, 0);
    let draft = "core_repositorycontent rc where not exists (select 1 from core_repositoryversion v where v.pulp_id = rc.version_added_id)";
    assert_eq!(count(pulp, draft).await, 0);
    // What was given up is removed by threads that nobody waits for.
    while pulp.spool().used() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Syncs again, now that all is well: what is stored already is not fetched.
async fn goes_on(pulp: &Pulp, upstream: &Upstream, remote: &Remote, isos: &Repo) {
    let stored = [upstream.blob("bad.iso"), upstream.blob("good.iso")].map(|blob| blob.sha256());
    let sql = Sql::new("select count(*) from core_artifact where sha256 in ($1, $2)");
    let stored: i64 = pulp.db().scalar(sql.bind(&stored[0]).bind(&stored[1])).await.unwrap();
    upstream.forget();
    let version = isos.sync(remote, false).await.unwrap().version.unwrap();
    assert_eq!(version.number, 1);
    assert_eq!(upstream.requests().len() as i64, 1 + 2 - stored, "the manifest, and what is missing");
}

both_databases! {
    async fn what_does_not_heal_is_named_and_the_next_sync_goes_on_from_there(kit: Kit) {
        let pulp = kit.pulp();
        let faults = [
            // The last bytes before a reset may be lost.
            (Fault::ResetAt(100_000), "the body ended after"),
            (Fault::CutAt(100_000), "the body ended after 100000 bytes of 400000"),
            (Fault::Hangup, "the connection broke"),
            (Fault::Stall { after: 100_000, lasting: Duration::from_secs(60) }, "within 300ms"),
            (Fault::SlowBytes(20_000), "within 1.5s"),
            (Fault::LyingLength(7), "[PLP0004]"),
            (Fault::LyingLength(-7), "[PLP0004]"),
            (Fault::FlipByte(399_999), "[PLP0003]"),
            (Fault::RedirectLoop, "redirects"),
            (Fault::Redirect("http://127.0.0.1:1/bad.iso".to_owned()), "cannot connect"),
            (Fault::Status(500), "the source answered 500"),
            (Fault::Status(404), "not found at the source (404)"),
            (Fault::TooManyRequests { retry_after: None }, "the source answered 429"),
        ];
        let mut otherwise = Vec::new();
        for (number, (fault, says)) in faults.into_iter().enumerate() {
            let upstream = upstream(number as u64).await.fault("bad.iso", fault.clone());
            let limits = match fault {
                Fault::Stall { .. } => "sock_read_timeout = 0.3, total_timeout = null",
                Fault::SlowBytes(_) => "sock_read_timeout = null, total_timeout = 1.5",
                _ => UNHURRIED,
            };
            let remote = remote(pulp, &upstream, 0, limits).await;
            let isos = Files::of(pulp).repository(&format!("isos {number}")).await.unwrap();
            let error = isos.sync(&remote, false).await.expect_err(says).to_string();
            if !error.contains(says) || !error.contains("/bad.iso") {
                otherwise.push(format!("{fault:?}: {error}"));
            }
            assert_eq!(isos.latest().await.unwrap().number, 0, "{fault:?}");
            nothing_is_left(pulp).await;
            upstream.heal("bad.iso");
            goes_on(pulp, &upstream, &remote, &isos).await;
        }
        assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    }

    async fn what_heals_is_waited_for_as_long_as_the_source_asks(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = upstream(0).await.fault("bad.iso", Fault::TooManyRequests { retry_after: Some(3) }.once());
        let upstream = upstream.fault("bad.iso", Fault::Status(503).once()).fault("PULP_MANIFEST", Fault::ResetAt(10).once());
        let remote = remote(pulp, &upstream, 3, UNHURRIED).await;
        let isos = Files::of(pulp).repository("isos").await.unwrap();
        let begun = Instant::now();
        assert_eq!(isos.sync(&remote, false).await.unwrap().version.unwrap().number, 1);
        // Longer than all other waits together.
        assert!(begun.elapsed() >= Duration::from_secs(3), "Retry-After is an order");
        assert_eq!((upstream.hits("PULP_MANIFEST"), upstream.hits("bad.iso"), upstream.hits("good.iso")), (2, 3, 1));
    }
}

/// A storage on a disk that is full as long as we say.
#[derive(Debug)]
struct Disk {
    files: LocalStorage,
    full: AtomicBool,
}

#[async_trait]
impl Storage for Disk {
    async fn adopt(&self, file: Spooled, to: &ArtifactPath) -> StorageResult<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StorageError::Full { what: to.to_string(), source: std::io::ErrorKind::StorageFull.into() });
        }
        self.files.adopt(file, to).await
    }

    async fn open(&self, at: &ArtifactPath, range: Option<Range<u64>>) -> StorageResult<ByteStream> {
        self.files.open(at, range).await
    }

    async fn size(&self, at: &ArtifactPath) -> StorageResult<u64> {
        self.files.size(at).await
    }

    async fn delete(&self, at: &ArtifactPath) -> StorageResult<()> {
        self.files.delete(at).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, StorageResult<ArtifactPath>> {
        self.files.list(prefix)
    }

    fn presigner(&self) -> Option<&dyn Presign> {
        None
    }
}

/// A Pulp on such a disk.
struct OnDisk {
    kit: Kit,
    disk: Arc<Disk>,
    _dir: tempfile::TempDir,
}

#[async_trait]
impl Prepare for OnDisk {
    async fn prepare(engine: Engine) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let files = LocalStorage::open(dir.path().join("media"), Default::default()).await.unwrap();
        let disk = Arc::new(Disk { files, full: AtomicBool::new(true) });
        let (storage, spool) = (disk.clone(), dir.path().join("spool"));
        let kit = Kit::built(engine, |builder| builder.storage(storage, spool)).await?;
        Some(Self { kit, disk, _dir: dir })
    }
}

both_databases! {
    // The same with a real file system is among the tests of the server, where one can be mounted.
    async fn a_full_disk_is_named_and_works_again_when_there_is_room(world: OnDisk) {
        let pulp = world.kit.pulp();
        let upstream = upstream(0).await;
        let remote = remote(pulp, &upstream, 0, UNHURRIED).await;
        let isos = Files::of(pulp).repository("isos").await.unwrap();
        let error = isos.sync(&remote, false).await.unwrap_err().to_string();
        assert!(error.starts_with("no space left to store artifact/"), "{error}");
        assert_eq!(isos.latest().await.unwrap().number, 0);
        assert_eq!(count(pulp, "core_artifact").await, 0, "no row names a file that is not there");
        nothing_is_left(pulp).await;
        world.disk.full.store(false, Ordering::Relaxed);
        goes_on(pulp, &upstream, &remote, &isos).await;
        world.disk.full.store(true, Ordering::Relaxed);
        let error = isos.publish().await.unwrap_err().to_string();
        assert!(error.starts_with("no space left to store artifact/"), "{error}");
        assert_eq!(count(pulp, "core_publication").await, 0);
        world.disk.full.store(false, Ordering::Relaxed);
        assert!(isos.publish().await.unwrap().complete);
    }
}
