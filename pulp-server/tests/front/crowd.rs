//! A crowd on one cold file: one fetch upstream, right bytes for everybody, and no memory to speak of.
//!
//! The ordinary test has a small crowd. The whole one is asked for: `cargo test --workspace --test front -- --ignored crowd --nocapture`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use pulp_testkit::{Blob, Engine, Fault, Process, Program, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

const MIB: u64 = 1 << 20;

/// Who comes, and for what.
struct Crowd {
    size: u64,
    /// Bytes a second that the upstream gives: most clients come while the file does.
    upstream: u64,
    whole: usize,
    ranged: usize,
    leaving: usize,
    /// Read 20 KB/s until the others have finished, and then as fast as they can.
    slow: usize,
    memory: u64,
}

impl Crowd {
    fn clients(&self) -> usize {
        self.whole + self.ranged + self.leaving + self.slow
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Whole,
    Ranged(u64, u64),
    Leaving(u64),
    Slow,
}

/// What a client made sure of: how many bytes it has, all of them right.
async fn client(address: String, path: String, kind: Kind, after: Duration, content: Bytes, mut others: watch::Receiver<bool>) -> u64 {
    tokio::time::sleep(after).await;
    let (start, end) = match kind {
        Kind::Ranged(start, end) => (start, end),
        _ => (0, content.len() as u64),
    };
    let range = match kind {
        Kind::Ranged(..) => format!("range: bytes={start}-{}\r\n", end - 1),
        _ => String::new(),
    };
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{range}\r\n").as_bytes()).await.unwrap();
    let mut buffer = vec![0; 32 << 10];
    let mut head = 0;
    loop {
        let read = tcp.read(&mut buffer[head..]).await.unwrap();
        assert!(read > 0, "an answer");
        head += read;
        if let Some(at) = buffer[..head].windows(4).position(|four| four == b"\r\n\r\n") {
            let text = std::str::from_utf8(&buffer[..at]).unwrap().to_ascii_lowercase();
            assert!(text.starts_with(if range.is_empty() { "http/1.1 200" } else { "http/1.1 206" }), "{text}");
            assert!(text.contains(&format!("\r\ncontent-length: {}", end - start)), "{text}");
            let body = &buffer[at + 4..head];
            assert!(content[start as usize..].starts_with(body));
            head = body.len();
            break;
        }
    }
    let mut at = start + head as u64;
    let limit = match kind {
        Kind::Leaving(bytes) => bytes,
        _ => end,
    };
    while at < limit {
        let slow = matches!(kind, Kind::Slow) && !*others.borrow();
        let most = if slow { 4_000 } else { buffer.len() };
        let read = tcp.read(&mut buffer[..most]).await.unwrap_or(0);
        assert!(read > 0, "{kind:?} was cut after {} bytes", at - start);
        assert!(content[at as usize..at as usize + read] == buffer[..read], "{kind:?}: wrong bytes at {at}");
        at += read as u64;
        if slow {
            let _ = tokio::time::timeout(Duration::from_millis(200), others.wait_for(|done| *done)).await;
        }
    }
    at - start
}

/// The parts and times of the clients, spread evenly and always the same: multiples of the golden ratio.
fn plan(crowd: &Crowd) -> Vec<(Kind, Duration)> {
    let mut number = 0u32;
    let mut spread = move || {
        number += 1;
        (f64::from(number) * 0.618_033_988_749_895).fract()
    };
    let lasts = crowd.size as f64 / crowd.upstream as f64;
    let mut all = Vec::new();
    for index in 0..crowd.clients() {
        let kind = if index < crowd.slow {
            Kind::Slow
        } else if index < crowd.slow + crowd.ranged {
            let start = (spread() * crowd.size as f64) as u64;
            Kind::Ranged(start, start + 1 + (spread() * (crowd.size - start - 1) as f64) as u64)
        } else if index < crowd.slow + crowd.ranged + crowd.leaving {
            Kind::Leaving((spread() * 0.5 * crowd.size as f64) as u64)
        } else {
            Kind::Whole
        };
        // Half of them at once, before there is anything; the others while the file comes and shortly afterwards.
        let after = if index % 2 == 0 { 0.0 } else { spread() * 1.2 * lasts };
        all.push((kind, Duration::from_secs_f64(after)));
    }
    all
}

async fn come(crowd: Crowd) {
    let blob = Blob::seeded(1, crowd.size);
    let upstream = Upstream::start().await.file("large.iso", blob.clone()).manifest().fault("large.iso", Fault::SlowBytes(crowd.upstream));
    let program = Program::new(env!("CARGO_BIN_EXE_pulp-server"), Engine::Sqlite).await.unwrap().setting("access_log", false);
    let process: Process = program.start().await;
    let world = process.client().file_repo("isos").remote(&upstream).policy("on_demand").sync().publish().distribute().await;
    let content = blob.to_bytes();
    let path = world.path("large.iso");
    let (origin, path) = match path.split_once("/pulp/content/") {
        Some((_, below)) => (process.client().base_url().trim_start_matches("http://").to_owned(), format!("/pulp/content/{below}")),
        None => panic!("{path}"),
    };
    process.forget_peak_memory();
    let idle = process.memory();
    let begun = Instant::now();
    let (done, others) = watch::channel(false);
    let (mut quick, mut slow) = (Vec::new(), Vec::new());
    for (kind, after) in plan(&crowd) {
        let running = tokio::spawn(client(origin.clone(), path.clone(), kind, after, content.clone(), others.clone()));
        if matches!(kind, Kind::Slow) { slow.push(running) } else { quick.push(running) }
    }
    let mut bytes = 0;
    for running in quick {
        bytes += running.await.unwrap();
    }
    let quickly = begun.elapsed();
    done.send_replace(true);
    for running in slow {
        bytes += running.await.unwrap();
    }
    let took = begun.elapsed();
    let gets = upstream.hits("large.iso");
    println!(
        "{} clients, {} MiB: {gets} upstream GET of {} bytes; {} MiB to clients, all right, in {:.1} s ({:.1} s without the slow ones)",
        crowd.clients(),
        crowd.size / MIB,
        upstream.bytes_sent("large.iso"),
        bytes / MIB,
        took.as_secs_f64(),
        quickly.as_secs_f64()
    );
    assert_eq!(gets, 1);
    assert_eq!(upstream.bytes_sent("large.iso"), crowd.size);
    if let (Some(idle), Some(peak)) = (idle, process.peak_memory()) {
        println!(
            "memory of the server: {} KiB idle, {} KiB at most: {} KiB above",
            idle / 1024,
            peak / 1024,
            peak.saturating_sub(idle) / 1024
        );
        assert!(peak < idle + crowd.memory, "{} KiB became {}", idle / 1024, peak / 1024);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_crowd_is_one_fetch() {
    let (whole, ranged, leaving, slow) = (44, 16, 16, 4);
    come(Crowd { size: 12 * MIB, upstream: 8_000_000, whole, ranged, leaving, slow, memory: 64 * MIB }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn a_crowd_of_a_thousand_is_one_fetch() {
    let (whole, ranged, leaving, slow) = (550, 200, 200, 50);
    come(Crowd { size: 100 * MIB, upstream: 10_000_000, whole, ranged, leaving, slow, memory: 64 * MIB }).await;
}
