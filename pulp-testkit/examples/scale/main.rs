//! What the size of a repository costs: the same steps with a thousand units and with a million.
//!
//! ```text
//! cargo build --release -p pulp-server
//! cargo run --release -p pulp-testkit --example scale -- --server target/release/pulp-server \
//!     --engine sqlite,postgres --units 1000,10000,100000,1000000 --into docs/img
//! ```
//!
//! Each size has a server and a database of its own. A table goes to the standard output; `--into DIRECTORY` takes `scale.csv` and the
//! chart `scale.svg`. `--from FILE` reads what an earlier run has written there first, so that sizes can be measured one at a time. With `--stay`, the last server
//! goes on until Ctrl-C, for whoever wants to look closer.
//!
//! The upstream makes its manifest while it is read. Of memory, `own` is what the process has for itself, and `resident` all its pages, with
//! those of its program and, on SQLite, of the database's file, which the system can take back. The PostgreSQL is that of the tests, which does not
//! wait for a disk.

mod chart;
mod memory;
mod steps;
mod table;
mod upstream;

use std::path::PathBuf;

use pulp_testkit::Engine;

use crate::steps::Costs;

struct Options {
    server: PathBuf,
    engines: Vec<Engine>,
    units: Vec<u64>,
    into: Option<PathBuf>,
    from: Option<PathBuf>,
    stay: bool,
}

fn options() -> Options {
    let mut options = Options {
        server: "target/release/pulp-server".into(),
        engines: vec![Engine::Sqlite],
        units: vec![1_000, 10_000, 100_000],
        into: None,
        from: None,
        stay: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--stay" {
            options.stay = true;
            continue;
        }
        let value = words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--server" => options.server = value.into(),
            "--engine" => options.engines = value.split(',').map(|name| name.parse().expect("an engine")).collect(),
            "--units" => options.units = value.split(',').map(|number| number.parse().expect("a number of units")).collect(),
            "--into" => options.into = Some(value.into()),
            "--from" => options.from = Some(value.into()),
            other => panic!("what is {other}?"),
        }
    }
    options
}

#[tokio::main]
async fn main() {
    let options = options();
    let mut all: Vec<Costs> =
        options.from.as_ref().map_or_else(Vec::new, |file| table::read(&std::fs::read_to_string(file).expect("a table")));
    for engine in &options.engines {
        for units in &options.units {
            let last = options.stay && engine == options.engines.last().expect("one") && Some(units) == options.units.last();
            let costs = steps::run(&options.server, *engine, *units, last).await;
            all.retain(|other| other.engine != costs.engine || other.units != costs.units);
            all.push(costs);
        }
    }
    all.sort_by_key(|costs| (costs.engine != "SQLite", costs.units));
    println!("{}", table::markdown(&all));
    if let Some(directory) = &options.into {
        std::fs::create_dir_all(directory).expect("a directory");
        std::fs::write(directory.join("scale.csv"), table::csv(&all)).expect("the table can be written");
        std::fs::write(directory.join("scale.svg"), chart::lines(&all)).expect("the chart can be written");
    }
}
