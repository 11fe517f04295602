//! The storages that come with Pulp do what a storage must.

use futures::{StreamExt as _, TryStreamExt as _};
use pulp_core::storage::{ArtifactPath, Durability, LocalOptions, LocalStorage, S3Storage, Spool, SpoolOptions, Storage, StorageError};
use pulp_testkit::{S3Server, storage::conforms};

async fn spool(dir: &std::path::Path) -> Spool {
    Spool::open(dir, SpoolOptions::default()).await.unwrap()
}

fn path(text: &str) -> ArtifactPath {
    text.parse().unwrap()
}

#[tokio::test]
async fn local_files_conform() {
    for durability in [Durability::None, Durability::Full] {
        let dir = tempfile::tempdir().unwrap();
        let options = LocalOptions::default().durability(durability);
        let storage = LocalStorage::open(dir.path(), options).await.unwrap();
        conforms(&storage, &spool(&storage.spool_dir()).await).await;
    }
}

#[tokio::test]
async fn s3_conforms() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    // Parts as small as S3 has them, so that the large file goes up in three.
    let options = server.options().part_size(5 * 1024 * 1024);
    for options in [options.clone(), options.prefix("pulp/media")] {
        conforms(&S3Storage::open(options).unwrap(), &spool).await;
    }
    assert_eq!(server.parts(), [""; 0]);
}

#[tokio::test]
async fn s3_objects_lie_below_their_prefix_and_strangers_are_left_out() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let storage = S3Storage::open(server.options().prefix("pulp")).unwrap();
    storage.adopt(spool(dir.path()).await.store("x").await.unwrap(), &path("artifact/ab/c")).await.unwrap();
    assert_eq!(std::fs::read(server.bucket_dir().join("pulp/artifact/ab/c")).unwrap(), b"x");
    std::fs::create_dir(server.bucket_dir().join("pulpit")).unwrap();
    std::fs::write(server.bucket_dir().join("pulpit/file"), "").unwrap();
    std::fs::write(server.bucket_dir().join("pulp/with blank"), "").unwrap();
    let listed: Vec<_> = storage.list("").try_collect().await.unwrap();
    assert_eq!(listed, [path("artifact/ab/c")]);
}

#[tokio::test]
async fn s3_failures_are_told_apart_and_name_no_host() {
    let mut server = S3Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let at = path("artifact/ab/c");

    let wrong_key = S3Storage::open(server.options().keys("TESTACCESSKEY", "wrong")).unwrap();
    let error = wrong_key.adopt(spool.store("x").await.unwrap(), &at).await.unwrap_err();
    assert!(matches!(error, StorageError::Denied { .. }), "{error:?}");

    let mut no_bucket = server.options();
    no_bucket.bucket = "nothing-here".to_owned();
    let storage = S3Storage::open(no_bucket).unwrap();
    let error = storage.list("").next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("there is no such bucket"), "{error:?}");

    let storage = S3Storage::open(server.options()).unwrap();
    storage.adopt(spool.store("x").await.unwrap(), &at).await.unwrap();
    server.stop().await;
    for error in [
        storage.size(&at).await.unwrap_err(),
        storage.open(&at, None).await.err().unwrap(),
        storage.open(&at, Some(0..1)).await.err().unwrap(),
        storage.delete(&at).await.unwrap_err(),
        storage.list("").next().await.unwrap().unwrap_err(),
        storage.adopt(spool.store("y").await.unwrap(), &at).await.unwrap_err(),
    ] {
        assert!(matches!(error, StorageError::Backend { .. }), "{error:?}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
    assert_eq!(spool.used(), 0);
}

#[tokio::test]
async fn an_upload_that_fails_midway_is_aborted_and_shows_nothing() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path()).await;
    let storage = S3Storage::open(server.options().part_size(5 * 1024 * 1024)).unwrap();
    let file = spool.store(vec![1; 12 * 1024 * 1024]).await.unwrap();
    // Somebody cuts the spooled file: its last part cannot be read.
    std::fs::OpenOptions::new().write(true).open(file.path()).unwrap().set_len(11 * 1024 * 1024).unwrap();
    let at = path("artifact/ab/large");
    let error = storage.adopt(file, &at).await.unwrap_err();
    assert!(error.to_string().contains("spooled"), "{error}");
    assert!(matches!(storage.size(&at).await, Err(StorageError::NotFound { .. })));
    // The abort goes out by itself. The limit only keeps a failure from running for ever.
    let aborted = async {
        while !server.parts().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), aborted).await.expect("the upload is aborted");
}
