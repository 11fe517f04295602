use std::{path::Path, pin::pin, task::Context};

use super::*;
use crate::{
    digest::{Expected, hash_bytes},
    storage::StorageError,
};

async fn spool(dir: &Path) -> Spool {
    Spool::open(dir, SpoolOptions::default()).await.unwrap()
}

/// The files of all areas below a spool directory, without those that locks need.
fn files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { usize::from(!path.ends_with("held") && !path.ends_with("lock")) }).sum()
}

fn bytes(len: usize) -> Bytes {
    (0..len).map(|i| (i % 251) as u8).collect::<Vec<_>>().into()
}

#[tokio::test]
async fn sizes_around_the_block_come_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let block = 256 * 1024;
    for len in [0, 1, block - 1, block, block + 1, 3 * 1024 * 1024 + 7] {
        let content = bytes(len);
        for piece in [1 + len / 3, 1 + len / 100, len.max(1)] {
            let mut file = spool.create();
            for chunk in content.chunks(piece) {
                file.write(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            let spooled = file.finish().await.unwrap();
            let (digests, size) = hash_bytes(spool.algorithms(), &content);
            assert_eq!((spooled.size(), spooled.digests()), (size, &digests));
            assert_eq!(std::fs::read(spooled.path()).unwrap(), content);
            spooled.verify(&Expected { size: Some(size), digests }).unwrap();
        }
    }
    assert_eq!((files(dir.path()), spool.used()), (0, 0));
}

#[tokio::test]
async fn what_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let mut unfinished = spool.create();
    unfinished.write(bytes(600_000)).await.unwrap();
    unfinished.catch_up().await.unwrap();
    let finished = spool.store(bytes(10)).await.unwrap();
    assert_eq!((files(dir.path()), spool.used()), (2, 600_010));
    drop(unfinished);
    drop(finished);
    assert_eq!((files(dir.path()), spool.used()), (0, 0));
    drop(spool);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the lock file: {left:?}");
}

#[tokio::test]
async fn a_file_that_vanishes_is_reported_by_who_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let spooled = spool(dir.path()).await.store("x").await.unwrap();
    std::fs::remove_file(spooled.path()).unwrap();
    let error = spooled.open().await.unwrap_err();
    assert!(matches!(error, StorageError::Backend { .. }), "{error}");
    assert!(!error.to_string().contains(&*dir.path().to_string_lossy()));
}

#[tokio::test]
async fn leftovers_of_a_dead_process_are_swept_and_those_of_a_live_one_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let alive = spool(dir.path()).await;
    let kept = alive.store("kept").await.unwrap();
    // What a killed process leaves: an area whose lock nobody holds; or not even that.
    for (area, names) in [("area-1", &["held", "0", "1"][..]), ("area-2", &["0"])] {
        std::fs::create_dir(dir.path().join(area)).unwrap();
        for name in names {
            std::fs::write(dir.path().join(area).join(name), "left").unwrap();
        }
    }
    std::fs::create_dir(dir.path().join("somebody-elses")).unwrap();

    let second = spool(dir.path()).await;
    assert!(!dir.path().join("area-1").exists());
    assert!(!dir.path().join("area-2").exists());
    assert!(dir.path().join("somebody-elses").exists());
    assert_eq!(std::fs::read(kept.path()).unwrap(), b"kept");
    drop((alive, second));
    // A spooled file keeps its area, even when its spool handle is gone.
    let third = spool(dir.path()).await;
    assert_eq!(std::fs::read(kept.path()).unwrap(), b"kept");
    drop((third, kept));
}

#[tokio::test]
async fn the_quota_is_shared_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = SpoolOptions::default().quota(1000);
    let spool = Spool::open(dir.path(), options).await.unwrap();
    let first = spool.store(bytes(600)).await.unwrap();
    let error = spool.store(bytes(500)).await.unwrap_err();
    assert!(matches!(error, StorageError::Quota { quota: 1000 }), "{error}");
    let mut announced = spool.create_with(NewFile::sized(401));
    assert!(matches!(announced.write(bytes(1)).await, Err(StorageError::Quota { .. })));
    assert_eq!(spool.used(), 600);
    drop(first);
    announced.write(bytes(1)).await.unwrap();
    assert_eq!(spool.used(), 401);
    drop(announced);
    assert_eq!(spool.used(), 0);
}

#[tokio::test]
async fn a_file_beyond_its_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let mut file = spool.create_with(NewFile::sized(10));
    file.write(bytes(10)).await.unwrap();
    let error = file.write(bytes(1)).await.unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { limit: 10 }), "{error}");
    assert_eq!(file.size(), 10);
}

#[tokio::test]
async fn announced_digests_are_computed_besides() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), SpoolOptions::default().algorithms(&[Algorithm::Sha256])).await.unwrap();
    let mut file = spool.create_with(NewFile::default().algorithms(&[Algorithm::Md5]));
    file.write("x".into()).await.unwrap();
    let spooled = file.finish().await.unwrap();
    let found: Vec<_> = spooled.digests().iter().map(|(a, _)| a).collect();
    assert_eq!(found, [Algorithm::Md5, Algorithm::Sha256]);
}

#[tokio::test]
async fn a_tail_reads_behind_the_writer_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let content = bytes(2_000_000);
    let mut file = spool.create();
    file.write(content.slice(..1000)).await.unwrap();
    let mut tail = file.share().await.unwrap();
    assert_eq!(tail.beyond(0).await.unwrap(), Some(1000));
    assert_eq!(tail.read_at(990, 100).await.unwrap(), content.slice(990..1000));
    assert!(tail.read_at(1000, 100).await.unwrap().is_empty());

    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        while let Some(flushed) = tail.beyond(read.len() as u64).await? {
            let offset = read.len() as u64;
            read.extend(tail.read_at(offset, flushed - offset).await?);
        }
        Ok::<_, StorageError>((read, tail))
    });
    for chunk in content.slice(1000..).chunks(70_000) {
        file.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    let spooled = file.finish().await.unwrap();
    assert_eq!(spooled.digests(), &hash_bytes(spool.algorithms(), &content).0);
    let (read, tail) = reader.await.unwrap().unwrap();
    assert!(read == content);

    // The file stays as long as somebody reads it: that is how streamed content, which nobody keeps, is served.
    drop(spooled);
    assert_eq!(tail.read_at(0, 10).await.unwrap(), content.slice(..10));
    assert_eq!((files(dir.path()), spool.used()), (1, 2_000_000));
    drop(tail);
    assert_eq!((files(dir.path()), spool.used()), (0, 0));
}

#[tokio::test]
async fn a_tail_learns_that_the_writer_gave_up() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let mut file = spool.create();
    let mut tail = file.share().await.unwrap();
    file.write("half".into()).await.unwrap();
    file.catch_up().await.unwrap();
    drop(file);
    assert_eq!(tail.beyond(0).await.unwrap(), Some(4));
    assert!(matches!(tail.beyond(4).await, Err(StorageError::Interrupted)));
}

/// A spool in a runtime whose only blocking thread is kept busy until it is told, so that nothing is written before.
fn held_up<F: Future<Output = ()>>(dir: &Path, then: impl FnOnce(Spool, std::sync::mpsc::Sender<()>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let spool = spool(dir).await;
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        then(spool, go).await;
        busy.await.unwrap().unwrap();
    });
}

fn is_pending(future: impl Future) -> bool {
    pin!(future).poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending()
}

#[test]
fn while_one_block_is_written_the_next_is_taken_and_a_third_waits() {
    let dir = tempfile::tempdir().unwrap();
    held_up(dir.path(), async |spool, go| {
        let mut file = spool.create();
        file.write(bytes(300_000)).await.unwrap();
        file.write(bytes(200_000)).await.unwrap();
        assert_eq!((file.size(), file.written(), file.is_writing()), (500_000, 0, true));
        // Given up while it waits, it is neither lost nor there twice.
        assert!(is_pending(file.write(bytes(100_000))));
        assert!(is_pending(file.catch_up()));
        go.send(()).unwrap();
        file.catch_up().await.unwrap();
        assert_eq!((file.size(), file.written(), file.is_writing()), (600_000, 300_000, false));
        let whole = file.finish().await.unwrap();
        let content = [bytes(300_000), bytes(200_000), bytes(100_000)].concat();
        assert_eq!(std::fs::read(whole.path()).unwrap(), content);
        assert_eq!(whole.digests(), &hash_bytes(spool.algorithms(), &content).0);
    });
}

#[test]
fn two_blocks_are_on_their_way_into_a_file_that_is_there_and_get_there_in_order() {
    let dir = tempfile::tempdir().unwrap();
    held_up(dir.path(), async |spool, go| {
        let mut file = spool.create();
        go.send(()).unwrap();
        let tail = file.share().await.unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let busy = tokio::task::spawn_blocking(move || {
            begun.send(()).unwrap();
            wait.recv()
        });
        // The thread that made the file is through with it: it would take the first block along.
        has_begun.await.unwrap();
        file.write(bytes(300_000)).await.unwrap();
        assert!(!file.is_full());
        file.write(bytes(200_000)).await.unwrap();
        assert!(file.is_full() && is_pending(file.advance()));
        assert!(is_pending(file.write(bytes(100_000))));
        go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        file.advance().await.unwrap();
        assert_eq!((file.written(), tail.flushed(), file.is_full()), (300_000, 300_000, false));
        let content = [bytes(300_000), bytes(200_000), bytes(100_000)].concat();
        let whole = file.finish().await.unwrap();
        assert_eq!(whole.digests(), &hash_bytes(spool.algorithms(), &content).0);
        assert!(std::fs::read(whole.path()).unwrap() == content);
    });
}

#[test]
fn what_is_dropped_while_it_is_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    held_up(dir.path(), async |spool, go| {
        let mut file = spool.create();
        file.write(bytes(300_000)).await.unwrap();
        drop(file);
        go.send(()).unwrap();
        // The thread is through with the write: what it made is gone, since nobody took it.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        assert_eq!((files(dir.path()), spool.used()), (0, 0));
    });
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = Spool::open(dir.path().join("file/spool"), SpoolOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("spool directory"), "{error}");
}

/// `/dev/full` gives the error of a full disk without filling one.
#[test]
fn a_full_disk_is_named_as_such() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = crate::storage::io::write_chunks(&full, &[Bytes::from_static(b"x")], 16).unwrap_err();
    let error = StorageError::io("a spooled file", error);
    assert!(matches!(error, StorageError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("no space left"), "{error}");
}

#[tokio::test]
async fn beginnings_of_a_dead_process_are_kept_for_who_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let key = |text: &str| {
        let (digests, size) = hash_bytes(&[Algorithm::Sha256], text.as_bytes());
        PartialKey::new(uuid::Uuid::nil(), &Expected { size: Some(size), digests })
    };
    let area = dir.path().join("area-1").join("3");
    std::fs::create_dir_all(&area).unwrap();
    std::fs::write(area.join("3"), bytes(5 << 20)).unwrap();
    std::fs::write(area.join(format!("19.{}", key("large").unwrap())), bytes(5 << 20)).unwrap();
    std::fs::write(area.join(format!("35.{}", key("small").unwrap())), bytes(5 << 10)).unwrap();
    let spool = Spool::open(dir.path(), SpoolOptions::default().partial(100 << 20)).await.unwrap();
    assert!(!dir.path().join("area-1").exists());
    assert_eq!(files(dir.path()), 1);

    assert_eq!(spool.resume(NewFile::default().partial(key("small"))).await.unwrap().size(), 0);
    let mut file = spool.resume(NewFile::sized(6 << 20).partial(key("large"))).await.unwrap();
    assert_eq!((file.size(), spool.used()), (5 << 20, 6 << 20));
    file.write(bytes(6 << 20).slice(5 << 20..)).await.unwrap();
    let whole = file.finish().await.unwrap();
    let (digests, size) = hash_bytes(spool.algorithms(), &bytes(6 << 20));
    assert_eq!((whole.size(), whole.digests()), (size, &digests));
    drop(whole);
    assert_eq!((files(dir.path()), spool.used()), (0, 0), "a complete file that nobody wants is no beginning");
}

#[tokio::test]
async fn what_was_found_wrong_is_no_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), SpoolOptions::default().partial(100 << 20)).await.unwrap();
    let (digests, size) = hash_bytes(&[Algorithm::Sha256], b"x");
    let key = PartialKey::new(uuid::Uuid::nil(), &Expected { size: Some(size), digests });
    for wrong in [false, true] {
        let mut file = spool.create_with(NewFile::default().partial(key.clone()));
        file.write(bytes(5 << 20)).await.unwrap();
        file.catch_up().await.unwrap();
        if wrong {
            file.discard()
        } else {
            drop(file)
        }
        let left = spool.resume(NewFile::default().partial(key.clone())).await.unwrap();
        assert_eq!(left.size(), if wrong { 0 } else { 5 << 20 });
        left.discard();
    }
    assert_eq!(files(dir.path()), 0);
}

#[tokio::test]
async fn some_digests_are_there_before_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let first = vec![Algorithm::Sha256];
    for len in [0, 10, 3 << 20] {
        let content = bytes(len);
        let (all, _) = hash_bytes(spool.algorithms(), &content);
        for (settles, only) in [(true, false), (false, false), (true, true)] {
            let mut file = spool.create_with(NewFile::default().first(first.clone(), only));
            file.write(content.clone()).await.unwrap();
            if settles {
                let digests = file.settle().await.unwrap();
                assert_eq!((digests.len(), digests.get(Algorithm::Sha256)), (1, all.get(Algorithm::Sha256)));
                assert!(matches!(file.write(bytes(1)).await, Err(StorageError::Interrupted)), "it is complete");
            }
            let spooled = file.finish().await.unwrap();
            assert_eq!(spooled.size(), len as u64);
            if only {
                assert_eq!(spooled.digests().len(), 1);
            } else {
                assert_eq!(spooled.digests(), &all);
            }
        }
    }
}
