//! A real Pulp and this server side by side: the same world, the same people with the same roles, the same requests, the same answers.
//!
//! It takes a real Pulp, named by `PULP_DIFFERENTIAL_URL`, and its administrator, `PULP_DIFFERENTIAL_AUTH=user:password`; without them it
//! says so and ends. A used one will do: all that is made has a name of its own, and is removed in the end.
//! `PULP_DIFFERENTIAL_TRIPLES` (2,000) says how many triples of user, roles and request are tried, `PULP_DIFFERENTIAL_SEED` which ones.

mod catalogue;
mod compare;
mod people;
mod request;
mod side;
mod world;

use std::collections::BTreeMap;
use std::env;

use async_trait::async_trait;
use pulp_testkit::{Client, Engine, Prepare, Program, both_databases};

use crate::compare::Difference;
use crate::world::World;

/// Worlds that are worked on at the same time: a real Pulp is slow to answer.
const WORLDS: usize = 4;
/// Requests in a world between two distributions of roles.
const ROUND: usize = 40;

/// A real Pulp, and this one.
struct Pair {
    real: Client,
    program: Program,
    seed: u64,
    triples: usize,
}

#[async_trait]
impl Prepare for Pair {
    async fn prepare(engine: Engine) -> Option<Self> {
        let (Ok(url), Ok(auth)) = (env::var("PULP_DIFFERENTIAL_URL"), env::var("PULP_DIFFERENTIAL_AUTH")) else {
            eprintln!("skipped: PULP_DIFFERENTIAL_URL and PULP_DIFFERENTIAL_AUTH name no real Pulp to compare with");
            return None;
        };
        let (user, password) = auth.split_once(':').expect("PULP_DIFFERENTIAL_AUTH is user:password");
        let real = Client::new(url).basic_auth(user, password);
        let program = Program::new(env!("CARGO_BIN_EXE_pulp-server"), engine).await?;
        let program = program.setting("allowed_export_paths", format!("[{:?}]", env::temp_dir()));
        let seed = number("PULP_DIFFERENTIAL_SEED").unwrap_or_else(rand::random);
        Some(Self { real, program, seed, triples: number("PULP_DIFFERENTIAL_TRIPLES").unwrap_or(2_000) as usize })
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number: {text}")))
}

both_databases! {
    async fn the_same_people_see_and_may_do_the_same(pair: Pair) {
        let domains = pair.real.get("status/").await["domain_enabled"] == true;
        let program = pair.program.setting("domain_enabled", domains);
        let process = program.start().await;
        let in_domain = |client: Client| if domains { client.api_root("/pulp/default/") } else { client };
        let (real, ours) = (in_domain(pair.real), in_domain(process.client()));
        eprintln!("PULP_DIFFERENTIAL_SEED={} PULP_DIFFERENTIAL_TRIPLES={}", pair.seed, pair.triples);
        let worlds = (0..WORLDS).map(|lane| {
            let world = World::new([real.clone(), ours.clone()], domains, pair.seed.wrapping_add(lane as u64));
            async { world.await.run(pair.triples / WORLDS).await }
        });
        let found: Vec<Difference> = futures::future::join_all(worlds).await.into_iter().flatten().collect();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for difference in &found {
            *kinds.entry(difference.kind()).or_default() += 1;
        }
        for (kind, count) in &kinds {
            eprintln!("{count:5} {kind}");
        }
        assert!(found.is_empty(), "{} differences in {} triples", found.len(), pair.triples);
    }
}
