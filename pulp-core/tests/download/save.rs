//! From a URL to a verified file in the spool.

use http::StatusCode;
use pulp_core::digest::{Algorithm, Digests, Expected, Mismatch};
use pulp_core::download::{DownloadError, HttpDownloader, RemoteOptions, SaveOptions, download_to_spool};
use pulp_core::storage::{SpoolOptions, Spooled, StorageError};
use pulp_testkit::{Blob, Fault, Upstream};

use crate::world::{TestSpool, expected, impatient, request, retry, unsized_expected};

/// Saves `a` and says what is in the file.
async fn save(upstream: &Upstream, options: &SaveOptions) -> Result<Vec<u8>, DownloadError> {
    let kept = TestSpool::new().await;
    let result = save_to(&kept, upstream, options).await;
    let bytes = result.map(|file| std::fs::read(file.path()).unwrap());
    assert_eq!(kept.spool.used(), 0, "nothing is left behind");
    bytes
}

async fn save_to(kept: &TestSpool, upstream: &Upstream, options: &SaveOptions) -> Result<Spooled, DownloadError> {
    let remote = HttpDownloader::new(&RemoteOptions::default()).unwrap();
    download_to_spool(&remote, request(upstream, "a"), &kept.spool, options).await
}

fn expecting(blob: &Blob, retries: u32) -> SaveOptions {
    SaveOptions::expecting(expected(blob)).retry(retry(retries))
}

fn ranges(upstream: &Upstream) -> Vec<Option<String>> {
    upstream.requests().iter().map(|seen| seen.range().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_file_is_kept_with_its_digests() {
    for size in [0, 1, 300_000, 2_000_000] {
        let blob = Blob::seeded(1, size);
        let upstream = Upstream::start().await.file("a", blob.clone());
        let kept = TestSpool::new().await;
        let file = save_to(&kept, &upstream, &expecting(&blob, 0)).await.unwrap();
        assert_eq!(file.size(), size);
        assert_eq!(file.sha256().unwrap().to_string(), blob.sha256());
        let present: Vec<_> = file.digests().iter().map(|(algorithm, _)| algorithm).collect();
        assert_eq!(present, Algorithm::DEFAULT);
    }
}

#[tokio::test]
async fn a_body_that_broke_off_is_continued() {
    let blob = Blob::seeded(1, 1_000_000);
    let upstream =
        Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(300_000).once()).fault("a", Fault::CutAt(300_000).once());
    assert_eq!(save(&upstream, &expecting(&blob, 2)).await.unwrap(), blob.to_bytes());
    let wanted = [None, Some("bytes=300000-".to_owned()), Some("bytes=600000-".to_owned())];
    assert_eq!(ranges(&upstream), wanted);
    assert_eq!(upstream.bytes_sent("a"), 1_000_000);
    assert!(upstream.requests()[1].header("if-range").is_some());
}

#[tokio::test]
async fn without_ranges_or_validators_it_begins_again() {
    let blob = Blob::seeded(1, 1_000_000);
    for fault in [Fault::NoRange, Fault::WeakEtag, Fault::NoEtag] {
        let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(300_000).once()).fault("a", fault.clone());
        let options = SaveOptions::default().retry(retry(1));
        assert_eq!(save(&upstream, &options).await.unwrap(), blob.to_bytes(), "{fault:?}");
        assert_eq!(upstream.hits("a"), 2);
    }
}

#[tokio::test]
async fn a_file_that_changes_between_two_attempts_is_taken_as_it_is_now() {
    let (old, new) = (Blob::seeded(1, 1_000_000), Blob::seeded(2, 900_000));
    let upstream = Upstream::start().await.file("a", old).fault("a", Fault::HoldAt(300_000).once());
    let kept = TestSpool::new().await;
    let options = SaveOptions::default().retry(retry(1));
    let change = async {
        upstream.wait_bytes("a", 300_000).await;
        upstream.put("a", new.clone());
    };
    // The silence ends the first attempt.
    let remote = HttpDownloader::new(&impatient()).unwrap();
    let save = download_to_spool(&remote, request(&upstream, "a"), &kept.spool, &options);
    let (file, ()) = tokio::join!(save, change);
    assert_eq!(file.unwrap().sha256().unwrap().to_string(), new.sha256());
}

#[tokio::test]
async fn wrong_bytes_are_fetched_again_and_never_kept() {
    let blob = Blob::seeded(1, 500_000);
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(400_000).once());
    assert_eq!(save(&upstream, &expecting(&blob, 1)).await.unwrap(), blob.to_bytes());
    assert_eq!(ranges(&upstream), [None, None]);

    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(400_000));
    let error = save(&upstream, &expecting(&blob, 2)).await.unwrap_err();
    let DownloadError::Mismatch { mismatch: Mismatch::Digest { algorithm, expected, .. }, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*algorithm, &**expected), (Algorithm::Sha256, blob.sha256().as_str()));
    assert_eq!(upstream.hits("a"), 3);
}

#[tokio::test]
async fn a_continuation_that_does_not_fit_is_found_by_the_digest() {
    let blob = Blob::seeded(1, 500_000);
    let upstream =
        Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(200_000).once()).fault("a", Fault::FlipByte(100).times(2));
    let error = save(&upstream, &expecting(&blob, 1)).await.unwrap_err();
    assert!(matches!(error, DownloadError::Mismatch { .. }), "{error}");
    assert_eq!(save(&upstream, &expecting(&blob, 0)).await.unwrap(), blob.to_bytes());
}

#[tokio::test]
async fn a_busy_source_is_asked_again_and_a_clear_refusal_is_final() {
    let upstream = Upstream::start()
        .await
        .file("a", "hello")
        .fault("a", Fault::Status(503).times(2))
        .fault("a", Fault::TooManyRequests { retry_after: Some(0) }.once());
    let options = SaveOptions::default().retry(retry(3));
    assert_eq!(save(&upstream, &options).await.unwrap(), b"hello");
    assert_eq!(upstream.hits("a"), 4);

    upstream.forget();
    upstream.plan("a", Fault::Status(503).times(4));
    let error = save(&upstream, &options).await.unwrap_err();
    assert!(matches!(error, DownloadError::Status { status: StatusCode::SERVICE_UNAVAILABLE, .. }), "{error}");
    assert_eq!(upstream.hits("a"), 4);

    upstream.forget();
    upstream.remove("a");
    let error = save(&upstream, &options).await.unwrap_err();
    assert!(matches!(error, DownloadError::NotFound { .. }), "{error}");
    assert_eq!(upstream.hits("a"), 1);
}

#[tokio::test]
async fn a_wrong_size_is_refused_by_the_head() {
    let blob = Blob::seeded(1, 500_000);
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::LyingLength(-5));
    let error = save(&upstream, &expecting(&blob, 0)).await.unwrap_err();
    let wrong = Mismatch::Size { expected: 500_000, actual: 499_995 };
    assert!(matches!(&error, DownloadError::Mismatch { mismatch, .. } if *mismatch == wrong), "{error}");
}

#[tokio::test]
async fn a_size_that_was_announced_bounds_a_body_without_length() {
    let blob = Blob::seeded(1, 500_000);
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::NoLength);
    let shorter = Expected { size: Some(400_000), ..unsized_expected(&blob) };
    let error = save(&upstream, &SaveOptions::expecting(shorter).retry(retry(0))).await.unwrap_err();
    assert!(matches!(error, DownloadError::Mismatch { mismatch: Mismatch::Size { expected: 400_000, .. }, .. }), "{error}");
    let longer = Expected { size: Some(600_000), ..unsized_expected(&blob) };
    let error = save(&upstream, &SaveOptions::expecting(longer).retry(retry(0))).await.unwrap_err();
    assert!(matches!(error, DownloadError::Truncated { expected: Some(600_000), got: 500_000, .. }), "{error}");
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused_with_and_without_length() {
    for fault in [None, Some(Fault::NoLength)] {
        let upstream = Upstream::start().await.file("a", Blob::repeated(b'x', 5_000_000_000));
        if let Some(fault) = fault {
            upstream.plan("a", fault);
        }
        let options = SaveOptions::default().limit(1_000_000).retry(retry(3));
        let error = save(&upstream, &options).await.unwrap_err();
        assert!(matches!(error, DownloadError::TooLong { limit: 1_000_000, .. }), "{error}");
        assert_eq!(upstream.hits("a"), 1);
    }
}

#[tokio::test]
async fn a_full_spool_is_an_error_that_no_retry_heals() {
    let upstream = Upstream::start().await.file("a", Blob::seeded(1, 500_000));
    let kept = TestSpool::with(SpoolOptions::default().quota(100_000)).await;
    let options = SaveOptions::default().retry(retry(3));
    let error = save_to(&kept, &upstream, &options).await.unwrap_err();
    let DownloadError::Spool { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(**source, StorageError::Quota { quota: 100_000 }), "{source}");
    assert_eq!((upstream.hits("a"), kept.spool.used()), (1, 0));
}

#[tokio::test]
async fn a_digest_that_is_not_computed_is_refused_before_the_download() {
    let blob = Blob::seeded(1, 10);
    let upstream = Upstream::start().await.file("a", blob.clone());
    let digests = Digests::new().with(Algorithm::Md5, &"0".repeat(32)).unwrap();
    let options = SaveOptions::expecting(Expected { size: None, digests }).retry(retry(3));
    let error = save(&upstream, &options).await.unwrap_err();
    assert!(matches!(error, DownloadError::Mismatch { mismatch: Mismatch::Unverifiable { .. }, .. }), "{error}");
    assert_eq!(upstream.hits("a"), 0);
}

#[tokio::test]
async fn bad_options_are_found_before_any_request() {
    let mut options = RemoteOptions::default();
    options.ca_cert = Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_owned());
    let error = HttpDownloader::new(&options).unwrap_err();
    assert!(matches!(error, DownloadError::InvalidOption { field: "ca_cert", .. }), "{error}");
}
