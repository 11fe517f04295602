//! Files that are stored.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pulp_testkit::Blob;
use tokio::runtime::Runtime;

use crate::Options;
use crate::load::{Sample, Target, load};
use crate::nginx::Nginx;
use crate::ours::{Ours, WORD};
use crate::table::{shown, size, spread};

const SIZES: [u64; 4] = [4 << 10, 64 << 10, 1 << 20, 100 << 20];

pub fn run(runtime: &Runtime, options: &Options) {
    let sizes: Vec<u64> = SIZES.into_iter().filter(|size| options.size.is_none_or(|only| only == *size)).collect();
    let files: Vec<(String, Blob)> = sizes.iter().map(|size| (size.to_string(), Blob::seeded(*size, *size))).collect();
    options.write(&files);
    let nginx = Nginx::start(&options.nginx, &options.files);
    let ours = Ours::start(runtime, options, &nginx, "immediate");
    let headers = format!("X-Word: {}\r\nIf-None-Match: \"other\"\r\n", BASE64.encode(WORD));
    let mut rows = Vec::new();
    for bytes in sizes {
        let name = bytes.to_string();
        let mut targets = vec![
            Target::new("nginx", nginx.plain, &format!("/{name}"), &headers, &nginx.pids()),
            ours.target(&name, &headers),
            Target::new("cached", nginx.cached, &format!("/{name}"), &headers, &nginx.pids()),
        ];
        if let Some(url) = &options.pulp {
            let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a URL with a path");
            targets.push(Target::new("pulp", host.parse().expect("an address"), &format!("/{path}/{name}"), "", &[]));
        }
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); targets.len()];
        for target in &targets {
            load(target, options.connections, Duration::from_millis(300));
        }
        for _ in 0..options.rounds {
            for (target, samples) in targets.iter().zip(&mut samples) {
                samples.push(load(target, options.connections, options.time));
            }
        }
        rows.push(row(bytes, &targets, &samples));
        eprintln!("{}", rows.last().expect("a row"));
    }
    println!("| file | nginx | rate, × nginx | CPU, × nginx | rate, × nginx with open_file_cache | × Pulp’s content app |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        println!("{row}");
    }
}

fn row(bytes: u64, targets: &[Target], samples: &[Vec<Sample>]) -> String {
    let find = |name: &str| targets.iter().position(|target| target.name == name);
    let of = |name: &str| find(name).map(|at| &samples[at]);
    let (ours, nginx, cached) = (of("ours").expect("ours"), of("nginx").expect("nginx"), of("cached").expect("cached"));
    let ratio =
        |other: &[Sample], what: fn(&Sample) -> f64| spread(ours.iter().zip(other).map(|(ours, other)| what(ours) / what(other)).collect());
    let (absolute, ..) = spread(nginx.iter().map(|sample| sample.rate() / bytes as f64).collect());
    let (cost, ..) = spread(ours.iter().map(|sample| sample.cost() * bytes as f64 * 1e6).collect());
    format!(
        "| {} | {absolute:.0}/s | {} | {} ({cost:.0} µs each) | {} | {} |",
        size(bytes),
        shown(ratio(nginx, Sample::rate)),
        shown(ratio(nginx, Sample::cost)),
        shown(ratio(cached, Sample::rate)),
        of("pulp").map_or_else(String::new, |pulp| shown(ratio(pulp, Sample::rate)))
    )
}
