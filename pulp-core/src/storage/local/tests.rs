use std::os::unix::fs::symlink;

use futures::TryStreamExt as _;

use super::*;
use crate::storage::Spool;

async fn storage(dir: &Path, durability: Durability) -> (LocalStorage, Spool) {
    let options = LocalOptions::default().durability(durability);
    let storage = LocalStorage::open(dir, options).await.unwrap();
    let spool = Spool::open(storage.spool_dir(), SpoolOptions::default()).await.unwrap();
    (storage, spool)
}

fn files_below(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

fn path(text: &str) -> ArtifactPath {
    text.parse().unwrap()
}

async fn all(storage: &LocalStorage) -> Vec<ArtifactPath> {
    let mut all: Vec<_> = storage.list("").try_collect().await.unwrap();
    all.sort();
    all
}

#[tokio::test]
async fn each_durability_adopts_one_and_many() {
    for durability in [Durability::None, Durability::Data, Durability::Full] {
        for count in [1, 3, 40] {
            let dir = tempfile::tempdir().unwrap();
            let (storage, spool) = storage(dir.path(), durability).await;
            let mut files = Vec::new();
            for i in 0..count {
                let spooled = spool.store(format!("{i}")).await.unwrap();
                let path = ArtifactPath::of(&spooled.sha256().unwrap());
                files.push((spooled, path));
            }
            let mut paths: Vec<_> = files.iter().map(|(_, path)| path.clone()).collect();
            paths.sort();
            storage.adopt_many(files).await.unwrap();
            assert_eq!(all(&storage).await, paths);
            assert_eq!(spool.used(), 0);
        }
    }
}

#[tokio::test]
async fn the_file_lies_where_pulp_puts_it() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, spool) = storage(dir.path(), Durability::Full).await;
    let spooled = spool.store("abc").await.unwrap();
    let at = ArtifactPath::of(&spooled.sha256().unwrap());
    storage.adopt(spooled, &at).await.unwrap();
    let expected = "artifact/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(std::fs::read(dir.path().join(expected)).unwrap(), b"abc");
    assert_eq!(storage.local_file(&at).unwrap(), dir.path().canonicalize().unwrap().join(expected));
}

/// The usual memory file system is another one than that of the usual temporary directory; where it is not, the rename is tested again.
#[tokio::test]
async fn a_spool_on_another_file_system_is_copied() {
    let (here, elsewhere) = (tempfile::tempdir_in(".").unwrap(), tempfile::tempdir_in("/dev/shm"));
    let Ok(elsewhere) = elsewhere else {
        eprintln!("skipped: no /dev/shm to write to");
        return;
    };
    let (storage, _) = storage(here.path(), Durability::Full).await;
    let spool = Spool::open(elsewhere.path(), SpoolOptions::default()).await.unwrap();
    let mut files = Vec::new();
    for i in 0..20 {
        let spooled = spool.store(format!("{i}").repeat(100_000)).await.unwrap();
        let path = ArtifactPath::of(&spooled.sha256().unwrap());
        files.push((spooled, path));
    }
    let first = files.remove(0);
    storage.adopt(first.0, &first.1).await.unwrap();
    assert_eq!(storage.size(&first.1).await.unwrap(), 100_000);
    storage.adopt_many(files).await.unwrap();
    assert_eq!((all(&storage).await.len(), spool.used()), (20, 0));
    let incoming = std::fs::read_dir(here.path().join(".incoming")).unwrap();
    for area in incoming.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        assert_eq!(files_below(&area), 1, "only its lock");
    }
}

#[tokio::test]
async fn a_lost_spool_file_is_no_missing_artifact() {
    let dir = tempfile::tempdir().unwrap();
    for durability in [Durability::None, Durability::Full] {
        let (storage, spool) = storage(dir.path(), durability).await;
        let spooled = spool.store("gone").await.unwrap();
        std::fs::remove_file(spooled.path()).unwrap();
        let error = storage.adopt(spooled, &path("artifact/a")).await.unwrap_err();
        assert!(error.to_string().contains("artifact/a: its spooled file is gone"), "{error}");
        assert!(matches!(storage.size(&path("artifact/a")).await, Err(StorageError::NotFound { .. })));
    }
}

#[tokio::test]
async fn a_file_that_was_cut_ends_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, spool) = storage(dir.path(), Durability::None).await;
    let spooled = spool.store(vec![1; 1_000_000]).await.unwrap();
    storage.adopt(spooled, &path("f")).await.unwrap();
    let stream = Storage::open(&storage, &path("f"), None).await.unwrap();
    std::fs::OpenOptions::new().write(true).open(dir.path().join("f")).unwrap().set_len(300_000).unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, StorageError::Backend { .. }), "{error}");
}

#[tokio::test]
async fn a_directory_or_a_link_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, spool) = storage(dir.path(), Durability::None).await;
    let spooled = spool.store("x").await.unwrap();
    storage.adopt(spooled, &path("a/b/c")).await.unwrap();
    symlink("c", dir.path().join("a/b/link")).unwrap();
    for missing in ["a", "a/b", "a/b/c/d", "a/x"] {
        let missing = path(missing);
        for error in [storage.size(&missing).await.unwrap_err(), Storage::open(&storage, &missing, None).await.err().unwrap()] {
            assert!(matches!(error, StorageError::NotFound { .. }), "{missing}: {error}");
        }
    }
    assert_eq!(all(&storage).await, [path("a/b/c")]);
}

#[tokio::test]
async fn messages_do_not_show_directories_of_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, spool) = storage(dir.path(), Durability::Full).await;
    // A file in the place of a directory.
    std::fs::write(dir.path().join("artifact"), "").unwrap();
    let spooled = spool.store("x").await.unwrap();
    let error = storage.adopt(spooled, &path("artifact/ab/c")).await.unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("artifact/ab/c"), "{shown}");
    assert!(!shown.contains(&*dir.path().to_string_lossy()), "{shown}");
    assert_eq!(spool.used(), 0);
}
