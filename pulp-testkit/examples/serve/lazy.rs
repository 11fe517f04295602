//! Files that nobody has asked for yet: one after the other, and one by fifty clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pulp_testkit::Blob;
use tokio::runtime::Runtime;

use crate::Options;
use crate::load::{Target, once};
use crate::nginx::Nginx;
use crate::ours::{Ours, WORD};
use crate::table::{shown, spread};

const SIZE: u64 = 100 << 20;
const CROWD: usize = 50;
/// Above what is verified before its first byte.
const SMALLER: u64 = 8 << 20;
/// How many of those there are for a round.
const TURNS: usize = 10;

pub fn run(runtime: &Runtime, options: &Options) {
    let (large, small) = (2 * options.rounds, TURNS * options.rounds);
    let named = |at: usize, size| (format!("cold-{at}"), Blob::seeded(1_000 + at as u64, size));
    let files: Vec<(String, Blob)> =
        (0..large).map(|at| named(at, SIZE)).chain((large..large + small).map(|at| named(at, SMALLER))).collect();
    options.write(&files);
    // The upstream is at rest, and has its files in memory: what is cold is cold here.
    rustix::fs::sync();
    let nginx = Nginx::start(&options.nginx, &options.files);
    for (name, _) in &files {
        once(&nginx.target(name), 1);
    }
    let ours = Ours::start(runtime, options, &nginx, "on_demand");
    let word = format!("X-Word: {}\r\n", BASE64.encode(WORD));
    first_bytes(runtime, &ours, &nginx, &files[large..], &word);
    let mut table: Vec<(&str, Vec<[f64; 4]>)> = Vec::new();
    for round in 0..options.rounds {
        let targets = |name: &str| {
            [
                ("ours", ours.target(name, &word)),
                ("nginx proxy", Target::new("proxy", nginx.proxy, &format!("/{name}"), "", &[])),
                ("nginx proxy_cache", Target::new("cache", nginx.proxy_cache, &format!("/{name}"), "", &[])),
                ("nginx static", nginx.target(name)),
            ]
        };
        let (one, many) = (targets(&files[2 * round].0), targets(&files[2 * round + 1].0));
        for ((name, one), (_, many)) in one.iter().zip(&many) {
            let (first, took, bytes) = once(one, 1);
            ours.settle(runtime);
            let (firsts, all, sum) = once(many, CROWD);
            ours.settle(runtime);
            let row = [first[0] * 1e3, bytes as f64 / took / 1e6, firsts[CROWD / 2] * 1e3, sum as f64 / all / 1e6];
            match table.iter_mut().find(|(known, _)| known == name) {
                Some((_, rows)) => rows.push(row),
                None => table.push((name, vec![row])),
            }
        }
    }
    println!("\n| one cold file of 100 MiB | first byte, ms | MB/s | fifty clients: first byte, ms (median) | MB/s together |");
    println!("|---|---|---|---|---|");
    for (name, rows) in &table {
        let column = |at: usize| {
            let (middle, least, greatest) = spread(rows.iter().map(|row| row[at]).collect());
            if matches!(at, 0 | 2) {
                format!("{middle:.1} [{least:.1}–{greatest:.1}]")
            } else {
                format!("{middle:.0} [{least:.0}–{greatest:.0}]")
            }
        };
        println!("| {name} | {} | {} | {} | {} |", column(0), column(1), column(2), column(3));
    }
    let of = |name: &str| table.iter().find(|(known, _)| *known == name).map(|(_, rows)| rows.as_slice()).unwrap_or_default();
    let ratio =
        |other: &str, at: usize| shown(spread(of("ours").iter().zip(of(other)).map(|(ours, other)| ours[at] / other[at]).collect()));
    println!();
    println!("- first byte, one client: {} × nginx proxy", ratio("nginx proxy", 0));
    println!("- throughput, one client: {} × nginx proxy", ratio("nginx proxy", 1));
    println!("- throughput, fifty clients: {} × nginx static", ratio("nginx static", 3));
    println!("- first byte, fifty clients: {} × nginx proxy_cache with its lock", ratio("nginx proxy_cache", 2));
}

/// One file after the other, from us and from the proxy in turns. Each is new to both of them, and nothing else is going on.
fn first_bytes(runtime: &Runtime, ours: &Ours, nginx: &Nginx, files: &[(String, Blob)], word: &str) {
    let mut firsts = [Vec::new(), Vec::new()];
    for (at, (name, _)) in files.iter().enumerate() {
        let targets = [ours.target(name, word), Target::new("proxy", nginx.proxy, &format!("/{name}"), "", &[])];
        for turn in 0..targets.len() {
            let which = (at + turn) % targets.len();
            let (first, ..) = once(&targets[which], 1);
            ours.settle(runtime);
            firsts[which].push(first[0] * 1e3);
        }
    }
    println!("\n| {} cold files of {} MiB, one by one | first byte, ms |", files.len(), SMALLER >> 20);
    println!("|---|---|");
    let [ours, proxy] = firsts.map(spread);
    for (name, (middle, least, greatest)) in [("ours", ours), ("nginx proxy", proxy)] {
        println!("| {name} | {middle:.1} [{least:.1}–{greatest:.1}] |");
    }
    println!("\n- first byte, median: {:.2} × nginx proxy", ours.0 / proxy.0);
}
