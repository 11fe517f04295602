//! Faults by chance, the same for the same seed: whatever sources do, nobody ends with a wrong file, and nobody notices while one is good.
//!
//! `PULP_TEST_SEEDS=0..500` runs so many, `PULP_TEST_SEEDS=17` the one that was printed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::join_all;
use pulp_core::digest::Expected;
use pulp_core::download::{FetchMeta, FetchRange, FetchRequest, Fetcher, FetcherOptions, HttpDownloader, RemoteOptions, Source, Timeouts};
use pulp_testkit::{Blob, Fault, Upstream};
use tokio::sync::mpsc;

use crate::fetch::{Outcome, Recorder, Told, within};
use crate::world::{TestSpool, expected, request, retry, unsized_expected};

const MIB: u64 = 1 << 20;
/// Silence after which a source is given up, and how long a planned one lasts: the first is long enough for a busy machine.
const PATIENCE: Duration = Duration::from_millis(300);
const SILENCE: Duration = Duration::from_millis(900);
/// Runs of an ordinary `cargo test`.
const FEW: Range<u64> = 0..36;
/// Runs at a time: most of each is waiting.
const AT_ONCE: usize = 6;

/// Numbers by chance, always the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// What one run is made of.
struct Plan {
    seed: u64,
    size: u64,
    /// Whether the size is announced with the digest.
    announced: bool,
    /// What each source does; a good one does nothing.
    sources: Vec<Vec<Fault>>,
    /// Clients: the part that each asks for, and how many milliseconds after the first.
    clients: Vec<(Option<Range<u64>>, u64)>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, size, announced, sources, clients } = self;
        write!(f, "seed {seed}: {size} bytes (announced: {announced}), sources {sources:?}, clients {clients:?}")
    }
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let size = if dice.chance(40) { 1 + dice.roll(MIB) } else { MIB + 1 + dice.roll(3 * MIB) };
        let count = 1 + seed as usize % 3;
        let mut sources: Vec<Vec<Fault>> = (0..count).map(|_| faults(&mut dice, size)).collect();
        // Of several, one is good in most runs, wherever it stands.
        if count > 1 && dice.chance(85) {
            let good = dice.roll(count as u64) as usize;
            sources[good] = if dice.chance(25) { vec![Fault::NoRange] } else { Vec::new() };
        }
        let part = |dice: &mut Dice| {
            let start = dice.roll(size);
            start..start + 1 + dice.roll(size - start)
        };
        let mut clients = vec![(None, 0), (None, dice.roll(40)), (None, 200 + dice.roll(400))];
        clients.push((Some(part(&mut dice)), dice.roll(100)));
        Self { seed, size, announced: dice.chance(70), sources, clients }
    }

    fn has_good_source(&self) -> bool {
        self.sources.iter().any(|faults| faults.iter().all(|fault| matches!(fault, Fault::NoRange)))
    }
}

/// What befalls the requests to one source.
fn faults(dice: &mut Dice, size: u64) -> Vec<Fault> {
    let at = dice.roll(size);
    let mut faults = vec![match dice.roll(7) {
        0 | 1 => Fault::CutAt(at),
        2 => Fault::FlipByte(at),
        3 => Fault::Stall { after: at, lasting: SILENCE },
        4 => Fault::Status([500, 502, 503, 404][dice.roll(4) as usize]),
        5 => Fault::LyingLength(1 + dice.roll(1000) as i64),
        _ => Fault::LyingLength(-1 - dice.roll(at.clamp(1, 1000)) as i64),
    }];
    if dice.chance(25) {
        faults.push(Fault::NoRange);
    }
    if dice.chance(20) {
        faults.push(Fault::NoLength);
    }
    if dice.chance(15) {
        faults.push(Fault::FlipByte(dice.roll(size)));
    }
    faults
}

/// What one client has in the end.
struct Had {
    meta: Option<FetchMeta>,
    bytes: Vec<u8>,
    error: Option<String>,
}

async fn client(fetcher: &Fetcher, request: FetchRequest, part: Option<Range<u64>>, after: u64) -> Had {
    tokio::time::sleep(Duration::from_millis(after)).await;
    let range = part.map(|part| FetchRange::Span(part.start, Some(part.end)));
    let mut had = Had { meta: None, bytes: Vec::new(), error: None };
    match fetcher.open(request, range).await {
        Err(error) => had.error = Some(error.to_string()),
        Ok((meta, mut body)) => {
            had.meta = Some(meta);
            while let Some(chunk) = body.next().await {
                match chunk {
                    Ok(chunk) => had.bytes.extend_from_slice(&chunk),
                    Err(error) => had.error = Some(error.to_string()),
                }
            }
        }
    }
    had
}

/// What is wrong with what a client has; the first thing that is.
fn wrong(plan: &Plan, content: &Bytes, part: Option<&Range<u64>>, had: &Had) -> Option<String> {
    let window = part.map_or(0..plan.size, Clone::clone);
    let right = &content[window.start as usize..window.end as usize];
    let begins_right = right.starts_with(&had.bytes);
    let whole = part.is_none();
    // Of a part, no more can be known than of the file: while that is not verified, the answer says so.
    let vouched = whole || had.meta.as_ref().is_some_and(|meta| meta.verified);
    let (Some(meta), error) = (&had.meta, &had.error) else {
        let fine = !plan.has_good_source();
        return (!fine).then(|| format!("refused, though there is a good source: {:?}", had.error));
    };
    // Who was promised a length that a source had lied about cannot be satisfied.
    let promised = meta.length.is_none_or(|length| length == plan.size);
    match error {
        None if vouched && had.bytes != right => Some(format!("completed {} bytes that are wrong", had.bytes.len())),
        Some(error) if plan.has_good_source() && begins_right && promised => {
            Some(format!("cut after {} right bytes, though there is a good source: {error}", had.bytes.len()))
        }
        _ => None,
    }
}

async fn run(plan: &Plan) -> Result<(), String> {
    let blob = Blob::seeded(plan.seed, plan.size);
    let content = blob.to_bytes();
    let upstreams: Vec<Upstream> = join_all(plan.sources.iter().map(|faults| {
        let blob = blob.clone();
        async move {
            let upstream = Upstream::start().await.file("a", blob);
            faults.iter().fold(upstream, |upstream, fault| upstream.fault("a", fault.clone()))
        }
    }))
    .await;
    let expected: Expected = if plan.announced { expected(&blob) } else { unsized_expected(&blob) };
    let kept = TestSpool::new().await;
    let (told, mut record) = mpsc::unbounded_channel();
    let handler = Arc::new(Recorder::new(told, Outcome::Stored));
    let fetcher = Fetcher::new(kept.spool.clone(), FetcherOptions::default());
    let mut remote = RemoteOptions::default();
    remote.timeouts = Timeouts { sock_read: Some(PATIENCE), ..Timeouts::default() };
    let downloader = Arc::new(HttpDownloader::new(&remote).unwrap());
    let sources = upstreams.iter().enumerate().map(|(index, upstream)| Source {
        id: index.to_string(),
        downloader: downloader.clone(),
        request: request(upstream, "a"),
        retry: retry(1),
    });
    let asked = FetchRequest::new("a", sources.collect(), expected, handler);
    let clients = plan.clients.iter().map(|(part, after)| client(&fetcher, asked.clone(), part.clone(), *after));
    let all = within(join_all(clients)).await;
    within(async {
        while fetcher.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    for ((part, after), had) in plan.clients.iter().zip(&all) {
        if let Some(what) = wrong(plan, &content, part.as_ref(), had) {
            return Err(format!("the client of {part:?} after {after} ms: {what}"));
        }
    }
    let mut stored = false;
    while let Ok(told) = record.try_recv() {
        if let Told::Stored(bytes) = told {
            if bytes != content {
                return Err("a wrong file was stored".to_owned());
            }
            stored = true;
        }
    }
    if plan.has_good_source() && !stored {
        return Err("nothing was stored, though there is a good source".to_owned());
    }
    Ok(())
}

fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("PULP_TEST_SEEDS") else { return FEW };
    let number = |text: &str| text.parse::<u64>().expect("PULP_TEST_SEEDS is a number, or two as in 0..500");
    match asked.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&asked)..number(&asked) + 1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_sources_nobody_has_a_wrong_file_and_one_good_source_is_enough() {
    let failed = |seed: u64| async move {
        let plan = Plan::new(seed);
        run(&plan).await.err().map(|what| format!("{what}\n  {plan}\n  again: PULP_TEST_SEEDS={seed}"))
    };
    let failed: Vec<String> = futures::stream::iter(seeds()).map(failed).buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(failed.is_empty(), "{} runs failed:\n{}", failed.len(), failed.join("\n"));
}
