//! `kill -9` at random moments of all that writes: database and store agree afterwards, and what was interrupted can be done again, without
//! fetching anew what is stored.

mod storm;
mod work;

use std::time::{SystemTime, UNIX_EPOCH};

use pulp_testkit::{Engine, database};

use crate::world::Server;
use storm::{Figures, Storm};

/// Kills on each database in the suite, and in the whole of it.
const FEW: usize = 8;
const MANY: usize = 150;

/// What a variable says, if it says something.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

fn seed() -> Option<u64> {
    number("PULP_TEST_SEED")
}

fn run(engine: Engine, kills: usize, seed: u64) -> Figures {
    let figures = database::run(engine, async |server: Server| Storm::begin(server, seed).await.rage(kills).await);
    println!("{engine:?}, seed {seed}: {figures}");
    figures
}

mod database_and_store_agree_after_a_few_kills {
    use super::*;

    #[test]
    fn sqlite() {
        run(Engine::Sqlite, FEW, seed().unwrap_or(1));
    }

    #[test]
    fn postgres() {
        run(Engine::Postgres, FEW, seed().unwrap_or(2));
    }
}

/// The whole of it: `cargo test --workspace --test faults -- --ignored --nocapture three_hundred_kills`. `PULP_TEST_SEED=…` does one again, as far as
/// chance allows: what is done is the same, the moments are what they are. `PULP_TEST_KILLS=…` is for less, or more.
#[test]
#[ignore = "takes a quarter of an hour"]
fn three_hundred_kills() {
    let seed = seed().unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs());
    let kills = number("PULP_TEST_KILLS").map_or(MANY, |kills| kills as usize / 2);
    let both = std::thread::scope(|scope| {
        let both = [Engine::Sqlite, Engine::Postgres].map(|engine| scope.spawn(move || run(engine, kills, seed)));
        both.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    // A few may by chance all have come at a bad time.
    for figures in both.iter().filter(|_| kills >= 100) {
        figures.assert_worth();
    }
}
