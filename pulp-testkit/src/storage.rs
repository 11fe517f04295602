//! What every [`Storage`] must do, whoever wrote it.
//!
//! ```no_run
//! # async fn example() {
//! use pulp_core::storage::{LocalStorage, Spool};
//!
//! let dir = tempfile::tempdir().unwrap();
//! let storage = LocalStorage::open(dir.path(), Default::default()).await.unwrap();
//! let spool = Spool::open(storage.spool_dir(), Default::default()).await.unwrap();
//! pulp_testkit::storage::conforms(&storage, &spool).await;
//! # }
//! ```

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use pulp_core::storage::{ArtifactPath, ResponseHeaders, Spool, Spooled, Storage, StorageError};

use crate::Blob;

/// Larger than the blocks and parts in which files are moved.
const LARGE: usize = 12 * 1024 * 1024 + 7;

/// Runs every check below on an empty storage, one after the other, and leaves it empty.
///
/// # Panics
/// When the storage does not do what it must.
pub async fn conforms(storage: &dyn Storage, spool: &Spool) {
    comes_back_whole(storage, spool).await;
    gives_ranges(storage, spool).await;
    knows_what_is_missing(storage).await;
    adopts_again(storage, spool).await;
    adopts_many(storage, spool).await;
    removes_what_is_old(storage, spool).await;
    lists_by_directory(storage, spool).await;
    survives_readers_that_leave(storage, spool).await;
    moves_files(storage, spool).await;
    serves_itself(storage, spool).await;
    assert_eq!(listed(storage, "").await, [], "a check left something behind");
    assert_eq!(spool.used(), 0, "a spooled file was kept");
}

/// Files of all sizes come back as they went in.
///
/// # Panics
/// When they do not.
pub async fn comes_back_whole(storage: &dyn Storage, spool: &Spool) {
    for size in [0, 1, 256 * 1024, 300_000, LARGE] {
        let content = content(size);
        let (file, at) = artifact(spool, &content).await;
        storage.adopt(file, &at).await.unwrap();
        assert_eq!(storage.size(&at).await.unwrap(), size as u64);
        assert!(read(storage, &at, None).await.unwrap() == content, "a file of {size} bytes");
        if let Some(path) = storage.local_file(&at) {
            assert!(std::fs::read(path).unwrap() == content, "the local file of {size} bytes");
        }
        storage.delete(&at).await.unwrap();
    }
}

/// Any part of a file can be had, and none that is not there.
///
/// # Panics
/// When that is not so.
pub async fn gives_ranges(storage: &dyn Storage, spool: &Spool) {
    let content = content(600_000);
    let (file, at) = artifact(spool, &content).await;
    storage.adopt(file, &at).await.unwrap();
    for range in [0..1, 0..600_000, 599_999..600_000, 262_143..262_146, 1..599_999, 0..0, 600_000..600_000] {
        let expected = &content[range.start..range.end];
        let found = read(storage, &at, Some(range.start as u64..range.end as u64)).await.unwrap();
        assert!(found == expected, "range {range:?}");
    }
    for range in [0..600_001, 599_999..600_001, 600_000..600_001, 700_000..800_000, 700_000..700_000] {
        let error = read(storage, &at, Some(range.clone())).await.unwrap_err();
        assert!(matches!(error, StorageError::OutOfRange { size: 600_000, .. }), "range {range:?}: {error}");
    }
    storage.delete(&at).await.unwrap();
}

/// What is missing is reported as such, and is removed already.
///
/// # Panics
/// When that is not so.
pub async fn knows_what_is_missing(storage: &dyn Storage) {
    for missing in ["artifact/00/missing", "missing"] {
        let at = path(missing);
        for error in [
            storage.size(&at).await.unwrap_err(),
            read(storage, &at, None).await.unwrap_err(),
            read(storage, &at, Some(0..1)).await.unwrap_err(),
            read(storage, &at, Some(0..0)).await.unwrap_err(),
        ] {
            assert!(matches!(&error, StorageError::NotFound { path } if *path == at), "{missing}: {error}");
        }
        storage.delete(&at).await.unwrap();
    }
}

/// The same file, adopted again and at the same time, stays one whole file.
///
/// # Panics
/// When it does not.
pub async fn adopts_again(storage: &dyn Storage, spool: &Spool) {
    let content = content(400_000);
    let mut rivals = Vec::new();
    let mut place = None;
    for _ in 0..8 {
        let (file, at) = artifact(spool, &content).await;
        rivals.push((file, at.clone()));
        place = Some(at);
    }
    let at = place.expect("there are rivals");
    let adopted = rivals.into_iter().map(|(file, at)| async move { storage.adopt(file, &at).await });
    futures::future::try_join_all(adopted).await.unwrap();
    assert_eq!(listed(storage, "").await, std::slice::from_ref(&at));
    assert!(read(storage, &at, None).await.unwrap() == content);
    storage.delete(&at).await.unwrap();
    storage.delete(&at).await.unwrap();
    assert_eq!(listed(storage, "").await, []);
}

/// A file is removed for its age only if it has that age. Where the storage cannot tell, it stays.
///
/// # Panics
/// When that is not so.
pub async fn removes_what_is_old(storage: &dyn Storage, spool: &Spool) {
    let content = content(300_000);
    let hour = std::time::Duration::from_secs(3_600);
    let now = std::time::SystemTime::now();
    let (file, at) = artifact(spool, &content).await;
    assert!(!storage.delete_older(&at, now + hour).await.unwrap(), "what is not there was removed");
    storage.adopt(file, &at).await.unwrap();
    assert!(!storage.delete_older(&at, now - hour).await.unwrap(), "a young file was removed");
    assert!(read(storage, &at, None).await.unwrap() == content);
    let removed = storage.delete_older(&at, now + hour).await.unwrap();
    assert_eq!(storage.size(&at).await.is_err(), removed);
    storage.delete(&at).await.unwrap();
}

/// Many files at once, equal ones among them, and none at all.
///
/// # Panics
/// When one is not there afterwards.
pub async fn adopts_many(storage: &dyn Storage, spool: &Spool) {
    storage.adopt_many(Vec::new()).await.unwrap();
    for count in [2, 60] {
        let mut files = Vec::new();
        for i in 0..count {
            files.push(artifact(spool, format!("file {}", i / 2).as_bytes()).await);
        }
        let mut expected: Vec<_> = files.iter().map(|(_, at)| at.clone()).collect();
        expected.sort();
        expected.dedup();
        storage.adopt_many(files).await.unwrap();
        assert_eq!(listed(storage, "artifact").await, expected);
        for at in expected {
            storage.delete(&at).await.unwrap();
        }
    }
}

/// A listing is that of a directory: its name is matched whole.
///
/// # Panics
/// When it is not.
pub async fn lists_by_directory(storage: &dyn Storage, spool: &Spool) {
    let names = ["artifact/ab/one", "artifact/ab/two", "artifact/abc/three", "upload/four"];
    for name in names {
        let file = spool.store(name).await.unwrap();
        storage.adopt(file, &path(name)).await.unwrap();
    }
    for (prefix, expected) in [
        ("", &names[..]),
        ("artifact", &names[..3]),
        ("artifact/", &names[..3]),
        ("artifact/ab", &names[..2]),
        ("artifact/a", &[]),
        ("nothing", &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|name| path(name)).collect();
        assert_eq!(listed(storage, prefix).await, expected, "below `{prefix}`");
    }
    let error = storage.list("../etc").next().await.expect("an answer").unwrap_err();
    assert!(matches!(error, StorageError::InvalidPath(_)), "{error}");
    for name in names {
        storage.delete(&path(name)).await.unwrap();
    }
}

/// A reader that leaves midway does no harm to others.
///
/// # Panics
/// When it does.
pub async fn survives_readers_that_leave(storage: &dyn Storage, spool: &Spool) {
    let content = content(LARGE);
    let (file, at) = artifact(spool, &content).await;
    storage.adopt(file, &at).await.unwrap();
    for _ in 0..10 {
        let mut stream = storage.open(&at, None).await.unwrap();
        let first = stream.next().await.expect("bytes").unwrap();
        assert!(content.starts_with(&first));
    }
    assert!(read(storage, &at, Some(1_000_000..11_000_000)).await.unwrap() == content[1_000_000..11_000_000]);
    storage.delete(&at).await.unwrap();
}

/// A file that is moved lies under its new name alone. A storage that cannot move files says so, and leaves them where they are.
///
/// # Panics
/// When that is not so.
pub async fn moves_files(storage: &dyn Storage, spool: &Spool) {
    let content = content(300_000);
    let (file, at) = artifact(spool, &content).await;
    storage.adopt(file, &at).await.unwrap();
    let aside = path("quarantine/aside");
    match storage.rename(&at, &aside).await {
        Err(StorageError::Backend { .. }) => {
            assert_eq!(listed(storage, "").await, std::slice::from_ref(&at));
            storage.delete(&at).await.unwrap();
            return;
        }
        moved => moved.unwrap(),
    }
    assert_eq!(listed(storage, "").await, std::slice::from_ref(&aside));
    assert!(read(storage, &aside, None).await.unwrap() == content);
    let error = storage.rename(&at, &aside).await.unwrap_err();
    assert!(matches!(&error, StorageError::NotFound { path } if *path == at), "{error}");
    storage.delete(&aside).await.unwrap();
}

/// Where clients may be sent to the store itself, they get the file there, and only with the signature.
///
/// # Panics
/// When they do not.
pub async fn serves_itself(storage: &dyn Storage, spool: &Spool) {
    let Some(presign) = storage.presigner() else {
        return;
    };
    let content = content(1000);
    let (file, at) = artifact(spool, &content).await;
    storage.adopt(file, &at).await.unwrap();
    let headers = ResponseHeaders {
        content_type: Some("text/plain; charset=utf-8".to_owned()),
        content_disposition: Some("attachment; filename=\"a b.txt\"".to_owned()),
    };
    let mut url = presign.presign_get(&at, std::time::Duration::from_secs(60), &headers).await.unwrap();
    let query: Vec<_> = url.query_pairs().into_owned().collect();
    assert!(query.contains(&("response-content-type".to_owned(), "text/plain; charset=utf-8".to_owned())));
    let answer = reqwest::get(url.clone()).await.unwrap().error_for_status().unwrap();
    assert!(answer.bytes().await.unwrap() == content);
    let unsigned: Vec<_> = query.into_iter().filter(|(name, _)| name != "response-content-type").collect();
    url.query_pairs_mut().clear().extend_pairs(unsigned);
    assert!(reqwest::get(url).await.unwrap().status().is_client_error(), "a changed URL is refused");
    storage.delete(&at).await.unwrap();
}

fn content(size: usize) -> Bytes {
    Blob::seeded(size as u64, size as u64).to_bytes()
}

fn path(text: &str) -> ArtifactPath {
    text.parse().expect("a path")
}

async fn artifact(spool: &Spool, content: &[u8]) -> (Spooled, ArtifactPath) {
    let file = spool.store(Bytes::copy_from_slice(content)).await.expect("a spooled file");
    let at = ArtifactPath::of(&file.sha256().expect("a spool that computes sha256"));
    (file, at)
}

async fn read(storage: &dyn Storage, at: &ArtifactPath, range: Option<std::ops::Range<u64>>) -> Result<Vec<u8>, StorageError> {
    let chunks: Vec<Bytes> = storage.open(at, range).await?.try_collect().await?;
    Ok(chunks.concat())
}

async fn listed(storage: &dyn Storage, prefix: &str) -> Vec<ArtifactPath> {
    let mut paths: Vec<_> = storage.list(prefix).try_collect().await.expect("a listing");
    paths.sort();
    paths
}
