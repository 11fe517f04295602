//! Lazy content: one fetch for all who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use pulp_core::digest::Expected;
use pulp_core::download::{
    DownloadError, FetchError, FetchHandler, FetchMeta, FetchRange, FetchRequest, FetchStream, Fetcher, FetcherOptions, HttpDownloader,
    RemoteOptions, Source,
};
use pulp_core::storage::{SpoolOptions, Spooled, StorageError};
use pulp_testkit::{Blob, Fault, Upstream};
use tokio::sync::{Semaphore, mpsc};

use crate::world::{TestSpool, expected, impatient, request, retry, unsized_expected};

const MIB: u64 = 1 << 20;

/// What the fetch told its handler.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Stored(Vec<u8>),
    Failed(String),
}

/// Keeps a record. `gate` lets `complete` return.
pub struct Recorder {
    told: mpsc::UnboundedSender<Told>,
    gate: Semaphore,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Outcome {
    Stored,
    Refused,
    Panic,
}

impl Recorder {
    pub fn new(told: mpsc::UnboundedSender<Told>, outcome: Outcome) -> Self {
        Self { told, gate: Semaphore::new(Semaphore::MAX_PERMITS), outcome }
    }
}

#[async_trait]
impl FetchHandler for Recorder {
    async fn complete(&self, file: Spooled) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let bytes = std::fs::read(file.path())?;
        self.told.send(Told::Stored(bytes))?;
        self.gate.acquire().await?.forget();
        match self.outcome {
            Outcome::Stored => Ok(()),
            Outcome::Refused => Err("the database is away".into()),
            Outcome::Panic => panic!("planned"),
        }
    }

    async fn source_failed(&self, source: &Source, _: &DownloadError) {
        let _ = self.told.send(Told::Failed(source.id.clone()));
    }
}

/// A fetcher with its record.
struct World {
    fetcher: Fetcher,
    kept: TestSpool,
    handler: Arc<Recorder>,
    told: mpsc::UnboundedReceiver<Told>,
    streamed: bool,
    remote: RemoteOptions,
    retries: u32,
}

impl World {
    async fn new() -> Self {
        Self::with(FetcherOptions::default(), SpoolOptions::default(), Outcome::Stored).await
    }

    async fn with(options: FetcherOptions, spool: SpoolOptions, outcome: Outcome) -> Self {
        let kept = TestSpool::with(spool).await;
        let (sender, told) = mpsc::unbounded_channel();
        let handler = Recorder::new(sender, outcome);
        Self {
            fetcher: Fetcher::new(kept.spool.clone(), options),
            kept,
            handler: Arc::new(handler),
            told,
            streamed: false,
            remote: RemoteOptions::default(),
            retries: 1,
        }
    }

    fn request(&self, upstreams: &[&Upstream], expected: &Expected) -> FetchRequest {
        let remote = Arc::new(HttpDownloader::new(&self.remote).unwrap());
        let sources = upstreams
            .iter()
            .enumerate()
            .map(|(index, upstream)| Source {
                id: index.to_string(),
                downloader: remote.clone(),
                request: request(upstream, "a"),
                retry: retry(self.retries),
            })
            .collect();
        FetchRequest::new("a", sources, expected.clone(), self.handler.clone()).streamed(self.streamed)
    }

    async fn open(&self, upstreams: &[&Upstream], expected: &Expected) -> Result<(FetchMeta, FetchStream), FetchError> {
        self.fetcher.open(self.request(upstreams, expected), None).await
    }

    async fn get(&self, upstreams: &[&Upstream], expected: &Expected) -> Result<Bytes, FetchError> {
        rest(self.open(upstreams, expected).await?.1).await
    }

    async fn range(&self, upstream: &Upstream, expected: &Expected, range: FetchRange) -> Result<(FetchMeta, Bytes), FetchError> {
        let (meta, body) = self.fetcher.open(self.request(&[upstream], expected), Some(range)).await?;
        Ok((meta, rest(body).await?))
    }

    async fn stored(&mut self) -> Vec<u8> {
        match self.told.recv().await.unwrap() {
            Told::Stored(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until no fetch is under way.
    async fn quiet(&self) {
        within(async {
            while self.fetcher.pending() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn assert_nothing_left(&mut self) {
        self.quiet().await;
        while self.kept.spool.used() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.told.try_recv().ok(), None);
    }
}

/// Fails rather than hangs.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("in time")
}

async fn rest(body: FetchStream) -> Result<Bytes, FetchError> {
    let chunks: Vec<Bytes> = body.try_collect().await?;
    Ok(chunks.concat().into())
}

/// Reads exactly so many bytes, and maybe a few more.
async fn read(body: &mut FetchStream, bytes: usize) -> Vec<u8> {
    let mut seen = Vec::new();
    while seen.len() < bytes {
        seen.extend(body.next().await.unwrap().unwrap());
    }
    seen
}

/// Reads what comes until an error, which must come.
async fn read_until_error(body: FetchStream) -> (Vec<u8>, FetchError) {
    let mut seen = Vec::new();
    let mut body = body;
    loop {
        match body.next().await {
            Some(Ok(chunk)) => seen.extend(chunk),
            Some(Err(error)) => return (seen, error),
            None => panic!("the client was given an end after {} bytes", seen.len()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_are_one_request() {
    for size in [4096, 3 * MIB] {
        let blob = Blob::seeded(1, size);
        let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(1000).once());
        let mut world = World::new().await;
        let expected = expected(&blob);
        let release = async {
            upstream.wait_hits("a", 1).await;
            upstream.release();
        };
        let upstreams = [&upstream];
        let clients = join_all((0..100).map(|_| world.get(&upstreams, &expected)));
        let (all, ()) = tokio::join!(clients, release);
        let content = blob.to_bytes();
        assert!(all.into_iter().all(|bytes| bytes.unwrap() == content));
        assert_eq!(upstream.hits("a"), 1);
        assert!(world.stored().await == content);
        world.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn clients_read_while_the_file_grows() {
    let blob = Blob::seeded(1, 3 * MIB);
    let content = blob.to_bytes();
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(2 * MIB));
    let mut world = World::new().await;
    let expected = expected(&blob);
    let (meta, mut first) = world.open(&[&upstream], &expected).await.unwrap();
    assert_eq!((meta.length, meta.start, meta.end, meta.verified), (Some(3 * MIB), 0, Some(3 * MIB), false));
    let mut seen = read(&mut first, 2 * MIB as usize).await;
    // A late joiner finds the beginning, though the source is silent.
    let (_, mut late) = world.open(&[&upstream], &expected).await.unwrap();
    let mut late_seen = read(&mut late, MIB as usize).await;
    upstream.release();
    seen.extend(rest(first).await.unwrap());
    late_seen.extend(rest(late).await.unwrap());
    assert!(seen == content && late_seen == content);
    assert_eq!(upstream.hits("a"), 1);
    assert!(world.stored().await == content);
    world.assert_nothing_left().await;
}

#[tokio::test]
async fn ranges_are_served_from_the_one_fetch() {
    let blob = Blob::seeded(1, 3 * MIB);
    let content = blob.to_bytes();
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(MIB));
    let world = World::new().await;
    let expected = expected(&blob);
    let (_, early) = world.range(&upstream, &expected, FetchRange::Span(10, Some(20))).await.unwrap();
    assert_eq!(early, content[10..20]);
    // Beyond the watermark: it waits.
    let span = FetchRange::Span(2 * MIB, Some(2 * MIB + 5));
    let mut beyond = Box::pin(world.range(&upstream, &expected, span));
    assert!(futures::poll!(&mut beyond).is_pending());
    upstream.release();
    let (meta, bytes) = beyond.await.unwrap();
    assert_eq!((meta.start, meta.end, meta.length), (2 * MIB, Some(2 * MIB + 5), Some(3 * MIB)));
    assert_eq!(bytes, content[2 * MIB as usize..][..5]);
    world.quiet().await;
    let (_, tail) = world.range(&upstream, &expected, FetchRange::Last(7)).await.unwrap();
    assert_eq!(tail, content[content.len() - 7..]);
    let error = world.range(&upstream, &expected, FetchRange::Span(3 * MIB, None)).await.unwrap_err();
    assert!(matches!(error, FetchError::RangeNotSatisfiable { length } if length == 3 * MIB), "{error}");
}

#[tokio::test]
async fn a_range_of_a_file_of_unknown_length_waits_for_it() {
    let blob = Blob::seeded(1, 3 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::NoLength);
    let world = World::new().await;
    let (meta, bytes) = world.range(&upstream, &unsized_expected(&blob), FetchRange::Last(9)).await.unwrap();
    assert_eq!((meta.length, meta.verified), (Some(3 * MIB), true));
    assert_eq!(bytes, blob.to_bytes()[3 * MIB as usize - 9..]);
    assert_eq!(world.get(&[&upstream], &unsized_expected(&blob)).await.unwrap(), blob.to_bytes());
}

#[tokio::test]
async fn a_client_that_leaves_ends_nothing() {
    let blob = Blob::seeded(1, 3 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(2 * MIB));
    let mut world = World::new().await;
    let expected = expected(&blob);
    let (_, mut first) = world.open(&[&upstream], &expected).await.unwrap();
    read(&mut first, 1).await;
    drop(first);
    // One that leaves before it has an answer, too.
    drop(Box::pin(world.range(&upstream, &expected, FetchRange::Last(1))));
    upstream.release();
    assert!(world.stored().await == blob.to_bytes());
    assert_eq!(upstream.hits("a"), 1);
    world.assert_nothing_left().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_nobody() {
    let blob = Blob::seeded(1, 8 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone());
    let mut world = World::new().await;
    let expected = expected(&blob);
    let (_, mut slow) = world.open(&[&upstream], &expected).await.unwrap();
    let mut seen = read(&mut slow, 1).await;
    assert!(seen.len() <= 256 << 10, "one chunk at most is in memory");
    assert!(world.get(&[&upstream], &expected).await.unwrap() == blob.to_bytes());
    assert!(world.stored().await == blob.to_bytes());
    world.quiet().await;
    seen.extend(rest(slow).await.unwrap());
    assert!(seen == blob.to_bytes());
}

#[tokio::test]
async fn a_second_source_goes_on_where_the_first_broke_off() {
    let blob = Blob::seeded(1, 3 * MIB);
    for second in [None, Some(Fault::NoRange)] {
        let broken = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(2 * MIB));
        let whole = Upstream::start().await.file("a", blob.clone());
        if let Some(fault) = second.clone() {
            whole.plan("a", fault);
        }
        let mut world = World::new().await;
        assert!(world.get(&[&broken, &whole], &expected(&blob)).await.unwrap() == blob.to_bytes());
        assert_eq!((broken.hits("a"), whole.hits("a")), (1, 1));
        assert_eq!(whole.requests()[0].range(), Some(format!("bytes={}-", 2 * MIB).as_str()));
        if second.is_none() {
            assert_eq!(whole.bytes_sent("a"), MIB);
        }
        assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())));
        assert!(world.stored().await == blob.to_bytes());
        world.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_source_with_a_file_of_another_length_is_passed_over() {
    let blob = Blob::seeded(1, 3 * MIB);
    for fault in [Fault::NoRange, Fault::NoEtag] {
        let broken = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(2 * MIB));
        let other = Upstream::start().await.file("a", Blob::seeded(2, 4 * MIB)).fault("a", fault);
        let short = Upstream::start().await.file("a", Blob::seeded(2, MIB));
        let whole = Upstream::start().await.file("a", blob.clone());
        let world = World::new().await;
        let (_, mut body) = world.open(&[&broken, &other, &short, &whole], &unsized_expected(&blob)).await.unwrap();
        let mut seen = read(&mut body, 1).await;
        seen.extend(rest(body).await.unwrap());
        assert!(seen == blob.to_bytes());
        assert_eq!(whole.bytes_sent("a"), MIB);
    }
}

#[tokio::test]
async fn one_source_is_continued_by_its_validator() {
    let blob = Blob::seeded(1, 3 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(2 * MIB).once());
    let world = World::new().await;
    assert!(world.get(&[&upstream], &Expected::anything()).await.unwrap() == blob.to_bytes());
    let seen = &upstream.requests()[1];
    assert!(seen.range().is_some() && seen.header("if-range").is_some());
}

#[tokio::test]
async fn without_a_digest_the_second_source_must_begin_with_the_same_bytes() {
    let blob = Blob::seeded(1, 3 * MIB);
    let broken = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::CutAt(2 * MIB));
    let same = Upstream::start().await.file("a", blob.clone());
    let world = World::new().await;
    assert!(world.get(&[&broken, &same], &Expected::anything()).await.unwrap() == blob.to_bytes());
    assert_eq!(same.requests()[0].range(), None);

    let other = Upstream::start().await.file("a", Blob::seeded(2, 3 * MIB));
    let world = World::new().await;
    let (_, body) = world.open(&[&broken, &other], &Expected::anything()).await.unwrap();
    let (seen, error) = read_until_error(body).await;
    assert!(seen == blob.to_bytes()[..seen.len()] && seen.len() as u64 <= 2 * MIB);
    assert!(matches!(error, FetchError::BadGateway(_)), "{error}");
}

#[tokio::test]
async fn nobody_completes_a_wrong_file() {
    for (size, offset) in [(3 * MIB, 100), (3 * MIB, 3 * MIB - 1), (MIB, 0), (1, 0)] {
        let blob = Blob::seeded(1, size);
        for expected in [expected(&blob), unsized_expected(&blob)] {
            let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(offset));
            let mut world = World::new().await;
            match world.open(&[&upstream], &expected).await {
                Err(error) => assert!(matches!(error, FetchError::BadGateway(_)), "{error}"),
                Ok((meta, body)) => {
                    assert!(size > MIB && !meta.verified, "small files are verified before the first byte");
                    let (seen, error) = read_until_error(body).await;
                    assert!((seen.len() as u64) < size);
                    assert!(matches!(error, FetchError::Retracted | FetchError::BadGateway(_)), "{error}");
                }
            }
            assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())));
            world.assert_nothing_left().await;
        }
    }
}

#[tokio::test]
async fn the_end_of_a_large_file_is_withheld_until_it_is_verified() {
    let blob = Blob::seeded(1, 3 * MIB);
    for (expected, fault) in [(expected(&blob), None), (unsized_expected(&blob), Some(Fault::NoLength))] {
        let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(3 * MIB - 1));
        if let Some(fault) = fault {
            upstream.plan("a", fault);
        }
        let world = World::new().await;
        let (_, mut body) = world.open(&[&upstream], &expected).await.unwrap();
        let mut seen = Vec::new();
        while let Ok(Some(chunk)) = tokio::time::timeout(Duration::from_millis(500), body.next()).await {
            seen.extend(chunk.unwrap());
        }
        assert_eq!(upstream.bytes_sent("a"), 3 * MIB - 1);
        assert!(seen.len() as u64 <= 3 * MIB - (64 << 10), "{} bytes", seen.len());
        upstream.release();
        seen.extend(rest(body).await.unwrap());
        assert!(seen == blob.to_bytes());
    }
}

#[tokio::test]
async fn a_wrong_small_file_is_replaced_from_the_next_source_unnoticed() {
    let blob = Blob::seeded(1, MIB);
    let wrong = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(5));
    let right = Upstream::start().await.file("a", blob.clone());
    let mut world = World::new().await;
    let (meta, body) = world.open(&[&wrong, &right], &expected(&blob)).await.unwrap();
    assert!(meta.verified);
    assert!(rest(body).await.unwrap() == blob.to_bytes());
    assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())));
    assert!(world.stored().await == blob.to_bytes());
}

#[tokio::test]
async fn a_wrong_large_file_is_retracted_from_who_has_a_part_of_it_only() {
    let blob = Blob::seeded(1, 3 * MIB);
    let wrong = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(5)).fault("a", Fault::HoldAt(2 * MIB));
    let right = Upstream::start().await.file("a", blob.clone());
    let mut world = World::new().await;
    let expected = expected(&blob);
    let (_, mut begun) = world.open(&[&wrong, &right], &expected).await.unwrap();
    read(&mut begun, 1).await;
    let (_, waiting) = world.open(&[&wrong, &right], &expected).await.unwrap();
    wrong.release();
    assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())));
    assert!(world.stored().await == blob.to_bytes());
    assert!(rest(waiting).await.unwrap() == blob.to_bytes());
    assert!(matches!(read_until_error(begun).await.1, FetchError::Retracted));
    assert_eq!((wrong.hits("a"), right.hits("a")), (1, 1));
}

#[tokio::test]
async fn who_has_right_bytes_only_does_not_notice_that_the_file_went_wrong_behind_them() {
    let blob = Blob::seeded(1, 4 * MIB);
    let flip = 2 * MIB as usize + 5;
    let wrong = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(flip as u64)).fault("a", Fault::HoldAt(3 * MIB));
    let right = Upstream::start().await.file("a", blob.clone());
    let mut world = World::new().await;
    let expected = expected(&blob);
    let (_, mut before) = world.open(&[&wrong, &right], &expected).await.unwrap();
    let mut seen = read(&mut before, MIB as usize).await;
    let part = FetchRange::Span(flip as u64 + 1, Some(4 * MIB));
    let (_, mut behind) = world.fetcher.open(world.request(&[&wrong, &right], &expected), Some(part)).await.unwrap();
    let mut part = read(&mut behind, 1).await;
    let (_, mut across) = world.open(&[&wrong, &right], &expected).await.unwrap();
    read(&mut across, flip + 1).await;
    wrong.release();
    // Nobody reads on before it is known that the end is wrong.
    assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())));
    assert!(world.stored().await == blob.to_bytes());
    seen.extend(rest(before).await.unwrap());
    assert!(seen == blob.to_bytes());
    part.extend(rest(behind).await.unwrap());
    assert!(part == blob.to_bytes()[flip + 1..]);
    assert!(matches!(read_until_error(across).await.1, FetchError::Retracted));
    assert_eq!((wrong.hits("a"), right.hits("a")), (1, 1));
}

#[tokio::test]
async fn a_right_source_is_asked_for_the_whole_when_the_parts_do_not_fit() {
    let blob = Blob::seeded(1, 3 * MIB);
    let wrong = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(5)).fault("a", Fault::CutAt(2 * MIB));
    let right = Upstream::start().await.file("a", blob.clone());
    let mut world = World { retries: 0, ..World::new().await };
    let _ = world.get(&[&wrong, &right], &expected(&blob)).await;
    assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())), "it broke off; the second is not to blame");
    assert!(world.stored().await == blob.to_bytes());
    assert_eq!((wrong.hits("a"), right.hits("a")), (1, 2));
}

#[tokio::test]
async fn a_source_is_not_blamed_for_what_another_gave_to_the_last_byte() {
    let blob = Blob::seeded(1, MIB / 4);
    let faults = [Fault::LyingLength(274), Fault::NoLength, Fault::FlipByte(5)];
    let wrong = Upstream::start().await.file("a", blob.clone());
    let wrong = faults.into_iter().fold(wrong, |wrong, fault| wrong.fault("a", fault));
    let right = Upstream::start().await.file("a", blob.clone());
    let mut world = World::new().await;
    let (_, body) = world.open(&[&wrong, &right], &expected(&blob)).await.unwrap();
    assert!(rest(body).await.unwrap() == blob.to_bytes());
    assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())));
    assert!(world.stored().await == blob.to_bytes());
}

#[tokio::test]
async fn a_length_that_one_source_lied_about_is_not_held_against_the_next() {
    let blob = Blob::seeded(1, 3 * MIB);
    let wrong = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::LyingLength(7));
    let right = Upstream::start().await.file("a", blob.clone());
    let mut world = World { retries: 0, ..World::new().await };
    let (_, promised) = world.open(&[&wrong, &right], &unsized_expected(&blob)).await.unwrap();
    read_until_error(promised).await;
    while let Ok(told) = within(async { world.told.recv().await.ok_or(()) }).await {
        if let Told::Stored(bytes) = told {
            assert!(bytes == blob.to_bytes());
            return;
        }
    }
}

#[tokio::test]
async fn a_wrong_beginning_does_not_spoil_a_right_source() {
    let blob = Blob::seeded(1, 3 * MIB);
    let wrong = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::FlipByte(5)).fault("a", Fault::CutAt(2 * MIB));
    // It cannot continue, so the two are compared.
    let right = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::NoRange);
    let mut world = World { retries: 0, ..World::new().await };
    let _ = world.get(&[&wrong, &right], &expected(&blob)).await;
    assert_eq!(world.told.recv().await, Some(Told::Failed("0".to_owned())));
    assert!(world.stored().await == blob.to_bytes());
}

#[tokio::test]
async fn what_all_sources_say_is_the_answer() {
    let blob = Blob::seeded(1, MIB);
    let [missing, refusing, silent] = [
        Upstream::start().await,
        Upstream::start().await.fault("a", Fault::Status(403)),
        Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(0)),
    ];
    let expected = expected(&blob);
    let ask = async |upstreams: &[&Upstream]| {
        let world = World { remote: impatient(), ..World::new().await };
        world.get(upstreams, &expected).await.unwrap_err()
    };
    assert!(matches!(ask(&[]).await, FetchError::NoSource));
    assert!(matches!(ask(&[&missing, &missing]).await, FetchError::NotFound(_)));
    assert!(matches!(ask(&[&silent]).await, FetchError::GatewayTimeout(_)));
    let mixed = ask(&[&missing, &refusing]).await;
    assert!(matches!(mixed, FetchError::BadGateway(DownloadError::Forbidden { .. })), "{mixed}");
    assert!(matches!(ask(&[&missing, &silent]).await, FetchError::BadGateway(_)));
}

#[tokio::test]
async fn a_source_that_lies_about_the_length_is_not_believed() {
    let blob = Blob::seeded(1, 3 * MIB);
    for lie in [-5, 5] {
        let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::LyingLength(lie));
        let world = World::new().await;
        let error = world.open(&[&upstream], &expected(&blob)).await.err().unwrap();
        assert!(matches!(error, FetchError::BadGateway(DownloadError::Mismatch { .. })), "{error}");
        // With nothing announced, a promise that is not kept is an error in the body.
        let (_, body) = world.open(&[&upstream], &unsized_expected(&blob)).await.unwrap();
        read_until_error(body).await;
    }
}

#[tokio::test]
async fn a_source_heals_while_clients_wait() {
    let upstream = Upstream::start().await.file("a", "hello").fault("a", Fault::Status(503).once());
    let mut world = World::new().await;
    assert_eq!(world.get(&[&upstream], &Expected::anything()).await.unwrap(), "hello");
    assert_eq!(upstream.hits("a"), 2);
    assert_eq!(world.stored().await, b"hello");
    world.assert_nothing_left().await;
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let blob = Blob::seeded(1, 0);
    for expected in [expected(&blob), Expected::anything()] {
        let upstream = Upstream::start().await.file("a", blob.clone());
        let mut world = World::new().await;
        assert_eq!(world.get(&[&upstream], &expected).await.unwrap(), "");
        assert_eq!(world.stored().await, b"");
    }
}

#[tokio::test]
async fn who_comes_while_the_file_is_being_stored_shares_it_and_who_comes_later_finds_it_stored() {
    let blob = Blob::seeded(1, 2 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone());
    let mut world = World::new().await;
    world.handler.gate.forget_permits(Semaphore::MAX_PERMITS);
    let expected = expected(&blob);
    assert!(world.get(&[&upstream], &expected).await.unwrap() == blob.to_bytes());
    world.stored().await;
    let (meta, body) = world.open(&[&upstream], &expected).await.unwrap();
    assert!(meta.verified);
    assert_eq!(upstream.hits("a"), 1);
    world.handler.gate.add_permits(1);
    world.quiet().await;
    // Though the file has moved away by now.
    assert!(rest(body).await.unwrap() == blob.to_bytes());
}

#[tokio::test]
async fn who_looks_for_what_is_kept_waits_for_files_that_have_come_in() {
    let short = Duration::from_millis(50);
    let upstream = Upstream::start().await.file("a", Blob::seeded(1, MIB));
    let mut world = World::new().await;
    world.fetcher.settle(short).await;
    world.handler.gate.forget_permits(Semaphore::MAX_PERMITS);
    world.get(&[&upstream], &Expected::anything()).await.unwrap();
    world.stored().await;
    // No longer than was said.
    world.fetcher.settle(short).await;
    assert_eq!(world.fetcher.pending(), 1);
    let settled = async {
        world.fetcher.settle(Duration::from_secs(60)).await;
        world.fetcher.pending()
    };
    let finish = async {
        tokio::time::sleep(short).await;
        world.handler.gate.add_permits(1);
    };
    assert_eq!(within(futures::future::join(settled, finish)).await.0, 0);
}

#[tokio::test]
async fn nobody_waits_for_files_that_are_under_way_or_not_to_be_kept() {
    for (streamed, fault, sent) in [(false, Some(Fault::HoldAt(3 * MIB)), 3 * MIB), (true, None, 4 * MIB)] {
        let upstream = Upstream::start().await.file("a", Blob::seeded(1, 4 * MIB));
        if let Some(fault) = fault {
            upstream.plan("a", fault);
        }
        let mut world = World::new().await;
        world.streamed = streamed;
        let (_, mut body) = world.open(&[&upstream], &Expected::anything()).await.unwrap();
        read(&mut body, 10).await;
        within(upstream.wait_bytes("a", sent)).await;
        within(world.fetcher.settle(Duration::MAX)).await;
        assert_eq!(world.fetcher.pending(), 1);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_stored_is_given_and_fetched_again() {
    for outcome in [Outcome::Refused, Outcome::Panic] {
        let upstream = Upstream::start().await.file("a", "hello");
        let mut world = World::with(FetcherOptions::default(), SpoolOptions::default(), outcome).await;
        for hits in 1..=2 {
            assert_eq!(world.get(&[&upstream], &Expected::anything()).await.unwrap(), "hello");
            assert_eq!(world.stored().await, b"hello");
            world.quiet().await;
            assert_eq!(upstream.hits("a"), hits);
        }
    }
}

#[tokio::test]
async fn a_streamed_file_is_shared_and_not_kept() {
    let blob = Blob::seeded(1, 2 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone());
    let mut world = World { streamed: true, ..World::new().await };
    let expected = expected(&blob);
    let (_, first) = world.open(&[&upstream], &expected).await.unwrap();
    let upstreams = [&upstream];
    let all = join_all((0..10).map(|_| world.get(&upstreams, &expected))).await;
    assert!(all.into_iter().all(|bytes| bytes.unwrap() == blob.to_bytes()));
    // Complete, and still there as long as somebody reads.
    assert!(world.get(&[&upstream], &expected).await.unwrap() == blob.to_bytes());
    assert_eq!(upstream.hits("a"), 1);
    assert!(rest(first).await.unwrap() == blob.to_bytes());
    world.assert_nothing_left().await;
    assert!(world.get(&[&upstream], &expected).await.unwrap() == blob.to_bytes());
    assert_eq!(upstream.hits("a"), 2);
}

#[tokio::test]
async fn a_streamed_file_that_nobody_waits_for_is_not_fetched_on() {
    let blob = Blob::seeded(1, 3 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone()).fault("a", Fault::HoldAt(2 * MIB));
    let mut world = World { streamed: true, ..World::new().await };
    let (_, mut first) = world.open(&[&upstream], &expected(&blob)).await.unwrap();
    read(&mut first, 1).await;
    drop(first);
    // Nothing releases the source: only giving up ends this.
    world.assert_nothing_left().await;
}

#[tokio::test]
async fn there_are_no_more_fetches_than_allowed() {
    let upstream = Upstream::start().await.file("a", "hello").fault("a", Fault::HoldAt(0));
    let mut options = FetcherOptions::default();
    (options.concurrency, options.pending) = (1, 2);
    let world = World::with(options, SpoolOptions::default(), Outcome::Stored).await;
    let keyed = |key: &'static str| {
        let mut request = world.request(&[&upstream], &Expected::anything());
        request.key = key.into();
        request
    };
    let mut waiting = Box::pin(join_all([world.fetcher.open(keyed("1"), None), world.fetcher.open(keyed("2"), None)]));
    assert!(futures::poll!(&mut waiting).is_pending());
    upstream.wait_hits("a", 1).await;
    let error = world.fetcher.open(keyed("3"), None).await.err().unwrap();
    assert!(matches!(error, FetchError::Busy), "{error}");
    // Joining is no fetch.
    let mut joining = Box::pin(world.fetcher.open(keyed("1"), None));
    assert!(futures::poll!(&mut joining).is_pending() || upstream.hits("a") == 1);
    assert_eq!(upstream.hits("a"), 1, "the second waits");
    upstream.release();
    for opened in waiting.await {
        assert_eq!(rest(opened.unwrap().1).await.unwrap(), "hello");
    }
    assert_eq!(upstream.hits("a"), 2);
}

#[tokio::test]
async fn slow_clients_of_a_streamed_file_keep_nobody_from_fetching() {
    let upstream = Upstream::start().await.file("a", Blob::seeded(1, 2 * MIB));
    let mut options = FetcherOptions::default();
    options.concurrency = 1;
    let world = World { streamed: true, ..World::with(options, SpoolOptions::default(), Outcome::Stored).await };
    let (_, slow) = world.open(&[&upstream], &Expected::anything()).await.unwrap();
    assert_eq!(world.get(&[&upstream], &Expected::anything()).await.unwrap().len() as u64, 2 * MIB);
    let mut other = world.request(&[&upstream], &Expected::anything());
    other.key = "b".into();
    let (_, body) = within(world.fetcher.open(other, None)).await.unwrap();
    assert_eq!(rest(body).await.unwrap(), rest(slow).await.unwrap());
}

#[tokio::test]
async fn a_full_spool_is_told_and_nothing_is_left() {
    let upstream = Upstream::start().await.file("a", Blob::seeded(1, MIB));
    let mut world = World::with(FetcherOptions::default(), SpoolOptions::default().quota(1000), Outcome::Stored).await;
    let error = world.get(&[&upstream], &Expected::anything()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Spool(source) if matches!(**source, StorageError::Quota { .. })), "{error}");
    world.assert_nothing_left().await;
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused() {
    let upstream = Upstream::start().await.file("a", Blob::repeated(b'x', 5_000_000_000));
    let mut options = FetcherOptions::default();
    options.limit = Some(MIB);
    let world = World::with(options, SpoolOptions::default(), Outcome::Stored).await;
    let error = world.get(&[&upstream], &Expected::anything()).await.unwrap_err();
    assert!(matches!(error, FetchError::BadGateway(DownloadError::TooLong { .. })), "{error}");
}

/// Counts the clients that a crash of the fetch would leave waiting.
#[tokio::test]
async fn a_source_that_panics_leaves_nobody_waiting() {
    struct Broken(AtomicUsize);
    #[async_trait]
    impl pulp_core::download::Downloader for Broken {
        async fn get(&self, _: pulp_core::download::DownloadRequest) -> Result<pulp_core::download::Download, DownloadError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("planned")
        }
    }
    let upstream = Upstream::start().await;
    let world = World::new().await;
    let broken = Arc::new(Broken(AtomicUsize::new(0)));
    let mut request = world.request(&[&upstream], &Expected::anything());
    request.sources[0].downloader = broken.clone();
    let clients = join_all((0..3).map(|_| world.fetcher.open(request.clone(), None))).await;
    assert!(clients.into_iter().all(|opened| matches!(opened, Err(FetchError::Aborted))));
    assert_eq!(broken.0.load(Ordering::Relaxed), 1);
    assert_eq!(world.fetcher.pending(), 0);
}

struct Digested(mpsc::UnboundedSender<usize>);

#[async_trait]
impl FetchHandler for Digested {
    async fn complete(&self, file: Spooled) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        file.sha256()?;
        Ok(self.0.send(file.digests().len())?)
    }
}

#[tokio::test]
async fn a_file_that_is_kept_has_all_digests_though_clients_wait_for_one() {
    let blob = Blob::seeded(1, 3 * MIB);
    let upstream = Upstream::start().await.file("a", blob.clone());
    let world = World::new().await;
    let (told, mut digests) = mpsc::unbounded_channel();
    let mut request = world.request(&[&upstream], &expected(&blob));
    request.handler = Arc::new(Digested(told));
    let (_, body) = world.fetcher.open(request, None).await.unwrap();
    assert_eq!(body.try_collect::<Vec<_>>().await.unwrap().concat(), blob.to_bytes());
    assert_eq!(digests.recv().await, Some(pulp_core::digest::Algorithm::DEFAULT.len()));
}
