//! A file that nobody has asked for yet: by one client, and by fifty.

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

pub fn run(runtime: &Runtime, options: &Options) {
    let files: Vec<(String, Blob)> =
        (0..2 * options.rounds).map(|round| (format!("cold-{round}"), Blob::seeded(1_000 + round as u64, SIZE))).collect();
    options.write(&files);
    let nginx = Nginx::start(&options.nginx, &options.files);
    let ours = Ours::start(runtime, options, &nginx, "on_demand");
    let word = format!("X-Word: {}\r\n", BASE64.encode(WORD));
    let mut table: Vec<(&str, Vec<[f64; 4]>)> = Vec::new();
    for round in 0..options.rounds {
        let targets = |name: &str| {
            [
                ("ours", ours.target(name, &word)),
                ("nginx proxy", Target::new("proxy", nginx.proxy, &format!("/{name}"), "", &[])),
                ("nginx proxy_cache", Target::new("cache", nginx.proxy_cache, &format!("/{name}"), "", &[])),
                ("nginx static", Target::new("static", nginx.plain, &format!("/{name}"), "", &[])),
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
