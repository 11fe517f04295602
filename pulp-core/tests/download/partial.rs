//! Beginnings of large files, which the next fetch goes on with.

use futures::TryStreamExt as _;
use pulp_core::digest::Expected;
use pulp_core::download::{DownloadError, FetchRequest, Fetcher, FetcherOptions, HttpDownloader, RemoteOptions, SaveOptions, Source};
use pulp_core::download::{FetchHandler, FetchRange, download_to_spool};
use pulp_core::storage::{PartialKey, SpoolOptions, Spooled};
use pulp_testkit::{Blob, Fault, Upstream};
use uuid::Uuid;

use crate::world::{TestSpool, expected, request, retry, unsized_expected};

const SIZE: u64 = 9_000_000;
const CUT: u64 = 6_000_000;

async fn keeping() -> TestSpool {
    TestSpool::with(SpoolOptions::default().partial(100 << 20)).await
}

async fn save(kept: &TestSpool, upstream: &Upstream, expected: Expected) -> Result<Vec<u8>, DownloadError> {
    let remote = HttpDownloader::new(&RemoteOptions::default()).unwrap();
    let key = PartialKey::new(Uuid::nil(), &expected);
    let options = SaveOptions::expecting(expected).retry(retry(0)).partial(key);
    let file = download_to_spool(&remote, request(upstream, "a"), &kept.spool, &options).await?;
    Ok(std::fs::read(file.path()).unwrap())
}

/// From where on each request wanted the file.
fn offsets(upstream: &Upstream) -> Vec<u64> {
    let offset = |range: &str| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    upstream.requests().iter().map(|seen| seen.range().map_or(0, offset)).collect()
}

/// Whether that is where a fetch broke off: its last block may not have been written.
fn is_cut(offset: u64) -> bool {
    (CUT - (256 << 10)..=CUT).contains(&offset)
}

#[tokio::test]
async fn a_fetch_that_failed_is_taken_up_by_the_next() {
    let blob = Blob::seeded(1, SIZE);
    for announced in [expected(&blob), unsized_expected(&blob)] {
        let kept = keeping().await;
        let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(CUT).once());
        save(&kept, &upstream, announced.clone()).await.unwrap_err();
        assert_eq!(kept.spool.used(), 0, "what is only kept takes nothing from the quota");
        assert_eq!(save(&kept, &upstream, announced.clone()).await.unwrap(), blob.to_bytes());
        // It was taken, and is gone.
        save(&kept, &upstream, announced).await.unwrap();
        let [0, second, 0] = offsets(&upstream)[..] else { panic!("{:?}", offsets(&upstream)) };
        assert!(is_cut(second), "{second}");
    }
}

#[tokio::test]
async fn without_a_key_or_room_nothing_is_kept() {
    let blob = Blob::seeded(1, SIZE);
    let small = TestSpool::with(SpoolOptions::default().partial(5 << 20)).await;
    for (kept, announced) in [(TestSpool::new().await, expected(&blob)), (keeping().await, Expected::anything()), (small, expected(&blob))]
    {
        let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(CUT).once());
        save(&kept, &upstream, announced.clone()).await.unwrap_err();
        assert_eq!(save(&kept, &upstream, announced).await.unwrap(), blob.to_bytes());
        assert_eq!(offsets(&upstream), [0, 0]);
    }
}

#[tokio::test]
async fn a_beginning_of_another_file_does_no_harm() {
    let (right, wrong) = (Blob::seeded(1, SIZE), Blob::seeded(2, SIZE));
    let shorter = Blob::seeded(3, 5 << 20);
    // The parts do not make the file; the file ends before that.
    for right in [&right, &shorter] {
        let (kept, announced) = (keeping().await, unsized_expected(right));
        let upstream = Upstream::start().await.file("a", wrong.clone()).fault("a", Fault::CutAt(CUT).once());
        save(&kept, &upstream, announced.clone()).await.unwrap_err();
        upstream.put("a", right.clone());
        assert_eq!(save(&kept, &upstream, announced.clone()).await.unwrap(), right.to_bytes());
        let [0, second, 0] = offsets(&upstream)[..] else { panic!("{:?}", offsets(&upstream)) };
        assert!(is_cut(second), "{second}");
        // Nor is it found a second time.
        assert_eq!(save(&kept, &upstream, announced).await.unwrap(), right.to_bytes());
    }
}

#[tokio::test]
async fn a_source_without_ranges_gives_the_whole_file() {
    let blob = Blob::seeded(1, SIZE);
    let kept = keeping().await;
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(CUT).once());
    save(&kept, &upstream, expected(&blob)).await.unwrap_err();
    upstream.plan("a", Fault::NoRange);
    assert_eq!(save(&kept, &upstream, expected(&blob)).await.unwrap(), blob.to_bytes());
    assert_eq!(upstream.bytes_sent("a"), CUT + SIZE);
}

#[tokio::test]
async fn whoever_gives_up_leaves_what_came() {
    let blob = Blob::seeded(1, SIZE);
    let kept = keeping().await;
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(CUT).once());
    let saving = save(&kept, &upstream, expected(&blob));
    let all_came = async {
        while kept.spool.used() == 0 || upstream.bytes_sent("a") < CUT {
            tokio::task::yield_now().await;
        }
        // What was sent last is on its way.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    tokio::select! {
        _ = saving => panic!("it cannot end"),
        () = all_came => {}
    }
    assert_eq!(save(&kept, &upstream, expected(&blob)).await.unwrap(), blob.to_bytes());
    assert!(is_cut(offsets(&upstream)[1]), "{:?}", offsets(&upstream));
}

struct Forget;

#[async_trait::async_trait]
impl FetchHandler for Forget {
    async fn complete(&self, _: Spooled) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// A fetch that many may share, as one client sees it.
async fn read(fetcher: &Fetcher, upstream: &Upstream, expected: &Expected, range: Option<FetchRange>) -> Option<Vec<u8>> {
    let source = Source {
        id: "one".into(),
        downloader: std::sync::Arc::new(HttpDownloader::new(&RemoteOptions::default()).unwrap()),
        request: request(upstream, "a"),
        retry: retry(0),
    };
    let key = PartialKey::new(Uuid::nil(), expected);
    let request = FetchRequest::new("a", vec![source], expected.clone(), std::sync::Arc::new(Forget)).partial(key);
    let (_, body) = fetcher.open(request, range).await.ok()?;
    Some(body.try_collect::<Vec<_>>().await.ok()?.concat())
}

#[tokio::test]
async fn clients_get_a_file_whose_beginning_was_left() {
    let blob = Blob::seeded(1, SIZE);
    let kept = keeping().await;
    let fetcher = Fetcher::new(kept.spool.clone(), FetcherOptions::default());
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(CUT).once());
    assert_eq!(read(&fetcher, &upstream, &expected(&blob), None).await, None);
    let range = Some(FetchRange::Span(100, Some(SIZE - 100)));
    let whole = blob.to_bytes();
    let (announced, last) = (expected(&blob), expected(&blob));
    let (one, part) = tokio::join!(read(&fetcher, &upstream, &announced, None), read(&fetcher, &upstream, &last, range));
    assert_eq!(one.unwrap(), whole);
    assert_eq!(part.unwrap(), whole[100..whole.len() - 100]);
    // Where somebody reads along, each chunk is in the file at once.
    assert_eq!(offsets(&upstream), [0, CUT]);
    assert_eq!(fetcher.figures().bytes, SIZE, "what was left counts once");
}

#[tokio::test]
async fn clients_never_complete_a_file_on_a_wrong_beginning() {
    let (right, wrong) = (Blob::seeded(1, SIZE), Blob::seeded(2, SIZE));
    let kept = keeping().await;
    let fetcher = Fetcher::new(kept.spool.clone(), FetcherOptions::default());
    let upstream = Upstream::start().await.file("a", wrong).fault("a", Fault::CutAt(CUT).once());
    assert_eq!(read(&fetcher, &upstream, &expected(&right), None).await, None);
    upstream.put("a", right.clone());
    // This one may see the wrong beginning, and then loses its connection; or waits for the right one.
    let first = read(&fetcher, &upstream, &expected(&right), None).await;
    assert!(first.is_none_or(|bytes| bytes == right.to_bytes()));
    assert_eq!(read(&fetcher, &upstream, &expected(&right), None).await.unwrap(), right.to_bytes());
}
